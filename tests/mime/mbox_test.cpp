// mbox files, and line ends.
#include "mime/mbox.hpp"

#include <catch2/catch.hpp>
#include <random>

using namespace fwmail;
using namespace fwmail::mime;

namespace {

struct Read {
    std::int64_t date = 0;
    std::string text, flags;
    bool operator==(const Read&) const = default;
};

std::vector<Read> read(std::string_view file, std::size_t split, MboxQuoting quoting = MboxQuoting::rd) {
    MboxReader reader(quoting);
    std::vector<Read> out;
    auto take = [&](std::vector<MboxEvent> events) {
        for (auto& event : events) {
            if (auto* begin = std::get_if<MboxBegin>(&event)) out.push_back({begin->date.value, "", ""});
            if (auto* content = std::get_if<MboxContent>(&event)) out.back().text += content->octets;
            if (auto* end = std::get_if<MboxEnd>(&event)) out.back().flags = end->flags.text();
        }
    };
    take(reader.add(file.substr(0, split)));
    take(reader.add(file.substr(std::min(split, file.size()))));
    take(reader.finish());
    return out;
}

}  // namespace

TEST_CASE("mbox: separators") {
    CHECK(parse_mbox_separator("From a@b Sat Nov 21 12:00:00 2026\n")->value == 1795262400000);
    CHECK(parse_mbox_separator("From - Sat Nov 21 12:00:00 2026")->value == 1795262400000);
    CHECK(parse_mbox_separator("From a@b Sat Nov 21 12:00 +0100 2026\r\n")->value == 1795258800000);
    CHECK(parse_mbox_separator("From a b c Sat Nov 21 12:00:00 2026 -0100")->value == 1795266000000);
    CHECK(parse_mbox_separator("From a@b Thu Jan  1 00:00:00 1970")->value == 0);
    for (auto text :
         {"From here on", "From a@b Sat Nov 21 25:00:00 2026", "From a@b Sat Nov 31 12:00:00 2026",
          "from a@b Sat Nov 21 12:00:00 2026", "From a@b Sat Nov 21", "From ", ""})
        CHECK_FALSE(parse_mbox_separator(text));
}

TEST_CASE("mbox: what programs write") {
    std::string file =
        "From a@b Sat Nov 21 12:00:00 2026\nSubject: one\nStatus: RO\nX-Status: AF\nX-Keywords: $Junk "
        "later\n\n"
        "text\n>From here\n>>From there\n>Fromage\nFrom the start\n\nFrom nowhere\n\n\n"
        "From - Sat Nov 21 12:00:01 2026\nSubject: two\n\n\n"
        "From x Sat Nov 21 12:00:02 2026\nStatus: O\n\nlast, without an end";
    std::vector<Read> expected{
        {1795262400000,
         "Subject: one\n\ntext\nFrom here\n>From there\n>Fromage\nFrom the start\n\nFrom nowhere\n\n",
         "\\Answered \\Flagged \\Seen $Junk later"},
        {1795262401000, "Subject: two\n\n", ""},
        {1795262402000, "\nlast, without an end", ""},
    };
    for (std::size_t split = 0; split <= file.size(); ++split) {
        INFO("split at " << split);
        REQUIRE(read(file, split) == expected);
    }
    CHECK(read(file, 0, MboxQuoting::o)[0].text.find("\n>>From there") != std::string::npos);
    CHECK(read("no mbox at all\n\nnone\n", 0).empty());
    // A keyword comes to stand in responses of IMAP: what is no atom would be more than a word there.
    std::string odd = "From x Sat Nov 21 12:00:02 2026\nX-Keywords: a) {5} \"q\" \xe4 good " +
                      std::string(101, 'k') + "\r\n\nx\n";
    CHECK(read(odd, 0).at(0).flags == "good");
}

TEST_CASE("mbox: what is written is read again") {
    std::mt19937 random(11);
    static constexpr std::string_view words[] = {
        "From ", ">From ", ">>From ", "\n", "\n\n", "a", "x: y\n", "From a@b Sat Nov 21 12:00:00 2026\n",
        "Fro",   ">",      "F"};
    for (int round = 0; round < 2000; ++round) {
        std::string file;
        std::vector<Read> expected;
        for (int n = 0; n < 3; ++n) {
            std::string message = "A: b\n\n";
            for (unsigned i = random() % 8; i > 0; --i) message += words[random() % std::size(words)];
            if (!message.ends_with('\n')) message += '\n';
            FlagSet flags;
            flags.system = random() % 32;
            if (random() % 2) flags.add_keyword("$Forwarded");
            UnixMillis date{static_cast<std::int64_t>(random()) * 1000};
            MboxWriter writer(date, flags);
            std::size_t split = random() % message.size();
            file += writer.add(message.substr(0, split));
            file += writer.add(message.substr(split));
            file += writer.finish();
            expected.push_back({date.value, message, flags.text()});
        }
        INFO(file);
        REQUIRE(read(file, random() % file.size()) == expected);
    }
}

TEST_CASE("line ends of files") {
    auto to_crlf = [](std::string_view text, std::size_t split) {
        LineEndsToCrlf convert;
        std::string out = convert.add(text.substr(0, split));
        return out + convert.add(text.substr(split));
    };
    std::string lf = "a\nb\n\nc", crlf = "a\r\nb\r\n\r\nc";
    for (std::size_t split = 0; split <= lf.size(); ++split) CHECK(to_crlf(lf, split) == crlf);
    for (std::size_t split = 0; split <= crlf.size(); ++split) CHECK(to_crlf(crlf, split) == crlf);
    CHECK(to_crlf("a\r\nb\nc", 2) == "a\r\nb\nc");  // mixed: as it is
    CHECK(to_crlf("a\nb\r\nc\n", 1) == "a\r\nb\r\nc\r\n");
    LineEndsToLf back;
    CHECK(back.add("a\r") + back.add("\nb\r\n\r\nc") + back.finish() == lf);
    auto all_crlf = [](std::string_view text) {
        LineEndsCheck check;
        check.add(text.substr(0, text.size() / 2));
        check.add(text.substr(text.size() / 2));
        return check.all_crlf();
    };
    CHECK(all_crlf(crlf));
    CHECK(all_crlf(""));
    CHECK_FALSE(all_crlf("a\nb"));
    CHECK_FALSE(all_crlf("a\r\nb\r"));
    CHECK_FALSE(all_crlf("a\rb\r\n"));
}
