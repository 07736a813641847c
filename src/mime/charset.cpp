#include "mime/charset.hpp"

#include <unicode/ucnv.h>
#include <unicode/ucnv_cb.h>
#include <unicode/udata.h>

#include <algorithm>
#include <map>
#include <utility>

#include "base/encoding.hpp"
#include "mime/utf8_sequence.hpp"

namespace fwmail::mime {
namespace {

enum class Way {
    guess,   // UTF-8 octet by octet, windows-1252 where it is none
    utf8,    // broken sequences become U+FFFD
    icu,     // a converter of ICU's
    hz,      // RFC 1843: 7-bit GB 2312
    shifted  // RFC 1557, iso-2022-kr: 7-bit KS C 5601
};
struct Known {
    Way way = Way::guess;
    const char* name = nullptr;  // ICU's
};

// Where a name means something else to mail programs than to ICU: mostly a superset, that of WHATWG's
// encodings.
const std::map<std::string_view, Known>& own_names() {
    constexpr Known utf8{Way::utf8}, guess{Way::guess};
    constexpr Known latin1{Way::icu, "windows-1252"}, turkish{Way::icu, "windows-1254"};
    constexpr Known thai{Way::icu, "windows-874"}, hebrew{Way::icu, "iso-8859-8"};
    constexpr Known chinese{Way::icu, "gb18030"}, taiwan{Way::icu, "big5-hkscs"};
    constexpr Known korean{Way::icu, "windows-949"}, japanese{Way::icu, "shift_jis"};
    // All that was ever designated in a mail of that kind, half-width katakana too.
    constexpr Known iso2022jp{Way::icu, "JIS7"};
    static const std::map<std::string_view, Known> names{{"", guess},
                                                         {"us-ascii", guess},
                                                         {"ascii", guess},
                                                         {"ansi_x3.4-1968", guess},
                                                         {"iso646-us", guess},
                                                         {"iso_646.irv:1991", guess},
                                                         {"646", guess},
                                                         {"7bit", guess},
                                                         {"8bit", guess},
                                                         {"binary", guess},
                                                         {"unknown-8bit", guess},
                                                         {"x-unknown", guess},
                                                         {"utf-8", utf8},
                                                         {"utf8", utf8},
                                                         {"unicode-1-1-utf-8", utf8},
                                                         {"csutf8", utf8},
                                                         {"utf-8-sig", utf8},
                                                         {"cp65001", utf8},
                                                         {"iso-8859-1", latin1},
                                                         {"iso8859-1", latin1},
                                                         {"iso_8859-1", latin1},
                                                         {"iso_8859-1:1987", latin1},
                                                         {"latin1", latin1},
                                                         {"latin-1", latin1},
                                                         {"l1", latin1},
                                                         {"cp819", latin1},
                                                         {"x-cp1252", latin1},
                                                         {"latin-9", {Way::icu, "iso-8859-15"}},
                                                         {"iso-8859-9", turkish},
                                                         {"iso8859-9", turkish},
                                                         {"iso_8859-9", turkish},
                                                         {"latin5", turkish},
                                                         {"l5", turkish},
                                                         {"iso-8859-11", thai},
                                                         {"iso8859-11", thai},
                                                         {"tis-620", thai},
                                                         {"iso-8859-8-i", hebrew},
                                                         {"iso-8859-8-e", hebrew},
                                                         {"koi8", {Way::icu, "koi8-r"}},
                                                         {"koi8-ru", {Way::icu, "koi8-u"}},
                                                         {"gb2312", chinese},
                                                         {"gb_2312-80", chinese},
                                                         {"gb_2312", chinese},
                                                         {"euc-cn", chinese},
                                                         {"eucgb2312_cn", chinese},
                                                         {"gbk", chinese},
                                                         {"x-gbk", chinese},
                                                         {"cp936", chinese},
                                                         {"ms936", chinese},
                                                         {"windows-936", chinese},
                                                         {"chinese", chinese},
                                                         {"big5", taiwan},
                                                         {"big5_tw", taiwan},
                                                         {"big-5", taiwan},
                                                         {"x-x-big5", taiwan},
                                                         {"cn-big5", taiwan},
                                                         {"cp950", taiwan},
                                                         {"csbig5", taiwan},
                                                         {"big5hkscs", taiwan},
                                                         {"euc-kr", korean},
                                                         {"cp949", korean},
                                                         {"uhc", korean},
                                                         {"ks_c_5601", korean},
                                                         {"ks_c_5601-1987", korean},
                                                         {"ks_c_5601-1989", korean},
                                                         {"ksc5601", korean},
                                                         {"ksc_5601", korean},
                                                         {"korean", korean},
                                                         {"shift-jis", japanese},
                                                         {"sjis", japanese},
                                                         {"x-sjis", japanese},
                                                         {"cp932", japanese},
                                                         {"ms932", japanese},
                                                         {"windows-31j", japanese},
                                                         {"iso-2022-jp", iso2022jp},
                                                         {"iso-2022-jp-1", iso2022jp},
                                                         {"iso-2022-jp-2", iso2022jp},
                                                         {"iso-2022-jp-3", iso2022jp},
                                                         {"iso-2022-jp-ms", iso2022jp},
                                                         {"cp50220", iso2022jp},
                                                         {"cp50221", iso2022jp},
                                                         {"csiso2022jp", iso2022jp},
                                                         {"hz-gb-2312", {Way::hz, "gb18030"}},
                                                         {"hz", {Way::hz, "gb18030"}},
                                                         {"iso-2022-kr", {Way::shifted, "windows-949"}},
                                                         {"csiso2022kr", {Way::shifted, "windows-949"}}};
    return names;
}

struct Close {
    void operator()(UConverter* converter) const { ucnv_close(converter); }
};
using Converter = std::unique_ptr<UConverter, Close>;

// What a charset does not know becomes U+FFFD; left alone, ICU gives U+001A for some.
void replace(const void*, UConverterToUnicodeArgs* args, const char*, std::int32_t,
             UConverterCallbackReason reason, UErrorCode* error) {
    if (reason > UCNV_IRREGULAR) return;
    constexpr char16_t replacement = 0xFFFD;
    *error = U_ZERO_ERROR;
    ucnv_cbToUWriteUChars(args, &replacement, 1, 0, error);
}

Converter open(const char* name) {
    // Data comes from this program alone: no folder and no environment variable is looked at.
    static const bool sealed = [] {
        UErrorCode error = U_ZERO_ERROR;
        udata_setFileAccess(UDATA_NO_FILES, &error);
        return U_SUCCESS(error);
    }();
    UErrorCode error = sealed ? U_ZERO_ERROR : U_INTERNAL_PROGRAM_ERROR;
    Converter converter(ucnv_open(name, &error));
    if (U_FAILURE(error)) return nullptr;
    ucnv_setToUCallBack(converter.get(), replace, nullptr, nullptr, nullptr, &error);
    return U_SUCCESS(error) ? std::move(converter) : nullptr;
}

// Nothing that ICU would read as an option or a path.
bool is_charset_name(std::string_view name) {
    return name.size() <= 50 && std::ranges::all_of(name, [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' ||
                      c == ':';
           });
}

// ICU knows encodings that are nobody's mail: compressions, and what is only its own.
bool is_foreign_to_mail(std::string_view name) {
    return name.starts_with("scsu") || name.starts_with("bocu") || name.starts_with("lmbcs") ||
           name.starts_with("imap") || name.starts_with("iscii") || name.starts_with("x11") ||
           name.starts_with("cesu") || name.find("compound") != std::string_view::npos;
}

struct Opened {
    Way way = Way::guess;
    Converter converter;
};
std::optional<Opened> find_charset(std::string_view charset) {
    std::string name = ascii_lower(charset);
    auto own = own_names().find(name);
    if (own != own_names().end()) {
        Opened opened{own->second.way, nullptr};
        if (own->second.name && !(opened.converter = open(own->second.name))) return std::nullopt;
        return opened;
    }
    if (!is_charset_name(name) || is_foreign_to_mail(name)) return std::nullopt;
    Opened opened{Way::icu, open(name.c_str())};
    if (!opened.converter) return std::nullopt;
    return opened;
}

// Octets that no UTF-8 explains, as windows-1252.
class Western {
  public:
    void append(char octet, std::string& out) {
        if (!converter_) converter_ = open("windows-1252");
        UErrorCode error = U_ZERO_ERROR;
        const char* from = &octet;
        UChar32 c = converter_ ? ucnv_getNextUChar(converter_.get(), &from, &octet + 1, &error) : 0xFFFD;
        append_utf8(out, U_SUCCESS(error) ? static_cast<char32_t>(c) : 0xFFFD);
    }

