#include "mime/fold.hpp"

#include <string.h>
#include <unicode/uchar.h>
#include <unicode/unorm2.h>

#include <iterator>

#include "base/encoding.hpp"
#include "mime/charset.hpp"

namespace fwmail::mime {
namespace {

// Titlecase first, as RFC 5051 says: it joins what lower case alone would keep apart (the dotless i and the
// final sigma).
void append_one(std::string& out, UChar32 c) {
    append_utf8(out, static_cast<char32_t>(u_foldCase(u_totitle(c), U_FOLD_CASE_DEFAULT)));
}

// Japanese charsets have these characters once; programs differ in which one they take them for.
UChar32 unified(UChar32 c) {
    switch (c) {
        case 0x301C:  // wave dash, the full-width tilde
            return '~';
        case 0x2212:  // minus sign, the full-width hyphen-minus
            return '-';
        case 0x2016:  // double vertical line, parallel to
            return 0x2225;
        default:
            return c;
    }
}

const UNormalizer2* nfkd_data() {
    UErrorCode error = U_ZERO_ERROR;
    const UNormalizer2* nfkd = unorm2_getNFKCInstance(&error);  // its data serve both directions
    return U_FAILURE(error) ? nullptr : nfkd;
}

// Calls `take` with each character that `c` is decomposed into.
template <class Take>
void decompose(UChar32 c, const UNormalizer2* nfkd, Take take) {
    bool hangul = c >= 0xAC00 && c <= 0xD7A3;
    char16_t parts[32];  // the longest decomposition has 18
    UErrorCode error = U_ZERO_ERROR;
    std::int32_t count =
        hangul || !nfkd ? -1 : unorm2_getDecomposition(nfkd, c, parts, std::size(parts), &error);
    if (count < 0 || U_FAILURE(error)) return take(c);
    for (std::int32_t i = 0; i < count;) {
        UChar32 part;
        U16_NEXT(parts, i, count, part);
        take(part);
    }
}

}  // namespace

void append_folded(std::string& out, std::string_view utf8) {
    const UNormalizer2* nfkd = nfkd_data();
    while (!utf8.empty()) {
        auto c = static_cast<unsigned char>(utf8[0]);
        if (c >= 0x80) {
            decompose(static_cast<UChar32>(take_utf8(utf8)), nfkd,
                      [&](UChar32 part) { append_one(out, unified(part)); });
            continue;
        }
        if (c != '\r') out += c ? ascii_lower(static_cast<char>(c)) : ' ';
        utf8.remove_prefix(1);
    }
}

std::string fold(std::string_view utf8) {
    std::string out;
    out.reserve(utf8.size());
    append_folded(out, utf8);
    return out;
}

std::string casemap(std::string_view utf8) {
    std::string out;
    out.reserve(utf8.size());
    const UNormalizer2* nfkd = nfkd_data();
    auto take = [&](UChar32 part) { append_utf8(out, static_cast<char32_t>(u_totitle(part))); };
    while (!utf8.empty()) {
        char c = utf8[0];
        if (static_cast<unsigned char>(c) >= 0x80) {
            decompose(u_totitle(static_cast<UChar32>(take_utf8(utf8))), nfkd, take);
            continue;
        }
        out += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
        utf8.remove_prefix(1);
    }
    return out;
}

bool contains(std::string_view folded, std::string_view folded_needle) {
    // memmem is linear whatever the octets are; std::search is not.
    return folded_needle.empty() ||
           memmem(folded.data(), folded.size(), folded_needle.data(), folded_needle.size());
}

}  // namespace fwmail::mime
