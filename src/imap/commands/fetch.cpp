// FETCH and UID FETCH (RFC 9051 6.4.5, RFC 3501 6.4.5). Rows come from the service in batches and go straight
// out.
#include "imap/session_core.hpp"
#include "imap/writer.hpp"

namespace fwmail::imap {
namespace {

constexpr std::size_t most_sections = 64;

enum class ItemKind { flags, internal_date, size, envelope, body, bodystructure, section };

struct Item {
    ItemKind kind;
    std::string label;  // as the response names it
};

struct ItemList {
    std::vector<Item> items;  // in the client's order; sections in the order of `asked.sections`
    FetchItems asked;
    bool uid = false;
    bool set_seen = false;
};

// A data item without arguments; false when it is none.
bool add_plain(ItemList& list, std::string_view name) {
    auto add = [&](bool FetchItems::* member, ItemKind kind) {
        if (!(list.asked.*member)) list.items.push_back({kind, std::string(name)});
        list.asked.*member = true;
        return true;
    };
    if (name == "UID") return list.uid = true;
    if (name == "FLAGS") return add(&FetchItems::flags, ItemKind::flags);
    if (name == "INTERNALDATE") return add(&FetchItems::internal_date, ItemKind::internal_date);
    if (name == "RFC822.SIZE") return add(&FetchItems::size, ItemKind::size);
    if (name == "ENVELOPE") return add(&FetchItems::envelope, ItemKind::envelope);
    if (name == "BODY") return add(&FetchItems::body, ItemKind::body);
    if (name == "BODYSTRUCTURE") return add(&FetchItems::bodystructure, ItemKind::bodystructure);
    return false;
}

void add_section(ItemList& list, Section section, std::string label, bool peek) {
    list.items.push_back({ItemKind::section, std::move(label)});
    list.asked.sections.push_back(std::move(section));
    list.set_seen |= !peek;
}

Result<> parse_item(Parser& parser, ItemList& list) {
    std::string name = TRY(parser.word());
    if (list.asked.sections.size() >= most_sections) return fail(ErrorKind::protocol, "too many sections");
    if (parser.peek() == '[' && (name == "BODY" || name == "BODY.PEEK")) {
        Section section = TRY(parser.section());
        std::string label = write_section(section);
        add_section(list, std::move(section), std::move(label), name == "BODY.PEEK");
        return {};
    }
    if (add_plain(list, name)) return {};
    // RFC 3501 6.4.5: RFC822, RFC822.HEADER (which does not set \Seen) and RFC822.TEXT.
    Section section;
    if (name == "RFC822.HEADER")
        section.what = Section::What::header;
    else if (name == "RFC822.TEXT")
        section.what = Section::What::text;
    else if (name != "RFC822")
        return fail(ErrorKind::protocol, "unknown item to fetch");
    add_section(list, std::move(section), name, name == "RFC822.HEADER");
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

class FetchCommand : public Command {
  public:
    FetchCommand(SequenceSet set, bool uid, ItemList list)
        : set_(std::move(set)), by_uid_(uid), list_(std::move(list)) {
        list_.uid |= uid;
    }

    void start(SessionCore& core) override {
        auto uids = core.selected->resolve(set_, by_uid_);
        if (!uids) return core.refuse(uids.error());
        if (uids->empty()) return core.ok("No such messages", news());
        bool set_seen = list_.set_seen && !core.selected->read_only();
        core.ask(Fetch{std::move(*uids), list_.asked, set_seen});
    }
    void on_reply(SessionCore& core, Reply& reply) override {
        const auto* batch = std::get_if<FetchBatch>(&reply);
        if (!batch) return core.unexpected(reply);
        for (const auto& row : batch->rows)
            if (auto number = core.selected->seq_of(row.uid)) write_row(core, row, *number);
        if (!batch->last) return core.ask(FetchMore{});
        core.ok("FETCH completed", news());
    }

  private:
    News news() const { return by_uid_ ? News::if_changed : News::never; }

    void write_row(SessionCore& core, const FetchRow& row, SeqNum number) {
        if (list_.asked.flags || row.seen_now) core.announce_keywords(row.flags);
        std::string out = "* " + std::to_string(number.value) + " FETCH (";
        bool first = true;
        auto begin = [&](std::string_view label) {
            if (!first) out += ' ';
            first = false;
            out += label;
            out += ' ';
        };
        std::string flags = write_flags(row.flags, core.selected->is_recent(row.uid));
        if (list_.uid) {
            begin("UID");
            out += std::to_string(row.uid.value);
        }
        if (row.seen_now && !list_.asked.flags) {
            begin("FLAGS");
            out += flags;
        }
        std::size_t section = 0;
        for (const auto& item : list_.items) {
            begin(item.label);
            switch (item.kind) {
                case ItemKind::flags:
                    out += flags;
                    break;
                case ItemKind::internal_date:
                    out += write_internal_date(row.internal_date);
                    break;
                case ItemKind::size:
                    out += std::to_string(row.size);
                    break;
                case ItemKind::envelope:
                    out += row.envelope;
                    break;
                case ItemKind::body:
                    out += row.body;
                    break;
                case ItemKind::bodystructure:
                    out += row.bodystructure;
                    break;
                case ItemKind::section:
                    write_section_data(core, out, row, section++);
                    break;
            }
        }
        core.send(out + ")\r\n");
    }
    // Moves what is written so far out before the octets that do not pass through here.
    static void write_section_data(SessionCore& core, std::string& out, const FetchRow& row,
                                   std::size_t index) {
        if (index >= row.sections.size() || !row.sections[index]) {
            out += "NIL";
            return;
        }
        std::uint64_t size = 0;
        for (const auto& piece : *row.sections[index]) {
            const auto* range = std::get_if<ObjectRange>(&piece);
            size += range ? range->length : std::get<std::string>(piece).size();
        }
        out += '{' + std::to_string(size) + "}\r\n";
        core.send(out);
        out.clear();
        for (const auto& piece : *row.sections[index]) core.send_piece(piece);
    }

    SequenceSet set_;
    bool by_uid_;
    ItemList list_;
};

}  // namespace

// sequence-set SP ("ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")")
CommandResult parse_fetch(CommandInput& input) {
    Parser& parser = input.parser;
    TRY(parser.space());
    SequenceSet set = TRY(parser.sequence_set());
    TRY(parser.space());
    ItemList list;
    if (parser.accept('(')) {
        do TRY(parse_item(parser, list));
        while (parser.accept(' '));
        TRY(parser.expect(')'));
    } else if (!parse_macro(parser, list)) {
        TRY(parse_item(parser, list));
    }
    TRY(parser.end());
    return std::make_unique<FetchCommand>(std::move(set), input.uid, std::move(list));
}

}  // namespace fwmail::imap