  private:
    Converter converter_;
};

}  // namespace

struct CharsetDecoder::State {
    Way way = Way::guess;
    Converter converter;
    Western western;
    std::string pending;     // utf8, guess: a character that is not whole yet. hz, shifted: an escape
    bool shift_out = false;  // hz, shifted: two-octet characters follow
    bool half = false;       // hz: of which the first octet has come
    char16_t high = 0;       // a high surrogate whose low one has not come

    void convert(std::string_view octets, bool last, std::string& out);
    void by_utf8(std::string_view octets, std::string& out);
    std::string unshift(std::string_view octets);
    void unshift_korean(char c, std::string& out);
    void unshift_hz(char c, std::string& out);
    void put_shifted(char c, std::string& out);
    void put(char16_t unit, std::string& out);
};

void CharsetDecoder::State::put(char16_t unit, std::string& out) {
    if (high && (unit & 0xFC00) == 0xDC00) {
        append_utf8(out, 0x10000 + ((high & 0x3FFu) << 10 | (unit & 0x3FFu)));
        high = 0;
        return;
    }
    if (high) append_utf8(out, 0xFFFD);
    high = (unit & 0xFC00) == 0xD800 ? unit : 0;
    if (!high) append_utf8(out, unit);
}

void CharsetDecoder::State::convert(std::string_view octets, bool last, std::string& out) {
    const char* from = octets.data();
    const char* end = from + octets.size();
    char16_t buffer[1024];
    for (;;) {
        char16_t* to = buffer;
        UErrorCode error = U_ZERO_ERROR;
        ucnv_toUnicode(converter.get(), &to, buffer + std::size(buffer), &from, end, nullptr, last, &error);
        for (const char16_t* unit = buffer; unit != to; ++unit) put(*unit, out);
        if (error == U_BUFFER_OVERFLOW_ERROR) continue;
        if (U_FAILURE(error)) append_utf8(out, 0xFFFD);  // not foreseen: the callback takes all that may come
        break;
    }
    if (last && high) append_utf8(out, 0xFFFD);
}

// `octets` begins with whole characters and may end with a broken one only when the text ends.
void CharsetDecoder::State::by_utf8(std::string_view octets, std::string& out) {
    while (!octets.empty()) {
        int n = utf8_sequence(octets);
        std::size_t taken = static_cast<std::size_t>(n < 0 ? -n : n);
        if (n > 0)
            out += octets.substr(0, taken);
        else if (way == Way::utf8)
            out += "\xEF\xBF\xBD";
        else
            for (char c : octets.substr(0, taken)) western.append(c, out);
        octets.remove_prefix(taken);
    }
}

// RFC 1557: SO and SI shift; ESC $ ) C says what SO stands for, and it always stands for that.
void CharsetDecoder::State::unshift_korean(char c, std::string& out) {
    if (!pending.empty()) {
        pending += c;
        if (pending.size() >= 4 || !std::string_view("\x1b$)C").starts_with(pending)) pending.clear();
    } else if (c == '\x1b') {
        pending = c;
    } else if (c == '\x0e' || c == '\x0f') {
        shift_out = c == '\x0e';
    } else {
        put_shifted(c, out);
    }
}

// RFC 1843: ~{ and ~} shift, ~~ is a tilde, ~ at the end of a line joins lines. The second octet of a
// character may be a tilde too.
void CharsetDecoder::State::unshift_hz(char c, std::string& out) {
    if (half) {
        half = false;
        put_shifted(c, out);
    } else if (!pending.empty()) {
        pending.clear();
        if (c == '{' || c == '}')
            shift_out = c == '{';
        else if (c == '~')
            out += '~';
        else if (c != '\n')
            (out += '~') += c;
    } else if (c == '~') {
        pending = c;
    } else {
        half = shift_out && c > 0x20 && c < 0x7f;
        put_shifted(c, out);
    }
}

// Two-octet characters get their high bits. Both encodings begin each line with ASCII.
void CharsetDecoder::State::put_shifted(char c, std::string& out) {
    if (c == '\n') shift_out = false;
    out += shift_out && c > 0x20 && c < 0x7f ? static_cast<char>(c | 0x80) : c;
}

std::string CharsetDecoder::State::unshift(std::string_view octets) {
    std::string out;
    for (char c : octets)
        if (way == Way::hz)
            unshift_hz(c, out);
        else
            unshift_korean(c, out);
    return out;
}

CharsetDecoder::CharsetDecoder(std::string_view charset) : state_(std::make_unique<State>()) {
    if (auto found = find_charset(charset)) {
        state_->way = found->way;
        state_->converter = std::move(found->converter);
    }
}
CharsetDecoder::CharsetDecoder(CharsetDecoder&&) noexcept = default;
CharsetDecoder& CharsetDecoder::operator=(CharsetDecoder&&) noexcept = default;
CharsetDecoder::~CharsetDecoder() = default;

void CharsetDecoder::feed(std::string_view octets, std::string& utf8) {
    switch (state_->way) {
        case Way::guess:
        case Way::utf8: {
            std::string joined;
            if (!state_->pending.empty()) {
                joined = std::exchange(state_->pending, {});
                joined += octets;
                octets = joined;
            }
            std::size_t whole = cut_utf8(octets);
            state_->by_utf8(octets.substr(0, whole), utf8);
            state_->pending = octets.substr(whole);
            return;
        }
        case Way::icu:
            return state_->convert(octets, false, utf8);
        case Way::hz:
        case Way::shifted:
            return state_->convert(state_->unshift(octets), false, utf8);
    }
}

void CharsetDecoder::finish(std::string& utf8) {
    switch (state_->way) {
        case Way::guess:
        case Way::utf8:
            return state_->by_utf8(std::exchange(state_->pending, {}), utf8);
        case Way::icu:
        case Way::hz:
        case Way::shifted:
            return state_->convert({}, true, utf8);
    }
}

std::optional<std::string> to_utf8(std::string_view charset, std::string_view octets) {
    std::string name = ascii_lower(charset);
    if (auto own = own_names().find(name); own != own_names().end()) {
        if (own->second.way == Way::guess) return guess_utf8(octets);
        if (own->second.way == Way::utf8) return repair_utf8(octets);
    } else if (!knows_charset(name)) {
        return std::nullopt;
    }
    CharsetDecoder decoder(name);
    std::string out;
    out.reserve(octets.size() + octets.size() / 2);
    decoder.feed(octets, out);
    decoder.finish(out);
    return out;
}

bool knows_charset(std::string_view charset) { return find_charset(charset).has_value(); }

std::string_view charset_names() {
    return "UTF-8 US-ASCII ISO-8859-1 ISO-8859-2 ISO-8859-15 windows-1250 windows-1251 windows-1252 KOI8-R "
           "KOI8-U ISO-2022-JP Shift_JIS EUC-JP GB18030 GBK GB2312 Big5 EUC-KR UTF-7 UTF-16";
}

std::string guess_utf8(std::string_view octets) {
    if (is_valid_utf8(octets)) return std::string(octets);
    Western western;
    std::string out;
    out.reserve(octets.size() + octets.size() / 8);
    for (char c : octets)
        if (static_cast<unsigned char>(c) < 0x80)
            out += c;
        else
            western.append(c, out);
    return out;
}

}  // namespace fwmail::mime
