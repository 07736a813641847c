// A message, read in every way in which mail is read: structure, header, addresses, dates, encoded words,
// transfer encodings, mbox, and the text that SEARCH looks at.
#include <algorithm>

#include "fuzz/fuzz.hpp"
#include "imap/response.hpp"
#include "imap/response_framer.hpp"
#include "imap/writer.hpp"
#include "mime/address.hpp"
#include "mime/charset.hpp"
#include "mime/date.hpp"
#include "mime/encoded_word.hpp"
#include "mime/fields.hpp"
#include "mime/fold.hpp"
#include "mime/header.hpp"
#include "mime/html_text.hpp"
#include "mime/mbox.hpp"
#include "mime/search_text.hpp"
#include "mime/serialize.hpp"
#include "mime/structure.hpp"
#include "mime/transfer.hpp"

using namespace fwmail;
using namespace fwmail::fuzz;
using namespace fwmail::mime;

namespace {

void check_ranges(const Part& part, Range within) {
    require(part.header.offset >= within.offset, "a part begins in its parent");
    require(part.header.offset + part.header.length == part.body.offset, "body follows header");
    require(part.body.offset + part.body.length <= within.offset + within.length,
            "a part ends in its parent");
    require(part.body_lines <= part.body.length, "no more lines than octets");
    Range rest = part.body;
    for (const auto& child : part.children) {
        check_ranges(child, rest);
        std::uint64_t end = child.body.offset + child.body.length;
        rest = {end, part.body.offset + part.body.length - end};
    }
}

// Whether it may stand in a FETCH: by the client's own framer and parser.
void check_imap(const std::string& item) {
    imap::ResponseFramer framer;
    framer.feed("* 1 FETCH (UID 7 " + item + ")\r\n");
    auto event = framer.next();
    auto* response = event ? std::get_if<imap::FramedResponse>(&*event) : nullptr;
    require(response && !framer.has_leftover(), "one response");
    auto parsed = imap::response::parse(response->text);
    auto* fetch = parsed ? std::get_if<imap::response::Fetch>(&*parsed) : nullptr;
    require(fetch && fetch->uid.value == 7, "a response that can be parsed");
}

Part try_structure(std::string_view text, std::uint32_t seed) {
    Part root = parse_structure(text);
    StructureParser parser;
    in_pieces(text, seed, [&](std::string_view piece) { parser.feed(piece); });
    require(parser.size() == text.size(), "octets are counted");
    require(parser.finish() == root, "the structure does not depend on how the octets were cut");
    check_ranges(root, {0, text.size()});
    auto again = parse_part(write_part(root));
    require(again && *again == root, "a structure is the same written and read");
    check_imap("BODYSTRUCTURE " + imap::write_bodystructure(root));
    check_imap("BODY " + imap::write_body(root));
    if (root.envelope) check_imap("ENVELOPE " + imap::write_envelope(*root.envelope));
    if (auto stored = parse_part(text)) {
        auto same = parse_part(write_part(*stored));
        require(same && *same == *stored, "a stored structure is the same written and read");
    }
    return root;
}

bool is_clean(std::string_view text) {
    return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

void try_addresses(std::string_view value) {
    auto list = parse_addresses(value);
    require(list.size() <= 1000, "addresses are bounded");
    auto again = parse_addresses(write_addresses(list));
    auto third = parse_addresses(write_addresses(again));
    require(again == third, "addresses are the same written and read");
    for (const auto& id : parse_message_ids(value))
        require(id.starts_with('<') && id.ends_with('>') && is_clean(id), "an id has its brackets");
}

void try_words(std::string_view value) {
    std::string text = decode_header(value);
    require(is_valid_utf8(text) && is_clean(text), "decoded text is valid and of one line");
    for (char& c : text)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
    std::string encoded = encode_header(text);
    require(std::ranges::all_of(encoded, [](char c) { return c >= 0x20 && c < 0x7f; }), "encoded is ASCII");
    require(decode_header(encoded) == text, "what is encoded can be decoded");
    auto split = parse_parameterized(value);
    for (const auto& [name, raw] : split.parameters)
        if (auto parameter = decode_parameter(split.parameters, name))
            require(is_valid_utf8(*parameter), "a parameter is valid UTF-8");
}

void try_date(std::string_view value) {
    auto date = parse_date(value);
    if (!date) return;
    auto again = parse_date(write_date(*date));
    require(again == date, "a date is the same written and read");
}

// What goes out in a header is safe.
void try_fields(std::string_view name, std::string_view value) {
    std::string field = sanitize_field(name, value);
    if (field.empty()) return;
    require(field.size() <= 64 * 1024 + name.size() + 4, "a field is bounded");
    HeaderView view(field);
    require(view.fields().size() == 1 && view.fields()[0].is(name), "one field of that name");
    require(field.ends_with("\r\n"), "it ends its line");
    for (std::size_t at = 0; at < field.size();) {
        std::size_t end = field.find("\r\n", at);
        require(end != std::string::npos && end - at <= 998, "no line over 998 octets");
        std::string_view line = std::string_view(field).substr(at, end - at);
        require(std::ranges::all_of(line, [](char c) { return c == '\t' || (c >= 0x20 && c < 0x7f); }),
                "printable ASCII, and no bare CR or LF");
        require(at == 0 || line.starts_with(' ') || line.starts_with('\t'), "a fold");
        at = end + 2;
    }
}

void try_header(std::string_view text) {
    HeaderView header(text);
    std::size_t at = 0, count = 0;
    for (const auto& field : header) {
        require(field.whole.offset == at, "fields follow each other");
        at += field.whole.length;
        require(header.text(field).size() == field.whole.length, "a field is whole");
        if (++count > 30) continue;
        std::string value = unfold(field.value);
        require(is_clean(value), "an unfolded value is one line");
        try_addresses(field.value);
        try_words(value);
        try_date(value);
        if (!field.name.empty()) try_fields(field.name, field.value);
    }
    require(at <= header.length() && header.length() <= text.size(), "the header ends in the text");
    if (count < HeaderView::max_fields) require(header.length() - at <= 2, "only the empty line is no field");
    // The same where there is no header at all.
    std::string_view line = text.substr(0, text.find('\n'));
    try_addresses(line);
    try_words(unfold(line));
    try_date(line);
    if (auto time = parse_imap_date_time(line.substr(0, 26)))
        require(parse_imap_date_time(write_imap_date_time(*time)) == time, "an IMAP date is the same");
    for (std::string_view name : {"From", "Subject", "References", "Date", "Message-ID"})
        try_fields(name, line);
}

void try_transfer(std::string_view text, std::uint32_t seed) {
    for (auto encoding : {TransferEncoding::base64, TransferEncoding::quoted_printable}) {
        std::string whole = decode_transfer(encoding, text), pieces;
        TransferDecoder decoder(encoding);
        in_pieces(text, seed, [&](std::string_view piece) { decoder.feed(piece, pieces); });
        decoder.finish(pieces);
        require(whole == pieces, "what is decoded does not depend on how it was cut");
        require(whole.size() <= text.size(), "nothing grows when it is decoded");
    }
}

struct Box {
    std::vector<std::string> messages;
    std::vector<FlagSet> flags;
    void add(const std::vector<MboxEvent>& events) {
        for (const auto& event : events) {
            require(std::holds_alternative<MboxBegin>(event) || messages.size() == flags.size() + 1,
                    "content and ends are a message's");
            if (std::holds_alternative<MboxBegin>(event)) messages.emplace_back();
            if (auto* content = std::get_if<MboxContent>(&event)) messages.back() += content->octets;
            if (auto* end = std::get_if<MboxEnd>(&event)) flags.push_back(end->flags);
        }
    }
    bool operator==(const Box&) const = default;
};

Box read_mbox(std::string_view text, MboxQuoting quoting, std::uint32_t seed, bool whole) {
    MboxReader reader(quoting);
    Box box;
    if (whole)
        box.add(reader.add(text));
    else
        in_pieces(text, seed, [&](std::string_view piece) { box.add(reader.add(piece)); });
    box.add(reader.finish());
    require(box.messages.size() == box.flags.size(), "each message ends");
    return box;
}

void try_mbox(std::string_view text, std::uint32_t seed) {
    for (auto quoting : {MboxQuoting::rd, MboxQuoting::o})
        require(read_mbox(text, quoting, seed, true) == read_mbox(text, quoting, seed, false),
                "messages do not depend on how the file was cut");

    std::string lf;
    LineEndsToLf to_lf;
    LineEndsCheck check;
    in_pieces(text, seed, [&](std::string_view piece) {
        lf += to_lf.add(piece);
        check.add(piece);
    });
    lf += to_lf.finish();
    if (check.all_crlf()) {
        std::string crlf;
        LineEndsToCrlf to_crlf;
        in_pieces(lf, seed, [&](std::string_view piece) { crlf += to_crlf.add(piece); });
        require(crlf == text, "line ends come back");
    }
    FlagSet flags;
    flags.system = seed & 31;
    MboxWriter writer(UnixMillis{1'000'000'000'000}, flags);
    std::string file;
    in_pieces(lf, seed, [&](std::string_view piece) { file += writer.add(piece); });
    file += writer.finish();
    Box box = read_mbox(file, MboxQuoting::rd, seed, true);
    require(box.messages.size() == 1, "one message written is one message read");
    for (const auto& field : HeaderView(lf))
        if (field.is("Status") || field.is("X-Status") || field.is("X-Keywords")) return;  // they are flags
    require(box.flags[0] == flags, "flags come back");
    std::string expected = lf;
    if (!lf.empty() && !lf.ends_with('\n')) expected += '\n';
    // Without an empty line there is no body, and one is added.
    std::string lines = '\n' + expected;
    if (lines.find("\n\n") == std::string::npos && lines.find("\n\r\n") == std::string::npos)
        expected += '\n';
    require(box.messages[0] == expected, "a message is the same written and read");
}

void try_html(std::string_view text, std::uint32_t seed) {
    std::string utf8 = repair_utf8(text), whole, pieces;
    HtmlText at_once, bit_by_bit;
    at_once.feed(utf8, whole);
    at_once.finish(whole);
    CharsetDecoder decoder("utf-8");  // cuts at characters
    std::string characters;
    in_pieces(utf8, seed, [&](std::string_view piece) {
        characters.clear();
        decoder.feed(piece, characters);
        bit_by_bit.feed(characters, pieces);
    });
    bit_by_bit.finish(pieces);
    require(whole == pieces, "the text of HTML does not depend on how it was cut");
    require(is_valid_utf8(whole) && whole.size() <= utf8.size() + 4, "valid, and no longer than the HTML");
}

void try_search(const Part& root, std::string_view text, Control& control) {
    auto read = [&](Range range) -> Result<std::string> {
        require(range.offset + range.length <= text.size(), "only what is there is read");
        return std::string(text.substr(range.offset, range.length));
    };
    auto found = read_search_text(root, read, 1 << 20);
    require(found.has_value(), "any message has a text");
    require(is_valid_utf8(found->header) && is_valid_utf8(found->body), "folded text is valid");
    auto again = parse_search_text(write_search_text(*found));
    require(again && again->header == found->header && again->body == found->body, "stored text is the same");
    if (!found->whole || text.empty()) return;
    std::size_t from = control.octet() * 256u + control.octet(), length = control.octet() % 40;
    std::string needle = fold(text.substr(from % text.size(), length));
    if (control.octet() % 2)
        needle =
            fold(repair_utf8(std::string_view(found->body).substr(from % (found->body.size() + 1), length)));
    auto streamed = stream_contains(root, read, needle, true);
    require(streamed && *streamed == found->text_contains(needle), "both ways of searching agree");
    auto in_body = stream_contains(root, read, needle, false);
    require(in_body && *in_body == found->body_contains(needle), "both ways of searching bodies agree");
    parse_search_text(text);
}

}  // namespace

FUZZ_TARGET(mime) {
    Control control(input.control);
    std::uint32_t seed = control.octet();
    Part root = try_structure(input.text, seed);
    try_header(input.text);
    try_transfer(input.text, seed);
    try_mbox(input.text, seed);
    try_html(input.text, seed);
    try_search(root, input.text, control);
}
