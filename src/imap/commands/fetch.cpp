// FETCH and UID FETCH (RFC 9051 6.4.5, RFC 3501 6.4.5). Rows come from the service in batches and go straight
// out.
#include <algorithm>

#include "imap/commands/fetch_items.hpp"
#include "imap/session_core.hpp"
#include "imap/writer.hpp"

namespace fwmail::imap {
namespace {

class FetchCommand : public Command {
  public:
    FetchCommand(SequenceSet set, bool uid, ItemList list, FetchModifiers modifiers)
        : set_(std::move(set)),
          by_uid_(uid),
          list_(std::move(list)),
          uid_asked_(list_.uid),
          modifiers_(modifiers) {
        list_.uid |= uid;
        list_.modseq |= modifiers.changed_since.has_value();
    }

    void start(SessionCore& core) override {
        if (modifiers_.vanished && (!core.enabled.qresync || !by_uid_ || !modifiers_.changed_since))
            return core.bad("VANISHED wants QRESYNC, UID FETCH and CHANGEDSINCE");
        core.enabled.condstore |= list_.modseq;
        if (modifiers_.window && !by_uid_) return core.bad("PARTIAL wants UID FETCH");
        // RFC 9738 3.1
        if (auto limit = core.options.message_limit;
            limit && modifiers_.window && modifiers_.window->last - modifiers_.window->first >= limit)
            return core.no(
                {ErrorKind::refused, core.message_limit_code(), "Too many messages for one command"});
        if (modifiers_.window && modifiers_.vanished && list_.set_seen)
            return core.bad("PARTIAL and VANISHED do not go with what sets \\Seen");
        if (modifiers_.vanished) {
            UidSet uids = every_uid_of(core);
            if (modifiers_.window)
                narrow(core, only_.emplace(uids));
            else
                core.limit(uids);
            return core.ask(fetch(core, std::move(uids)));
        }
        auto uids = core.selected->resolve(set_, by_uid_);
        if (!uids) return core.refuse(uids.error());
        if (modifiers_.window) narrow(core, *uids);
        core.limit(*uids);
        if (uids->empty()) return core.ok("No such messages", news());
        core.ask(fetch(core, std::move(*uids)));
    }
    void on_reply(SessionCore& core, Reply& reply) override {
        const auto* batch = std::get_if<FetchBatch>(&reply);
        if (!batch) return core.unexpected(reply);
        if (!batch->vanished.empty())
            core.send("* VANISHED (EARLIER) " + write_uid_set(batch->vanished) + "\r\n");
        for (const auto& row : batch->rows)
            if (auto number = core.selected->seq_of(row.uid); number && wanted(row.uid))
                write_row(core, row, *number);
        if (!batch->last) return core.ask(FetchMore{});
        core.ok("FETCH completed", news());
    }

  private:
    News news() const { return by_uid_ ? News::if_changed : News::never; }

    bool wanted(Uid uid) const { return !only_ || only_->contains(uid.value); }
    // RFC 9394 3.3: some of the messages meant, by their place among them.
    void narrow(const SessionCore& core, UidSet& uids) const {
        auto known = core.selected->known_in(uids);
        uids.clear();
        for (Uid uid : modifiers_.window->of(std::span<const Uid>(known))) uids.add(uid.value);
    }
    Fetch fetch(const SessionCore& core, UidSet uids) const {
        bool set_seen = list_.set_seen && !core.selected->read_only();
        return {std::move(uids), list_.asked, set_seen, modifiers_.changed_since, modifiers_.vanished};
    }
    // Numbers of messages that are gone count too: which of them have vanished is the question.
    UidSet every_uid_of(const SessionCore& core) const {
        if (set_.saved) return core.selected->resolve(set_, true).value_or(UidSet{});
        auto ranges = set_.ranges;
        for (auto& [from, to] : ranges) {
            // `*` is the last message, and what lay behind it before.
            if (from == 0 && to == 0) from = std::max(core.selected->last_uid().value, 1u);
            if (from == 0) from = 0xffffffff;
            if (to == 0) to = 0xffffffff;
            if (from > to) std::swap(from, to);
        }
        std::ranges::sort(ranges);
        UidSet uids;
        for (auto [from, to] : ranges) uids.add(from, to);
        return uids;
    }

