// fetch-att of RFC 9051 9 and RFC 3501 9, and of the extensions that add to it.
#include "imap/commands/fetch_items.hpp"

#include <algorithm>

#include "imap/writer.hpp"

namespace fwmail::imap {
namespace {

constexpr std::size_t most_sections = 64;

std::unexpected<Error> bad(std::string text) { return fail(ErrorKind::protocol, std::move(text)); }

struct Plain {
    std::string_view name;
    bool FetchItems::* asked;
    ItemKind kind;
};
constexpr Plain plain_items[] = {
    {"FLAGS", &FetchItems::flags, ItemKind::flags},
    {"INTERNALDATE", &FetchItems::internal_date, ItemKind::internal_date},
    {"RFC822.SIZE", &FetchItems::size, ItemKind::size},
    {"ENVELOPE", &FetchItems::envelope, ItemKind::envelope},
    {"BODY", &FetchItems::body, ItemKind::body},
    {"BODYSTRUCTURE", &FetchItems::bodystructure, ItemKind::bodystructure},
    {"EMAILID", &FetchItems::email_id, ItemKind::email_id},
    {"SAVEDATE", &FetchItems::saved_at, ItemKind::saved_at},
    {"PREVIEW", &FetchItems::preview, ItemKind::preview},
};

// A data item without arguments; false when it is none.
bool add_plain(ItemList& list, std::string_view name) {
    if (name == "UID") return list.uid = true;
    if (name == "MODSEQ") return list.modseq = true;
    auto listed = [&](ItemKind kind) {
        return std::ranges::find(list.items, kind, &Item::kind) != list.items.end();
    };
    if (name == "THREADID") {
        if (!listed(ItemKind::thread_id)) list.items.push_back({ItemKind::thread_id, "THREADID"});
        return true;
    }
    const Plain* plain = std::ranges::find(plain_items, name, &Plain::name);
    if (plain == std::end(plain_items)) return false;
    if (!listed(plain->kind)) list.items.push_back({plain->kind, std::string(name)});
    list.asked.*(plain->asked) = true;
    return true;
}

void add_section(ItemList& list, ItemKind kind, Section section, std::string label, bool peek) {
    list.items.push_back({kind, std::move(label)});
    list.asked.sections.push_back(std::move(section));
    list.set_seen |= !peek;
}

// RFC 3516 4.2: BINARY and BINARY.PEEK name whole parts only; BINARY.SIZE has no partial.
Result<> parse_binary(Parser& parser, ItemList& list, std::string_view name) {
    Section section = TRY(parser.section());
    if (section.what != Section::What::all) return bad("only part numbers are allowed here");
    section.binary = true;
    std::string label = write_section(section);
    if (name != "BINARY.SIZE") {
        add_section(list, ItemKind::binary, std::move(section), std::move(label), name == "BINARY.PEEK");
        return {};
    }
    if (section.partial) return bad("a size is that of the whole part");
    list.items.push_back({ItemKind::binary_size, "BINARY.SIZE" + label.substr(6)});
    list.asked.binary_sizes.push_back(std::move(section));
    return {};
}

Result<> parse_item(Parser& parser, ItemList& list) {
    std::string name = TRY(parser.word());
    if (list.asked.sections.size() + list.asked.binary_sizes.size() >= most_sections)
        return bad("too many sections");
    if (parser.peek() == '[' && (name == "BODY" || name == "BODY.PEEK")) {
        Section section = TRY(parser.section());
        std::string label = write_section(section);
        add_section(list, ItemKind::section, std::move(section), std::move(label), name == "BODY.PEEK");
        return {};
    }
    if (parser.peek() == '[' && (name == "BINARY" || name == "BINARY.PEEK" || name == "BINARY.SIZE"))
        return parse_binary(parser, list, name);
    if (add_plain(list, name)) {
        // RFC 8970 3.1: LAZY allows NIL, which never is the answer here.
        if (name == "PREVIEW" && parser.rest().starts_with(" (") && !parser.accept_prefix(" (LAZY)"))
            return bad("unknown modifier of PREVIEW");
        return {};
    }
    // RFC 3501 6.4.5: RFC822, RFC822.HEADER (which does not set \Seen) and RFC822.TEXT.
    Section section;
    if (name == "RFC822.HEADER")
        section.what = Section::What::header;
    else if (name == "RFC822.TEXT")
        section.what = Section::What::text;
    else if (name != "RFC822")
        return bad("unknown item to fetch");
    add_section(list, ItemKind::section, std::move(section), name, name == "RFC822.HEADER");
    return {};
}

// Macros stand alone, never in parentheses (RFC 9051 6.4.5).
bool parse_macro(Parser& parser, ItemList& list) {
    bool all = parser.accept_word("ALL"), fast = !all && parser.accept_word("FAST");
    bool full = !all && !fast && parser.accept_word("FULL");
    if (!all && !fast && !full) return false;
    for (const char* name : {"FLAGS", "INTERNALDATE", "RFC822.SIZE"}) add_plain(list, name);
    if (!fast) add_plain(list, "ENVELOPE");
    if (full) add_plain(list, "BODY");
    return true;
}

}  // namespace

Result<ItemList> parse_fetch_items(Parser& parser) {
    ItemList list;
    if (parser.accept('(')) {
        do TRY(parse_item(parser, list));
        while (parser.accept(' '));
        TRY(parser.expect(')'));
    } else if (!parse_macro(parser, list)) {
        TRY(parse_item(parser, list));
    }
    return list;
}

Result<FetchModifiers> parse_fetch_modifiers(Parser& parser) {
    FetchModifiers modifiers;
    TRY(parser.expect('('));
    do {
        std::string name = TRY(parser.word());
        if (name == "CHANGEDSINCE") {
            TRY(parser.space());
            modifiers.changed_since = TRY(parser.modseq());
        } else if (name == "VANISHED") {
            modifiers.vanished = true;
        } else if (name == "PARTIAL") {
            TRY(parser.space());
            modifiers.window = TRY(parser.window());
        } else {
            return bad("unknown modifier");
        }
    } while (parser.accept(' '));
    TRY(parser.expect(')'));
    return modifiers;
}

}  // namespace fwmail::imap
