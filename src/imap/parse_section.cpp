// section and partial (RFC 3501 9), after "BODY" or "BODY.PEEK".
#include "base/encoding.hpp"
#include "imap/parser.hpp"

namespace fwmail::imap {
namespace {

constexpr std::size_t deepest_part = 100;
constexpr std::size_t most_field_names = 1000;

std::unexpected<Error> bad(std::string text) { return fail(ErrorKind::protocol, std::move(text)); }

}  // namespace

Result<Section> Parser::section() {
    Section section;
    TRY(expect('['));
    bool text_wanted = true;  // after a part number and no dot nothing more
    while (peek() >= '0' && peek() <= '9') {
        section.part.push_back(TRY(nz_number()));
        if (section.part.size() > deepest_part) return bad("part number too deep");
        text_wanted = accept('.');
        if (!text_wanted) break;
    }
    if (text_wanted && (peek() != ']' || !section.part.empty())) {
        std::string word = TRY(this->word());
        if (word == "HEADER")
            section.what = Section::What::header;
        else if (word == "TEXT")
            section.what = Section::What::text;
        else if (word == "MIME" && !section.part.empty())
            section.what = Section::What::mime;
        else if (word == "HEADER.FIELDS")
            section.what = Section::What::header_fields;
        else if (word == "HEADER.FIELDS.NOT")
            section.what = Section::What::header_fields_not;
        else
            return bad("unknown section");
    }
    if (section.what == Section::What::header_fields || section.what == Section::What::header_fields_not) {
        TRY(space());
        TRY(expect('('));
        do {
            std::string name = TRY(astring());
            if (name.empty() || name.find_first_of("\r\n") != std::string::npos)
                return bad("invalid field name");
            section.names.push_back(std::move(name));
            if (section.names.size() > most_field_names) return bad("too many field names");
        } while (accept(' '));
        TRY(expect(')'));
    }
    TRY(expect(']'));
    if (accept('<')) {
        Partial partial;
        partial.offset = TRY(number64());
        TRY(expect('.'));
        partial.length = TRY(number64());
        if (partial.length == 0) return bad("zero is not allowed here");
        TRY(expect('>'));
        section.partial = partial;
    }
    return section;
}

}  // namespace fwmail::imap
