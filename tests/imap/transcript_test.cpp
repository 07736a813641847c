// The transcripts, cut in every way a network can cut them, and with every request failing in turn.
#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "support/imap_replay.hpp"

using namespace fwmail::imap;

namespace {

// Replies in the order written for each request; a request too many is refused.
Replay::Answer answers_of(const Transcript& transcript) {
    auto left = std::make_shared<std::map<std::string, std::deque<std::string>>>();
    for (const auto& [request, reply] : transcript.replies) (*left)[request].push_back(reply);
    return [left](const std::string& request) -> std::string {
        auto& queue = (*left)[request];
        if (queue.empty()) return "internal no reply left";
        std::string reply = queue.front();
        queue.pop_front();
        return reply;
    };
}

// Runs of client octets between events.
std::vector<Transcript::Input> joined(const Transcript& transcript) {
    std::vector<Transcript::Input> out;
    for (const auto& input : transcript.inputs) {
        if (input.kind != 'E' && !out.empty() && out.back().kind != 'E')
            out.back().text += input.text;
        else
            out.push_back(input);
    }
    return out;
}

// Each run is cut in front of `cut` (counted over all runs) and then every `every` octets.
std::vector<std::string> play(const Transcript& transcript, std::size_t cut, std::size_t every) {
    Replay replay(transcript.state);
    replay.answer_with(answers_of(transcript));
    std::size_t at = 0;
    for (const auto& input : joined(transcript)) {
        if (input.kind == 'E') {
            replay.event(input.text);
            continue;
        }
        std::string_view octets = input.text;
        while (!octets.empty()) {
            std::size_t count = std::min(octets.size(), every);
            if (cut > at) count = std::min(count, cut - at);
            replay.bytes(octets.substr(0, count));
            octets.remove_prefix(count);
            at += count;
        }
    }
    return replay.seen();
}

std::string text_of(const std::vector<std::string>& lines) {
    std::string out;
    for (const auto& line : lines) out += line + '\n';
    return out;
}

std::size_t octets_of(const Transcript& transcript) {
    std::size_t total = 0;
    for (const auto& input : transcript.inputs)
        if (input.kind != 'E') total += input.text.size();
    return total;
}

constexpr std::size_t whole = std::size_t(-1);

}  // namespace

TEST_CASE("transcripts replay whole, byte by byte and split anywhere") {
    auto all = Transcript::load_all();
    REQUIRE(all.size() >= 50);
    for (const auto& transcript : all) {
        INFO(transcript.name);
        REQUIRE_FALSE(transcript.expected.empty());
        std::string expected = text_of(transcript.expected);
        CHECK(text_of(play(transcript, 0, whole)) == expected);
        CHECK(text_of(play(transcript, 0, 1)) == expected);
        std::size_t wrong = 0;
        for (std::size_t cut = 1; cut < octets_of(transcript); ++cut)
            wrong += text_of(play(transcript, cut, whole)) != expected;
        CHECK(wrong == 0);
    }
}

// The Nth request fails. What was to answer it must be NO (or OK, when only the news of a finished command
// failed), every command is still answered once, and the session goes on.
TEST_CASE("transcripts survive a failure at every request") {
    std::size_t failures = 0;
    for (const auto& transcript : Transcript::load_all()) {
        for (std::size_t failing = 0; failing < transcript.replies.size(); ++failing) {
            INFO(transcript.name << ", request " << failing << ": " << transcript.replies[failing].first);
            Replay replay(transcript.state);
            std::size_t asked = 0;
            auto answers = answers_of(transcript);
            replay.answer_with([&](const std::string& request) {
                std::string reply = answers(request);
                return asked++ == failing ? "internal made to fail" : reply;
            });
            std::set<std::string> tags;
            bool skipped_literal = false;
            for (const auto& input : transcript.inputs) {
                if (input.kind == 'E') {
                    replay.event(input.text);
                    continue;
                }
                if (input.kind == 'C') {
                    tags.insert(input.text.substr(0, input.text.find_first_of(" \r")));
                    skipped_literal = false;
                }
                // A client that was refused does not send what it was not asked for, nor what follows it.
                if (input.kind == 'L' && !replay.asked_to_go_on()) skipped_literal = true;
                if (!skipped_literal) replay.bytes(input.text);
            }
            replay.bytes("END NOOP\r\n");
            auto seen = replay.seen();
            bool closed = replay.closed();
            for (const auto& tag : tags) {
                auto count = std::ranges::count_if(
                    seen, [&](const auto& l) { return l.starts_with("S: " + tag + ' '); });
                INFO(tag);
                if (!closed) CHECK(count == 1);
                CHECK(count <= 1);
            }
            CHECK((closed || seen.back().starts_with("S: END OK") || seen.back().starts_with("S: END NO")));
            // An internal error's text stays inside.
            CHECK(text_of(seen).find("made to fail") == std::string::npos);
            ++failures;
        }
    }
    CHECK(failures > 150);
}
