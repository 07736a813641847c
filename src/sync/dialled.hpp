// What goes over a dialled line: the handshake by which both nodes prove who they are, then frames and what
// became of them. fwmail-sync(7) has the octets. The server is the node that listens, the client the one that
// dials.
//
//     server: LineChallenge            who are you?
//     client: LineHello                one who knows this link, and a challenge of its own
//     server: LineProof                signed by its link key
//     client: LineProof                likewise
//     server: LineOpen
//     either: LineFrame, LineAnswer
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "base/ids.hpp"
#include "base/result.hpp"

namespace fwmail::sync {

// WebSocket subprotocol; also what every signature of the handshake begins with.
inline constexpr std::string_view line_protocol = "fwmail.frame.1";
// Frames that may be without an answer, in each direction.
inline constexpr std::size_t line_window = 4;
inline constexpr std::size_t max_handshake_octets = 1024;
inline constexpr std::size_t max_signature_octets = 512;
inline constexpr std::size_t max_answer_text = 500;
// Of a LineFrame before the frame itself, and of a whole LineAnswer.
inline constexpr std::size_t line_frame_overhead = 16, max_answer_octets = 1024;

using LineRandom = std::array<std::uint8_t, 32>;

struct LineChallenge {
    LineRandom random{};
    bool operator==(const LineChallenge&) const = default;
};
struct LineHello {
    LineRandom random{};
    LineRandom link{};  // SHA-256 of line_statement(LineParty::link, ...)
    bool operator==(const LineHello&) const = default;
};
struct LineProof {
    std::uint64_t largest = 0;  // octets of a sealed frame, that its author takes
    std::string signature;      // detached, of line_statement()
    bool operator==(const LineProof&) const = default;
};
struct LineOpen {
    bool operator==(const LineOpen&) const = default;
};
struct LineFrame {
    std::uint64_t number = 0;  // 1, 2, 3, ... on this line and in this direction
    std::string sealed;        // an OpenPGP message with a frame inside, as the body of node mail
    bool operator==(const LineFrame&) const = default;
};
enum class LineVerdict : std::uint8_t {
    applied = 0,  // and stored: SMTP's 250
    later = 1,    // 4xx
    refused = 2,  // 5xx
};
struct LineAnswer {
    std::uint64_t number = 0;
    LineVerdict verdict = LineVerdict::applied;
    std::string text;  // why, plain UTF-8 of at most max_answer_text octets
    bool operator==(const LineAnswer&) const = default;
};
using LineMessage = std::variant<LineChallenge, LineHello, LineProof, LineOpen, LineFrame, LineAnswer>;

std::string write_line_message(const LineMessage& message);
// Everything that is not written by write_line_message() is `protocol`. Does not bound LineFrame: the
// transport does.
Result<LineMessage> parse_line_message(std::string_view octets);

// The message that is due now; another one is `protocol`.
template <class Message>
Result<Message> expect_line_message(std::string_view octets) {
    auto message = TRY(parse_line_message(octets));
    if (auto* due = std::get_if<Message>(&message)) return std::move(*due);
    return fail(ErrorKind::protocol, "a message of the dialled line came out of turn");
}

// What text is fit for a LineAnswer: cut, and without what is not plain.
std::string line_answer_text(std::string text);

enum class LineParty { link, server, client };
// What both ends know, and what only this connection has. `binding` is the TLS connection's exporter (RFC
// 9266).
struct LineFacts {
    NodeId server, client;
    std::string binding;
    LineRandom server_random{}, client_random{};
};
// What is hashed to name the link, without telling it to whom does not know both nodes' ids; and what each
// party signs. `largest` is as in the party's own LineProof; 0 for the link.
std::string line_statement(LineParty party, const LineFacts& facts, std::uint64_t largest);

}  // namespace fwmail::sync
