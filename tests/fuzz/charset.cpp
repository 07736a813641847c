// Charsets, and text made comparable. The text's first line names a charset, or the first steering octet
// does.
#include "mime/charset.hpp"

#include <algorithm>
#include <vector>

#include "fuzz/fuzz.hpp"
#include "imap/parser.hpp"
#include "mime/fold.hpp"

using namespace fwmail;
using namespace fwmail::fuzz;

namespace {

void try_charset(const std::string& name, std::string_view octets, std::uint32_t seed) {
    mime::CharsetDecoder at_once(name), bit_by_bit(name);
    std::string whole, pieces;
    at_once.feed(octets, whole);
    at_once.finish(whole);
    in_pieces(octets, seed, [&](std::string_view piece) {
        bit_by_bit.feed(piece, pieces);
        require(mime::is_valid_utf8(pieces), "each piece is whole characters");
    });
    bit_by_bit.finish(pieces);
    require(whole == pieces, "what comes out does not depend on how it was cut");
    require(mime::is_valid_utf8(whole), "valid UTF-8 comes out");
    require(whole.size() <= octets.size() * 8, "at most eight times as long");

    auto text = mime::to_utf8(name, octets);
    require(text.has_value() == mime::knows_charset(name), "known charsets are read");
    if (!text) return;
    require(mime::is_valid_utf8(*text) && text->size() <= octets.size() * 8, "valid and bounded");
    // us-ascii and its like are guessed as a whole, or by the octet.
    if (*text != whole) require(*text == mime::guess_utf8(octets), "both ways of reading agree");
}

void try_utf8(std::string_view octets, std::uint8_t split) {
    std::string repaired = mime::repair_utf8(octets);
    require(mime::is_valid_utf8(repaired), "repaired text is valid");
    require(mime::is_valid_utf8(octets) == (repaired == octets), "valid text is left alone, other is not");
    require(mime::repair_utf8(repaired) == repaired, "repaired once is repaired");
    require(mime::is_valid_utf8(mime::guess_utf8(octets)), "guessed text is valid");

    std::string again, folded;
    std::size_t cut = octets.empty() ? 0 : split % (repaired.size() + 1);
    while (cut < repaired.size() && (repaired[cut] & 0xC0) == 0x80) ++cut;
    for (std::string_view rest = repaired; !rest.empty();) mime::append_utf8(again, mime::take_utf8(rest));
    require(again == repaired, "taken and appended it is the same");
    folded = mime::fold(repaired);
    require(folded == mime::fold(repaired.substr(0, cut)) + mime::fold(repaired.substr(cut)),
            "folding goes by the character");
    require(folded.size() <= repaired.size() * 18, "folded text is bounded");
    require(mime::is_valid_utf8(folded), "folded text is valid");
    require(folded.find_first_of(std::string_view("\0\r", 2)) == std::string::npos, "without NUL and CR");
    std::string part = mime::fold(repaired.substr(0, cut));
    require(mime::contains(folded, part), "a text contains its parts");
    require(mime::contains(folded, part) == (folded.find(part) != std::string::npos), "contains() is find()");
}

void try_mailbox_name(std::string_view octets) {
    if (auto name = imap::decode_mailbox_name(octets)) {
        require(mime::is_valid_utf8(*name), "a mailbox name is valid UTF-8");
        require(imap::encode_mailbox_name(*name) == octets, "a mailbox name has one encoding");
    }
    std::string name = mime::repair_utf8(octets);
    if (name.find('\0') != std::string::npos) return;  // no name has one
    auto decoded = imap::decode_mailbox_name(imap::encode_mailbox_name(name));
    require(decoded == name, "what is encoded can be decoded");
}

}  // namespace

FUZZ_TARGET(charset) {
    static const std::vector<std::string> known = [] {
        std::vector<std::string> names = {"", "us-ascii", "utf-8", "utf-16", "utf-16le", "utf-32", "utf-7"};
        std::string_view rest = mime::charset_names();
        for (std::size_t end; !rest.empty(); rest.remove_prefix(std::min(end + 1, rest.size()))) {
            end = std::min(rest.find_first_of(" ()\""), rest.size());
            if (end > 0) names.emplace_back(rest.substr(0, end));
        }
        return names;
    }();
    Control control(input.control);
    std::uint8_t which = control.octet(), seed = control.octet(), split = control.octet();
    std::size_t line = input.text.find('\n');
    if (which == 0 && line < 60)
        try_charset(std::string(input.text.substr(0, line)), input.text.substr(line + 1), seed);
    else
        try_charset(known[which % known.size()], input.text, seed);
    try_utf8(input.text, split);
    try_mailbox_name(input.text);
}
