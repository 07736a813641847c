#include "sync/dialled.hpp"

#include <algorithm>
#include <cstring>

#include "base/utf8.hpp"
#include "sync/wire.hpp"

namespace fwmail::sync {
namespace {

enum class Tag : std::uint8_t { challenge = 1, hello = 2, proof = 3, open = 4, frame = 5, answer = 6 };

void write_random(Writer& out, const LineRandom& random) {
    out.raw({reinterpret_cast<const char*>(random.data()), random.size()});
}

Result<LineRandom> read_random(Reader& in) {
    LineRandom random;
    auto octets = TRY(in.raw(random.size()));
    std::memcpy(random.data(), octets.data(), random.size());
    return random;
}

std::string_view party_name(LineParty party) {
    switch (party) {
        case LineParty::link:
            return "link";
        case LineParty::server:
            return "server";
        case LineParty::client:
            return "client";
    }
    return {};
}

void write(Writer& out, const LineChallenge& challenge) {
    out.byte(static_cast<std::uint8_t>(Tag::challenge));
    write_random(out, challenge.random);
}

void write(Writer& out, const LineHello& hello) {
    out.byte(static_cast<std::uint8_t>(Tag::hello));
    write_random(out, hello.random);
    write_random(out, hello.link);
}

void write(Writer& out, const LineProof& proof) {
    out.byte(static_cast<std::uint8_t>(Tag::proof));
    out.varint(proof.largest);
    out.octets(proof.signature);
}

void write(Writer& out, const LineOpen&) { out.byte(static_cast<std::uint8_t>(Tag::open)); }

void write(Writer& out, const LineFrame& frame) {
    out.byte(static_cast<std::uint8_t>(Tag::frame));
    out.varint(frame.number);
    out.raw(frame.sealed);
}

void write(Writer& out, const LineAnswer& answer) {
    out.byte(static_cast<std::uint8_t>(Tag::answer));
    out.varint(answer.number);
    out.byte(static_cast<std::uint8_t>(answer.verdict));
    out.octets(answer.text);
}

Result<LineAnswer> read_answer(Reader& in) {
    LineAnswer answer;
    answer.number = TRY(in.varint(max_number));
    auto verdict = TRY(in.byte());
    if (verdict > static_cast<std::uint8_t>(LineVerdict::refused))
        return fail(ErrorKind::protocol, "no such verdict");
    answer.verdict = static_cast<LineVerdict>(verdict);
    answer.text = TRY(in.octets(max_answer_text));
    if (!is_plain_utf8(answer.text)) return fail(ErrorKind::protocol, "its text is not plain");
    return answer;
}

Result<LineMessage> read_message(Reader& in) {
    switch (static_cast<Tag>(TRY(in.byte()))) {
        case Tag::challenge:
            return LineChallenge{TRY(read_random(in))};
        case Tag::hello: {
            auto random = TRY(read_random(in));
            return LineHello{random, TRY(read_random(in))};
        }
        case Tag::proof: {
            auto largest = TRY(in.varint());
            return LineProof{largest, std::string(TRY(in.octets(max_signature_octets)))};
        }
        case Tag::open:
            return LineOpen{};
        case Tag::frame: {
            auto number = TRY(in.varint(max_number));
            return LineFrame{number, std::string(TRY(in.raw(in.remaining())))};
        }
        case Tag::answer:
            return TRY(read_answer(in));
    }
    return fail(ErrorKind::protocol, "of no known kind");
}

}  // namespace

std::string write_line_message(const LineMessage& message) {
    Writer out;
    std::visit([&](const auto& one) { write(out, one); }, message);
    return std::move(out).text();
}

Result<LineMessage> parse_line_message(std::string_view octets) {
    Reader in(octets);
    auto message = read_message(in);
    if (message && !in.at_end()) message = fail(ErrorKind::protocol, "too long");
    if (!message)
        return fail(ErrorKind::protocol, "a message of the dialled line is damaged: " + message.error().text);
    return message;
}

std::string line_answer_text(std::string text) {
    std::ranges::replace_if(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
    if (!is_plain_utf8(text)) std::ranges::replace_if(text, [](unsigned char c) { return c >= 0x80; }, '?');
    while (text.size() > max_answer_text || !is_utf8(text))
        text.resize(std::min(text.size() - 1, max_answer_text));
    return text;
}

std::string line_statement(LineParty party, const LineFacts& facts, std::uint64_t largest) {
    Writer out;
    out.octets(line_protocol);
    out.octets(party_name(party));
    out.id(facts.server);
    out.id(facts.client);
    out.octets(facts.binding);
    write_random(out, facts.server_random);
    write_random(out, facts.client_random);
    out.varint(largest);
    return std::move(out).text();
}

}  // namespace fwmail::sync
