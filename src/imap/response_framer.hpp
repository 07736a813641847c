// A server's octets into responses (RFC 9051 7), for the client session. All limits on what a server says are
// here.
//
// Literals stand in a response as they came, `{3}\r\nabc`, but for those that are a message's content in
// FETCH
// (`BODY[...] {n}`): they are handed out in pieces and never kept, and `{~n}\r\n` stands in their place,
// which no server can write there itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace fwmail::imap {

struct ResponseLimits {
    std::size_t response = 1 << 20;       // octets of one response, without what is handed out in pieces
    std::uint64_t streamed = 1ull << 32;  // octets of one literal that is
};

struct FramedResponse {
    std::string text;  // without its line end
};
struct StreamBegin {
    std::string text;  // of the response, up to the literal
    std::uint64_t size = 0;
};
struct StreamData {
    std::string octets;
};
struct BrokenResponse {  // nothing can be read any more
    std::string why;
};
using ResponseEvent = std::variant<FramedResponse, StreamBegin, StreamData, BrokenResponse>;

class ResponseFramer {
  public:
    explicit ResponseFramer(ResponseLimits limits = {}) : limits_(limits) {}

    void feed(std::string_view octets) { buffer_.append(octets); }
    std::optional<ResponseEvent> next();
    // Anything has come that was not handed out, or half a response.
    bool has_leftover() const { return head_ < buffer_.size() || !text_.empty(); }
    void clear();

  private:
    std::optional<ResponseEvent> next_line();
    std::optional<ResponseEvent> next_literal();
    ResponseEvent broken(std::string why);
    void compact();

    ResponseLimits limits_;
    std::string buffer_;
    std::size_t head_ = 0;           // used up to here
    std::size_t scanned_ = 0;        // no line end between head_ and here
    std::string text_;               // of the response, so far
    std::size_t after_literal_ = 0;  // where its last literal ends in text_
    std::uint64_t literal_ = 0;
    bool in_literal_ = false, streaming_ = false, dead_ = false;
};

}  // namespace fwmail::imap
