// FETCH as servers answer it (RFC 9051 7.5.2): what is asked for, and whatever else they choose to say.
#include <charconv>

#include "imap/parse_response.hpp"

namespace fwmail::imap::response {
namespace {

constexpr int deepest_list = 200;
constexpr std::size_t most_contents = 100;

// Any value: atom, number, string, or a list of such. Of one that is not wanted.
Result<> skip_value(Parser& parser, int depth = 0) {
    if (depth > deepest_list) return bad("FETCH");
    if (parser.accept('(')) {
        while (!parser.accept(')')) {
            if (parser.accept(' ')) continue;
            if (parser.at_end()) return bad("FETCH");
            TRY(skip_value(parser, depth + 1));
        }
        return {};
    }
    if (parser.peek() == '"' || parser.peek() == '{') {
        TRY(parser.string());
        return {};
    }
    if (take_word(parser).empty()) return bad("FETCH");
    return {};
}

// `BODY[HEADER.FIELDS (FROM TO)]<0>`: what stands behind the item's first word, as it is.
Result<std::string> take_section(Parser& parser) {
    std::string out;
    while (parser.peek() == '[' || parser.peek() == '<') {
        char close = parser.peek() == '[' ? ']' : '>';
        std::size_t end = parser.rest().find(close);
        if (end == std::string_view::npos) return bad("FETCH");
        std::string part(parser.rest().substr(0, end + 1));
        if (!parser.accept_prefix(part)) return bad("FETCH");
        out += part;
    }
    return out;
}

Result<Content> take_content(Parser& parser, std::string section) {
    Content content;
    content.section = std::move(section);
    if (parser.accept_prefix("{~")) {
        content.how = Content::How::streamed;
        take_word(parser);  // the size, up to the line end
        if (!parser.accept('\r') || !parser.accept('\n')) return bad("FETCH");
        return content;
    }
    auto text = TRY(parser.nstring());
    if (text) {
        content.how = Content::How::here;
        content.octets = std::move(*text);
    }
    return content;
}

Result<std::uint64_t> take_number(Parser& parser) {
    std::string word = take_word(parser);
    std::uint64_t number = 0;
    auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (word.empty() || error != std::errc{} || end != word.data() + word.size()) return bad("FETCH");
    return number;
}

// "17-Jul-1996 02:44:25 -0700"; a date that is not one is as good as none.
Result<> take_date(Parser& parser, Fetch& fetch) {
    Parser again = parser;
    auto date = parser.date_time();
    if (!date) {
        parser = again;
        return skip_value(parser);
    }
    fetch.internal_date = *date;
    std::string text = TRY(again.string());
    int zone = std::atoi(text.substr(text.size() - 4).c_str());
    fetch.zone_minutes = (zone / 100 * 60 + zone % 100) * (text[text.size() - 5] == '-' ? -1 : 1);
    return {};
}

Result<> take_item(Parser& parser, Fetch& fetch) {
    std::string name = ascii_upper(take_word(parser));
    if (name.empty()) return bad("FETCH");
    std::string section = TRY(take_section(parser));
    TRY(parser.space());
    bool content = !section.empty() || name == "RFC822" || name == "RFC822.TEXT" || name == "RFC822.HEADER";
    if (content && name != "BINARY.SIZE") {
        if (fetch.contents.size() >= most_contents) return bad("FETCH");
        fetch.contents.push_back(TRY(take_content(parser, name + ascii_upper(section))));
        return {};
    }
    if (name == "UID") {
        std::uint64_t uid = TRY(take_number(parser));
        if (uid == 0 || uid > 0xffffffff) return bad("UID");
        fetch.uid = Uid{static_cast<std::uint32_t>(uid)};
        return {};
    }
    if (name == "FLAGS") {
        fetch.flags = TRY(take_flags(parser, &fetch.recent));
        return {};
    }
    if (name == "INTERNALDATE") return take_date(parser, fetch);
    if (name == "RFC822.SIZE") {
        fetch.size = TRY(take_number(parser));
        return {};
    }
    if (name == "MODSEQ" || name == "EMAILID") {  // RFC 7162, RFC 8474: both in parentheses
        if (!parser.accept('(')) return skip_value(parser);
        std::string word = take_word(parser);
        if (!parser.accept(')')) return bad("FETCH");
        if (name == "EMAILID") fetch.email_id = word.substr(0, 255);
        if (name == "MODSEQ") {
            std::uint64_t value = 0;
            std::from_chars(word.data(), word.data() + word.size(), value);
            fetch.modseq = ModSeq{value};
        }
        return {};
    }
    return skip_value(parser);
}

}  // namespace

Result<Response> take_fetch(Parser& parser, SeqNum number) {
    Fetch fetch;
    fetch.number = number;
    if (!parser.accept(' ') || !parser.accept('(')) return bad("FETCH");
    while (!parser.accept(')')) {
        if (parser.accept(' ')) continue;
        if (parser.at_end()) return bad("FETCH");
        TRY(take_item(parser, fetch));
    }
    return fetch;
}

}  // namespace fwmail::imap::response
