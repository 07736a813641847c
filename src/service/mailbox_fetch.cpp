// FETCH: rows from the store in batches, and of bodies only what is asked for (RFC 9051 6.4.5).
#include <algorithm>

#include "base/co_try.hpp"
#include "mime/serialize.hpp"
#include "service/imap_refusal.hpp"
#include "service/mailbox_service.hpp"
#include "service/message_texts.hpp"
#include "service/object_ids.hpp"
#include "service/preview.hpp"

namespace fwmail::service {
namespace {

constexpr std::size_t rows_plain = 1000;   // of a batch without bodies
constexpr std::size_t rows_headers = 250;  // of one with headers that are kept beside the messages
constexpr std::size_t rows_sections = 64;  // of one with bodies
constexpr std::size_t rows_decoded = 4;    // of one whose parts are run through first
constexpr std::uint64_t piece_inline = 64 * 1024;
constexpr std::uint64_t batch_octets = 4u << 20;  // read for one batch, at row ends; two may be in memory
constexpr std::uint64_t row_octets = 32u << 20;   // read for one message

using What = imap::Section::What;

bool is_filtered(const imap::Section& section) {
    return section.what == What::header_fields || section.what == What::header_fields_not;
}

bool is_whole_header(const imap::Section& section) {
    return section.part.empty() && !section.binary && (section.what == What::header || is_filtered(section));
}

bool reads_bodies(const imap::FetchItems& items) {
    return !items.sections.empty() || !items.binary_sizes.empty() || items.preview;
}

bool flags_suffice(const imap::Fetch& request) {
    imap::FetchItems others = request.items;
    others.flags = false;
    return others == imap::FetchItems{} && !request.set_seen;
}

// Whether headers that are kept beside the messages answer it all.
bool headers_suffice(const imap::FetchItems& items) {
    return items.binary_sizes.empty() && !items.preview && !items.sections.empty() &&
           std::ranges::all_of(items.sections, is_whole_header);
}

// Whether it is enough to know where header and body lie.
bool ranges_suffice(const imap::FetchItems& items) {
    return items.binary_sizes.empty() && !items.preview &&
           std::ranges::all_of(items.sections, [](const auto& s) { return s.part.empty() && !s.binary; });
}

std::size_t rows_of_batch(const imap::FetchItems& items, bool by_headers) {
    bool decoded = !items.binary_sizes.empty() ||
                   std::ranges::any_of(items.sections, [](const auto& section) { return section.binary; });
    return decoded               ? rows_decoded
           : by_headers          ? rows_headers
           : reads_bodies(items) ? rows_sections
                                 : rows_plain;
}

std::uint32_t columns_for(const imap::FetchItems& items, bool by_headers) {
    std::uint32_t columns = store::column_flags;
    bool bodies = reads_bodies(items) && !by_headers;
    if (items.internal_date || items.saved_at) columns |= store::column_date;
    if (items.size || bodies) columns |= store::column_size;
    if (items.envelope) columns |= store::column_envelope;
    if (items.body) columns |= store::column_body;
    if (items.bodystructure) columns |= store::column_bodystructure;
    if (bodies || items.email_id) columns |= store::column_identity;
    if (std::ranges::any_of(items.sections, is_whole_header)) columns |= store::column_header;
    if (by_headers) return columns;
    if (items.preview || !items.binary_sizes.empty()) columns |= store::column_parts;
    for (const auto& section : items.sections)
        if (!section.part.empty() || section.what != What::all) columns |= store::column_parts;
    return columns;
}

// A section's octets as they lie in the body store. Of a filtered one that is the whole header, of a binary
// one (RFC 3516) the whole part, still encoded.
Result<imap::SectionData> section_data(const store::Message& message, const mime::Part* root,
                                       const imap::Section& section) {
    mime::Part whole;
    if (!root) whole.body = {0, message.size};
    imap::Section wanted = section;
    if (section.binary) wanted.partial.reset();
    auto plan = imap::locate(root ? *root : whole, wanted, message.size);
    if (!plan) return std::nullopt;
    std::vector<imap::Piece> pieces;
    imap::ObjectRange range{message.object, plan->range.offset, plan->range.length};
    if (section.binary && root && !section.part.empty()) {
        const auto* part = imap::find_part(*root, section.part);
        range.encoding = mime::transfer_encoding(part->encoding);
        bool known = range.encoding != mime::TransferEncoding::identity || part->encoding == "7bit" ||
                     part->encoding == "8bit" || part->encoding == "binary";
        if (!known)
            return fail(
                coded(ErrorKind::refused, "UNKNOWN-CTE", "The part has an unknown transfer encoding"));
    }
    if (plan->range.length || plan->filtered) pieces.emplace_back(range);
    return pieces;
}

std::unexpected<Error> too_large() {
    return fail(coded(ErrorKind::refused, "LIMIT",
                      "These sections of one message are too large to be fetched at once"));
}

}  // namespace

net::Task<Result<MailboxService::R>> MailboxService::on(imap::Fetch request) {
    if (!selected_) co_return fail(ErrorKind::internal, "FETCH without a mailbox");
    if (selected_->read_only) request.set_seen = false;
    UidSet vanished;
    if (request.changed_since) vanished = CO_TRY(co_await narrow_to_changes(request));
    SnapshotPtr flags;
    if (flags_suffice(request)) {
        flags = node_.snapshots.current(*account_, node_.executor.version(*account_), selected_->mailbox);
        if (!flags && request.uids.count() >= SnapshotCache::least)
            flags = CO_TRY(co_await snapshot_of(selected_->mailbox));
    }
    fetch_.emplace(
        FetchRun{std::make_shared<const imap::Fetch>(std::move(request)), Uid{}, {}, std::move(flags)});
    auto reply = CO_TRY(co_await next_batch());
    if (auto* batch = std::get_if<imap::FetchBatch>(&reply)) batch->vanished = std::move(vanished);
    co_return reply;
}

net::Task<Result<MailboxService::R>> MailboxService::on(imap::FetchMore) {
    if (!fetch_ || !selected_) co_return fail(ErrorKind::internal, "no FETCH is under way");
    co_return co_await next_batch();
}

struct MailboxService::Source {
    Node& node;
    AccountId account;
    Selection selected;
    std::shared_ptr<const imap::Fetch> request;
};

// Rows as they lie in the account's file, in a store job. `by_headers`: it ends before a message whose header
// is not kept there.
Result<MailboxService::Prepared> MailboxService::load_rows(store::AccountStore& account, const Source& source,
                                                           Uid after, bool by_headers) {
    const imap::FetchItems& items = source.request->items;
    std::size_t limit = rows_of_batch(items, by_headers);
    std::uint64_t together = 0;
    Prepared prepared;
    prepared.after = after;
    auto& rows = prepared.batch.rows;
    auto take = [&](store::Message& message) -> Result<bool> {
        bool kept = !message.texts.header.empty();
        if (by_headers && !kept) return false;
        std::string header = kept ? TRY(unpack_header(message.texts.header)) : std::string();
        std::optional<mime::Part> root;
        if (!message.texts.parts.empty())
            root = TRY(ranges_suffice(items) ? mime::parse_part_ranges(message.texts.parts)
                                             : mime::parse_part(message.texts.parts));
        std::uint64_t before = together;
        prepared.after = message.uid;
        imap::FetchRow& row = rows.emplace_back();
        row.uid = message.uid;
        row.flags = std::move(message.flags);
        row.modseq = message.modseq;
        row.internal_date = message.date;
        row.size = message.size;
        row.saved_at = message.saved_at;
        if (items.email_id) row.email_id = email_id_text(source.node, message);
        for (const auto& section : items.sections) {
            if (kept && is_whole_header(section)) {
                std::string text = is_filtered(section) ? imap::section_of_header(header, section)
                                                        : std::string(imap::cut(header, section.partial));
                together += text.size();
                row.sections.emplace_back(std::in_place)->emplace_back(std::move(text));
            } else {
                row.sections.push_back(TRY(section_data(message, root ? &*root : nullptr, section)));
            }
            if (together - before >= row_octets) return too_large();
        }
        for (const auto& section : items.binary_sizes)
            prepared.sizes.push_back(TRY(section_data(message, root ? &*root : nullptr, section)));
        if (items.preview) prepared.previews.push_back(preview_source(message.object, root));
        row.envelope = std::move(message.texts.envelope);
        row.body = std::move(message.texts.body);
        row.bodystructure = std::move(message.texts.bodystructure);
        return rows.size() < limit && together < batch_octets;
    };
    prepared.batch.last = TRY(account.visit_messages(source.selected.mailbox, source.request->uids,
                                                     columns_for(items, by_headers), after, take));
    return prepared;
}

net::Task<Result<MailboxService::Prepared>> MailboxService::prepare(Source source, Uid after) {
    const imap::FetchItems& items = source.request->items;
    auto load = [source, after](store::AccountStore& account) -> Result<Prepared> {
        if (!source.node.is_core() && TRY(are_uids_void(account, source.selected)))
            return fail(ErrorKind::refused, "The mailbox has another UIDVALIDITY: select it again");
        bool by_headers = headers_suffice(source.request->items);
        Prepared prepared = TRY(load_rows(account, source, after, by_headers));
        if (!by_headers || !prepared.batch.rows.empty() || prepared.batch.last) return prepared;
        return load_rows(account, source, after, false);
    };
    Prepared prepared = CO_TRY(co_await source.node.read(source.account, std::move(load)));
    if (!items.sections.empty()) CO_TRY(co_await read_small_pieces(source, prepared));
    co_return prepared;
}

imap::FetchBatch MailboxService::rows_of(const store::Snapshot& snapshot, const UidSet& uids, Uid& after) {
    imap::FetchBatch batch;
    batch.rows.reserve(std::min(snapshot.uids.size(), rows_plain));
    const auto& list = uids.list();
    auto it = std::ranges::upper_bound(list, after.value, {}, &UidSet::Interval::last);
    auto at = std::ranges::upper_bound(snapshot.uids, after);
    for (; it != list.end(); ++it) {
        at = std::lower_bound(at, snapshot.uids.end(), Uid{it->first});
        for (; at != snapshot.uids.end() && at->value <= it->last; ++at) {
            if (batch.rows.size() == rows_plain) {
                batch.last = false;
                return batch;
            }
            auto place = static_cast<std::size_t>(at - snapshot.uids.begin());
            imap::FetchRow& row = batch.rows.emplace_back();
            row.uid = after = *at;
            row.flags = snapshot.flags(place);
            row.modseq = snapshot.states[place].modseq;
        }
    }
    return batch;
}

net::Task<Result<MailboxService::R>> MailboxService::next_batch() {
    if (fetch_->flags) {
        auto batch = rows_of(*fetch_->flags, fetch_->request->uids, fetch_->after);
        if (batch.last) fetch_.reset();
        co_return batch;
    }
    const imap::FetchItems& items = fetch_->request->items;
    Source source{node_, *account_, *selected_, fetch_->request};
    Prepared prepared;
    if (fetch_->ahead)
        prepared = CO_TRY(co_await fetch_->ahead.take());
    else
        prepared = CO_TRY(co_await prepare(source, fetch_->after));
    imap::FetchBatch& batch = prepared.batch;
    fetch_->after = prepared.after;
    // The next are read while these go out; where rows are all that is read, handing them over costs more.
    if (!batch.last && reads_bodies(items)) {
        auto here = co_await boost::asio::this_coro::executor;
        fetch_->ahead.start(node_, here, prepare(source, prepared.after));
    }
    if (!items.sections.empty()) CO_TRY(co_await decode_pieces(batch));
    if (fetch_->request->set_seen) CO_TRY(co_await mark_seen(batch));
    if (!prepared.sizes.empty()) CO_TRY(co_await measure(batch, std::move(prepared.sizes)));
    if (!prepared.previews.empty()) CO_TRY(co_await add_previews(batch, std::move(prepared.previews)));
    if (batch.last) fetch_.reset();
    co_return std::move(batch);
}

net::Task<Result<>> MailboxService::mark_seen(imap::FetchBatch& batch) {
    UidSet unseen;
    for (const auto& row : batch.rows)
        if (!row.flags.has(FlagSet::seen)) unseen.add(row.uid.value);
    if (unseen.empty()) co_return Result<>();
    imap::Store seen;
    seen.uids = std::move(unseen);
    seen.mode = imap::Store::Mode::add;
    seen.flags.system = FlagSet::seen;
    auto stored = CO_TRY(co_await change_flags(std::move(seen)));
    for (auto& changed : stored.rows) {
        auto row = std::ranges::lower_bound(batch.rows, changed.uid, {}, &imap::FetchRow::uid);
        if (row == batch.rows.end() || row->uid != changed.uid) continue;
        row->flags = changed.flags;
        row->modseq = changed.modseq;
        row->seen_now = changed.changed;
        note_own(changed.uid, changed.modseq);
    }
    co_return Result<>();
}

// One read for all small pieces of a batch; large ones are streamed by the driver. Filtered headers are
// always read here. When enough octets have come together the batch ends there.
net::Task<Result<>> MailboxService::read_small_pieces(Source source, Prepared& prepared) {
    imap::FetchBatch& batch = prepared.batch;
    struct Wanted {
        std::size_t row, section;
        imap::ObjectRange range;
        bool filtered;
    };
    std::vector<Wanted> wanted;
    const auto& sections = source.request->items.sections;
    for (std::size_t r = 0; r < batch.rows.size(); ++r)
        for (std::size_t s = 0; s < sections.size(); ++s) {
            auto& data = batch.rows[r].sections[s];
            if (!data || data->empty() || sections[s].binary) continue;
            if (std::holds_alternative<std::string>(data->front())) continue;
            auto range = std::get<imap::ObjectRange>(data->front());
            bool filtered = is_filtered(sections[s]);
            if (filtered || range.length <= piece_inline) wanted.push_back({r, s, range, filtered});
        }
    if (wanted.empty()) co_return Result<>();
    auto job = [wanted,
                request = source.request](store::SystemStore& system) -> Result<std::vector<std::string>> {
        const auto& sections = request->items.sections;
        std::vector<std::string> texts;
        std::uint64_t together = 0;
        for (const auto& w : wanted) {
            if (together >= batch_octets && w.row != wanted[texts.size() - 1].row) break;
            if (together >= row_octets) return too_large();
            std::uint64_t length =
                w.filtered ? std::min<std::uint64_t>(w.range.length, 4u << 20) : w.range.length;
            auto octets =
                length ? TRY(system.read_object(w.range.object, w.range.offset, length)) : std::string();
            texts.push_back(w.filtered ? imap::section_of_header(octets, sections[w.section])
                                       : std::move(octets));
            together += texts.back().size();
        }
        return texts;
    };
    auto texts = CO_TRY(co_await source.node.read(store::system_file, std::move(job)));
    if (texts.size() < wanted.size()) {
        std::size_t rows = wanted[texts.size()].row;
        batch.rows.resize(rows);
        batch.last = false;
        prepared.after = batch.rows.back().uid;
        prepared.sizes.resize(rows * source.request->items.binary_sizes.size());
        prepared.previews.resize(std::min(prepared.previews.size(), rows));
    }
    for (std::size_t i = 0; i < texts.size(); ++i)
        batch.rows[wanted[i].row].sections[wanted[i].section]->front() = std::move(texts[i]);
    co_return Result<>();
}

}  // namespace fwmail::service