    // How many sections and sizes of a row have been written.
    struct Place {
        std::size_t section = 0, size = 0;
    };
    static void write_item(SessionCore& core, std::string& out, const FetchRow& row, ItemKind kind,
                           Place& place) {
        switch (kind) {
            case ItemKind::flags:
                break;
            case ItemKind::internal_date:
                out += write_internal_date(row.internal_date);
                break;
            case ItemKind::size:
                append_number(out, row.size);
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
            case ItemKind::binary:
                write_section_data(core, out, row, place.section++, kind == ItemKind::binary);
                break;
            case ItemKind::binary_size:
                out +=
                    std::to_string(place.size < row.binary_sizes.size() ? row.binary_sizes[place.size++] : 0);
                break;
            case ItemKind::email_id:
                out += '(' + row.email_id + ')';
                break;
            case ItemKind::thread_id:
                out += "NIL";
                break;
            case ItemKind::saved_at:
                out += write_internal_date(row.saved_at);
                break;
            case ItemKind::preview:
                out += write_string(row.preview);
                break;
        }
    }
    void write_row(SessionCore& core, const FetchRow& row, SeqNum number) {
        if (list_.asked.flags || row.seen_now) core.announce_keywords(row.flags);
        bool uid_only = core.enabled.uid_only;
        // RFC 7162 3.2.4: under QRESYNC a change of flags is told with the UID.
        bool with_uid = list_.uid || (row.seen_now && core.enabled.qresync);
        core.write_fetch_head(core.output(), row.uid, number, with_uid);
        bool first = uid_only || !with_uid;
        if (!first) core.output().pop_back();
        auto begin = [&](std::string_view label) -> std::string& {
            std::string& out = core.output();
            if (!first) out += ' ';
            first = false;
            out += label;
            return out += ' ';
        };
        auto append_row_flags = [&](std::string& out) {
            append_flags(out, row.flags, core.is_recent(row.uid));
        };
        if (list_.modseq || (row.seen_now && core.enabled.condstore)) {
            std::string& out = begin("MODSEQ") += '(';
            append_number(out, row.modseq.value);
            out += ')';
        }
        if (row.seen_now && !list_.asked.flags) append_row_flags(begin("FLAGS"));
        // RFC 9586 3.3: it stands in front already, and here too when it was asked for. Nor may the list be
        // empty (RFC 9051 9, msg-att).
        if (uid_only && (uid_asked_ || (first && list_.items.empty())))
            append_number(begin("UID"), row.uid.value);
        Place place;
        for (const auto& item : list_.items) {
            std::string& out = begin(item.label);
            if (item.kind == ItemKind::flags)
                append_row_flags(out);
            else
                write_item(core, out, row, item.kind, place);
        }
        core.send(")\r\n");
    }
    // Some of its octets may not pass through here: then `out` is not where the rest goes.
    static void write_section_data(SessionCore& core, std::string& out, const FetchRow& row,
                                   std::size_t index, bool binary) {
        if (index >= row.sections.size() || !row.sections[index]) {
            out += "NIL";
            return;
        }
        std::uint64_t size = 0;
        bool nul = false;
        for (const auto& piece : *row.sections[index]) {
            const auto* range = std::get_if<ObjectRange>(&piece);
            size += range ? range->octets() : std::get<std::string>(piece).size();
            if (!binary) continue;
            nul |= range ? range->nul : std::get<std::string>(piece).find('\0') != std::string::npos;
        }
        // literal8 (RFC 3516 4.3)
        if (binary && nul) out += '~';
        out += '{';
        append_number(out, size);
        out += "}\r\n";
        for (const auto& piece : *row.sections[index]) core.send_piece(piece);
    }

    SequenceSet set_;
    bool by_uid_;
    ItemList list_;
    bool uid_asked_;  // as an item
    FetchModifiers modifiers_;
    std::optional<UidSet> only_;  // these rows, though more UIDs were asked about
};

}  // namespace

// sequence-set SP items [SP modifiers]
CommandResult parse_fetch(CommandInput& input) {
    Parser& parser = input.parser;
    TRY(parser.space());
    SequenceSet set = TRY(parser.sequence_set());
    TRY(parser.space());
    ItemList list = TRY(parse_fetch_items(parser));
    FetchModifiers modifiers;
    if (parser.accept(' ')) modifiers = TRY(parse_fetch_modifiers(parser));
    TRY(parser.end());
    return std::make_unique<FetchCommand>(std::move(set), input.uid, std::move(list), modifiers);
}

}  // namespace fwmail::imap
