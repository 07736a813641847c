// Charsets to UTF-8: UTF-8 by hand, everything else by ICU.
//
// Whatever comes in, valid UTF-8 comes out: what a charset does not know becomes U+FFFD, and a charset that
// is not known is guessed. What comes out is at most eight times as long as what went in.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace fwmail::mime {

bool is_valid_utf8(std::string_view octets);  // RFC 3629: no surrogates, no overlong forms
// Every octet that belongs to no valid sequence becomes U+FFFD (one for each maximal broken prefix).
std::string repair_utf8(std::string_view octets);
void append_utf8(std::string& out, char32_t character);
// Takes the first character from valid UTF-8 that is not empty. Of broken UTF-8: U+FFFD, and one octet.
char32_t take_utf8(std::string_view& text);

// Text of `charset` (IANA name or common alias, any case; "" is us-ascii) as valid UTF-8; nullopt for a
// charset not known. us-ascii with 8-bit octets is taken for UTF-8 where valid, else for windows-1252. As
// every mail program does (WHATWG's table of encodings), a charset is read as its superset: iso-8859-1 as
// windows-1252, gb2312 as gb18030, euc-kr as cp949 and so on.
std::optional<std::string> to_utf8(std::string_view charset, std::string_view octets);
bool knows_charset(std::string_view charset);
// Names to give to whoever asked for a charset that is not known; there are more.
std::string_view charset_names();

// Text that names no charset: UTF-8 if valid, else windows-1252.
std::string guess_utf8(std::string_view octets);

// The same for text that comes in pieces. What comes out does not depend on how it was cut, and each piece of
// it is whole characters. A charset that is not known, and us-ascii, are guessed by the octet: what is no
// valid UTF-8 is windows-1252.
class CharsetDecoder {
  public:
    explicit CharsetDecoder(std::string_view charset);
    CharsetDecoder(CharsetDecoder&&) noexcept;
    CharsetDecoder& operator=(CharsetDecoder&&) noexcept;
    ~CharsetDecoder();
    void feed(std::string_view octets, std::string& utf8);
    // Appends the rest. The decoder is then spent.
    void finish(std::string& utf8);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace fwmail::mime
