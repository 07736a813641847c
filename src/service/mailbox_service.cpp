#include "service/mailbox_service.hpp"

#include <algorithm>

#include "base/co_try.hpp"
#include "base/hooks.hpp"
#include "mime/serialize.hpp"
#include "service/message_texts.hpp"
#include "service/releases.hpp"
#include "service/search_candidate.hpp"

namespace fwmail::service {
namespace {

constexpr std::size_t rows_plain = 1000;   // of a batch without bodies
constexpr std::size_t rows_sections = 64;  // of one with
constexpr std::uint64_t piece_inline = 64 * 1024;

Error coded(ErrorKind kind, std::string_view code, std::string_view text) {
    return {kind, "[" + std::string(code) + "] " + std::string(text)};
}

// Deeper parts of a name follow a '/'.
bool is_inbox(std::string_view name) { return equal_ignoring_case(name, "INBOX"); }

std::uint32_t columns_for(const imap::FetchItems& items) {
    std::uint32_t columns = store::column_flags;
    if (items.internal_date) columns |= store::column_date;
    if (items.size || !items.sections.empty()) columns |= store::column_size;
    if (items.envelope) columns |= store::column_envelope;
    if (items.body) columns |= store::column_body;
    if (items.bodystructure) columns |= store::column_bodystructure;
    if (!items.sections.empty()) columns |= store::column_identity;
    for (const auto& section : items.sections)
        if (!section.part.empty() || section.what != imap::Section::What::all) columns |= store::column_parts;
    return columns;
}

// What remains to be read of a filtered section: the header lies in the body store.
imap::SectionData section_data(const store::Message& message, const mime::Part* root,
                               const imap::Section& section) {
    mime::Part whole;
    if (!root) whole.body = {0, message.size};
    auto plan = imap::locate(root ? *root : whole, section, message.size);
    if (!plan) return std::nullopt;
    std::vector<imap::Piece> pieces;
    if (plan->range.length || plan->filtered)
        pieces.emplace_back(imap::ObjectRange{message.object, plan->range.offset, plan->range.length});
    return pieces;
}

}  // namespace

net::Task<imap::Reply> MailboxService::execute(imap::Request request) {
    // One request type, one function; std::visit cannot suspend, so it only chooses the coroutine.
    auto task = std::visit([this](auto& r) { return on(std::move(r)); }, request);
    auto result = co_await std::move(task);
    if (result) co_return std::move(*result);
    if (result.error().kind == ErrorKind::internal) node_.log.error("imap", result.error().text);
    co_return imap::to_refusal(std::move(result.error()));
}

Result<> MailboxService::writable() const {
    if (!node_.is_core())
        return fail(coded(ErrorKind::refused, "NOPERM",
                          "This is the outside copy of the mailbox: it can be read here, changes are made at "
                          "the core server"));
    return {};
}

net::Task<Result<MailboxService::R>> MailboxService::on(imap::Authenticate request) {
    auto user = node_.directory.find_login(request.user);
    bool good = false;
    if (user) {
        auto job = [user, password = std::move(request.password)](store::SystemStore&) -> Result<bool> {
            return password_matches(*user, password);
        };
        good = CO_TRY(co_await node_.read(store::system_file, std::move(job)));
    }
    if (!good) {
        node_.log.warning("imap", "login failed for " + request.user.substr(0, 200) + " from " + peer_);
        co_await net::sleep_for(std::chrono::seconds(1));
        co_return fail(
            coded(ErrorKind::refused, "AUTHENTICATIONFAILED", "The user name or the password is wrong"));
    }
    account_ = user->user.id;
    subscription_ = node_.hub.subscribe(*account_, changed_);
    if (node_.is_core()) node_.link_wake.notify();
    co_return imap::Done{};
}

net::Task<Result<MailboxService::R>> MailboxService::on(imap::ListMailboxes) {
    auto job = [](store::AccountStore& account) { return account.load_mailboxes(); };
    auto mailboxes = CO_TRY(co_await node_.read(*account_, job));
    imap::MailboxList list;
    for (auto& m : mailboxes)
        if (m.name != m.id.hex())  // a stand-in: its name is still on the way
            list.rows.push_back({m.name, m.special_use, m.subscribed, false});
    co_return list;
}

net::Task<Result<store::Mailbox>> MailboxService::find(std::string name) {
    auto job = [name](store::AccountStore& account) { return account.find_mailbox(name); };
    auto mailbox = CO_TRY(co_await node_.read(*account_, job));
    if (!mailbox)
        co_return fail(coded(ErrorKind::refused, "NONEXISTENT", "There is no mailbox of that name"));
    co_return std::move(*mailbox);
}

net::Task<Result<MailboxService::R>> MailboxService::on(imap::Select request) {
    selected_.reset();
    fetch_.reset();
    own_changes_.clear();
    auto mailbox = CO_TRY(co_await find(request.mailbox));
    MailboxId id = mailbox.id;
    bool read_only = request.read_only || mailbox.read_only || !node_.is_core();
    auto load = [id](store::AccountStore& account) { return account.select_snapshot(id); };
    auto snapshot = CO_TRY(co_await node_.read(*account_, load));
    Uid first_recent = snapshot.mailbox.recent_from;
    if (!read_only && first_recent < snapshot.mailbox.uidnext) {
        auto claim = [id](store::AccountStore& account) { return account.claim_recent(id); };
        first_recent = CO_TRY(co_await node_.write(*account_, claim));
    }
    imap::Selected answer;
    answer.uids = std::move(snapshot.uids);
    answer.uidvalidity = node_.is_core() ? snapshot.mailbox.uidvalidity : snapshot.mailbox.sealed_uidvalidity;
    answer.uidnext = snapshot.mailbox.uidnext;
    answer.highest_modseq = snapshot.mailbox.highest_modseq;
    answer.first_recent = first_recent;
    answer.first_unseen = snapshot.first_unseen;
    answer.keywords = std::move(snapshot.keywords);
    answer.read_only = read_only;
    if (!node_.is_core() && !request.read_only)
        answer.read_only_reason =
            "This is the outside copy of the mailbox: changes are made at the core server";
    selected_ = Selection{id, answer.uidvalidity, snapshot.mailbox.highest_modseq, read_only};
    co_return answer;
}

net::Task<Result<MailboxService::R>> MailboxService::on(imap::Unselect) {
    selected_.reset();
    fetch_.reset();
    co_return imap::Done{};
}

net::Task<Result<MailboxService::R>> MailboxService::on(imap::Create request) {
    CO_TRY(writable());
    UnixMillis now = node_.clock();
    auto job = [name = request.name, now](store::AccountStore& account) -> Result<> {
        // RFC 3501 6.3.3: superior levels are made as well.
        for (std::size_t at = 0; (at = name.find(store::mailbox_delimiter, at + 1)) != std::string::npos;)
            if (std::string parent = name.substr(0, at); !TRY(account.find_mailbox(parent)))
                TRY(account.create_mailbox(parent, "", now));
        if (TRY(account.find_mailbox(name)))
            return fail(coded(ErrorKind::refused, "ALREADYEXISTS", "A mailbox of that name exists already"));
        TRY(account.create_mailbox(name, "", now));
        return {};
    };
    CO_TRY(co_await node_.write(*account_, std::move(job)));
    node_.hub.changed(*account_);
    co_return imap::Done{};
}

net::Task<Result<MailboxService::R>> MailboxService::on(imap::Delete request) {
    CO_TRY(writable());
    if (is_inbox(request.name))
        co_return fail(coded(ErrorKind::refused, "CANNOT", "INBOX cannot be deleted"));
    auto mailbox = CO_TRY(co_await find(request.name));
    if (!mailbox.special_use.empty())
        co_return fail(
            coded(ErrorKind::refused, "CANNOT", "This mailbox has a special use and cannot be deleted"));
    auto job = [id = mailbox.id](store::AccountStore& account) { return account.delete_mailbox(id); };
    CO_TRY(co_await node_.write(*account_, job));
    co_await release_bodies();
    node_.hub.changed(*account_);
    co_return imap::Done{};
}

net::Task<Result<MailboxService::R>> MailboxService::on(imap::Rename request) {
    CO_TRY(writable());
    auto from = CO_TRY(co_await find(request.from));
    UnixMillis now = node_.clock();
    auto job = [request, from, now](store::AccountStore& account) -> Result<> {
        if (TRY(account.find_mailbox(request.to)))
            return fail(coded(ErrorKind::refused, "ALREADYEXISTS", "A mailbox of that name exists already"));
        if (!is_inbox(request.from)) return account.rename_mailbox(request.from, request.to);
        // RFC 3501 6.3.5: INBOX stays, its messages move.
        auto to = TRY(account.create_mailbox(request.to, "", now));
        UidSet all;
        all.add(1, 0xffffffff);
        TRY(account.move(from.id, all, to.id, now));
        return {};
    };
    CO_TRY(co_await node_.write(*account_, std::move(job)));
    node_.hub.changed(*account_);
    co_return imap::Done{};
}

net::Task<Result<MailboxService::R>> MailboxService::on(imap::Subscribe request) {
    CO_TRY(writable());
    auto mailbox = CO_TRY(co_await find(request.name));
    auto job = [id = mailbox.id, on = request.on](store::AccountStore& account) {
        return account.set_subscribed(id, on);
    };
    CO_TRY(co_await node_.write(*account_, job));
    node_.hub.changed(*account_);
    co_return imap::Done{};
}

net::Task<Result<MailboxService::R>> MailboxService::on(imap::Status request) {
    auto mailbox = CO_TRY(co_await find(request.mailbox));
    auto job = [id = mailbox.id](store::AccountStore& account) { return account.status(id); };
    auto status = CO_TRY(co_await node_.read(*account_, job));
    co_return imap::StatusNumbers{
        static_cast<std::uint32_t>(status.messages), static_cast<std::uint32_t>(status.recent),
        static_cast<std::uint32_t>(status.unseen), status.mailbox.uidnext,
        node_.is_core() ? status.mailbox.uidvalidity : status.mailbox.sealed_uidvalidity};
}

// --- APPEND

net::Task<Result<MailboxService::R>> MailboxService::on(imap::AppendBegin request) {
    append_.reset();
    CO_TRY(writable());
    auto mailbox = co_await find(request.mailbox);
    if (!mailbox) {
        if (mailbox.error().text.starts_with("[NONEXISTENT]"))
            co_return fail(coded(ErrorKind::refused, "TRYCREATE", "There is no mailbox of that name"));
        co_return std::unexpected(mailbox.error());
    }
    append_.emplace(AppendRun{std::move(*mailbox), std::move(request.flags),
                              request.internal_date.value_or(node_.clock()), BodyWriter(node_)});
    co_return imap::Done{};
}

net::Task<> MailboxService::append_data(std::string octets) {
    if (append_) (void)co_await append_->writer.feed(std::move(octets));  // an error stays for AppendEnd
}

net::Task<Result<MailboxService::R>> MailboxService::on(imap::AppendEnd) {
    if (!append_) co_return fail(ErrorKind::internal, "APPEND ends that did not begin");
    AppendRun run = std::move(*append_);
    append_.reset();
    auto written = CO_TRY(co_await run.writer.finish());
    UnixMillis now = node_.clock();
    store::NewMessage message;
    message.mailbox = run.mailbox.id;
    message.hold = make_id<store::HoldIdTag>(now);
    message.email_id = make_email_id(now);
    message.object = written.object;
    message.size = written.size;
    message.date = run.date;
    message.flags = run.flags;
    message.texts = message_texts(written.root);
    message.saved_at = now;
    std::size_t size = written.content ? written.content->size() : 0;
    auto keep = [account = *account_, message, now,
                 content = std::move(written.content)](store::SystemStore& system) -> Result<> {
        if (content) TRY(system.put_object(message.object, *content, now));
        return system.add_reference(message.object, {account, message.hold});
    };
    CO_TRY(co_await node_.write(store::system_file, std::move(keep), size));
    crash_point("append.between-files");
    auto add = [message](store::AccountStore& account) { return account.append(message); };
    Uid uid = CO_TRY(co_await node_.write(*account_, std::move(add)));
    node_.hub.changed(*account_);
    co_return imap::Appended{run.mailbox.uidvalidity, uid};
}

// --- FETCH

net::Task<Result<MailboxService::R>> MailboxService::on(imap::Fetch request) {
    if (!selected_) co_return fail(ErrorKind::internal, "FETCH without a mailbox");
    if (selected_->read_only) request.set_seen = false;
    fetch_.emplace(FetchRun{std::move(request), Uid{}});
    co_return co_await next_batch();
}

net::Task<Result<MailboxService::R>> MailboxService::on(imap::FetchMore) {
    if (!fetch_ || !selected_) co_return fail(ErrorKind::internal, "no FETCH is under way");
    co_return co_await next_batch();
}

net::Task<Result<MailboxService::R>> MailboxService::next_batch() {
    const imap::Fetch& request = fetch_->request;
    std::size_t limit = request.items.sections.empty() ? rows_plain : rows_sections;
    auto load = [id = selected_->mailbox, uids = request.uids, columns = columns_for(request.items), limit,
                 after = fetch_->after](store::AccountStore& account) {
        return account.load_messages(id, uids, columns, limit, after);
    };
    auto messages = CO_TRY(co_await node_.read(*account_, std::move(load)));
    imap::FetchBatch batch;
    batch.last = messages.size() < limit;
    if (!messages.empty()) fetch_->after = messages.back().uid;
    for (auto& message : messages) {
        imap::FetchRow row;
        row.uid = message.uid;
        row.flags = std::move(message.flags);
        row.modseq = message.modseq;
        row.internal_date = message.date;
        row.size = message.size;
        std::optional<mime::Part> root;
        if (!message.texts.parts.empty()) root = CO_TRY(mime::parse_part(message.texts.parts));
        for (const auto& section : request.items.sections)
            row.sections.push_back(section_data(message, root ? &*root : nullptr, section));
        row.envelope = std::move(message.texts.envelope);
        row.body = std::move(message.texts.body);
        row.bodystructure = std::move(message.texts.bodystructure);
        batch.rows.push_back(std::move(row));
    }
    if (request.set_seen) CO_TRY(co_await mark_seen(batch));
    if (!request.items.sections.empty()) CO_TRY(co_await read_small_pieces(batch));
    if (batch.last) fetch_.reset();
    co_return batch;
}

net::Task<Result<>> MailboxService::mark_seen(imap::FetchBatch& batch) {
    UidSet unseen;
    for (const auto& row : batch.rows)
        if (!row.flags.has(FlagSet::seen)) unseen.add(row.uid.value);
    if (unseen.empty()) co_return Result<>();
    FlagSet seen;
    seen.system = FlagSet::seen;
    auto job = [id = selected_->mailbox, unseen, seen](store::AccountStore& account) {
        return account.store_flags(id, unseen, store::StoreMode::add, seen);
    };
    auto stored = CO_TRY(co_await node_.write(*account_, std::move(job)));
    for (auto& changed : stored.rows) {
        auto row = std::ranges::lower_bound(batch.rows, changed.uid, {}, &imap::FetchRow::uid);
        if (row == batch.rows.end() || row->uid != changed.uid) continue;
        row->flags = changed.flags;
        row->modseq = changed.modseq;
        row->seen_now = changed.changed;
        note_own(changed.uid, changed.modseq);
    }
    node_.hub.changed(*account_);
    co_return Result<>();
}

// One read for all small pieces of a batch; large ones are streamed by the driver. Filtered headers are
// always read here.
net::Task<Result<>> MailboxService::read_small_pieces(imap::FetchBatch& batch) {
    struct Wanted {
        std::size_t row, section;
        imap::ObjectRange range;
        bool filtered;
    };
    std::vector<Wanted> wanted;
    const auto& sections = fetch_->request.items.sections;
    for (std::size_t r = 0; r < batch.rows.size(); ++r)
        for (std::size_t s = 0; s < sections.size(); ++s) {
            auto& data = batch.rows[r].sections[s];
            if (!data || data->empty()) continue;
            auto range = std::get<imap::ObjectRange>(data->front());
            bool filtered = sections[s].what == imap::Section::What::header_fields ||
                            sections[s].what == imap::Section::What::header_fields_not;
            if (filtered || range.length <= piece_inline) wanted.push_back({r, s, range, filtered});
        }
    if (wanted.empty()) co_return Result<>();
    auto job = [wanted, sections](store::SystemStore& system) -> Result<std::vector<std::string>> {
        std::vector<std::string> texts;
        for (const auto& w : wanted) {
            std::uint64_t length =
                w.filtered ? std::min<std::uint64_t>(w.range.length, 4u << 20) : w.range.length;
            auto octets =
                length ? TRY(system.read_object(w.range.object, w.range.offset, length)) : std::string();
            texts.push_back(w.filtered ? imap::section_of_header(octets, sections[w.section])
                                       : std::move(octets));
        }
        return texts;
    };
    auto texts = CO_TRY(co_await node_.read(store::system_file, std::move(job)));
    for (std::size_t i = 0; i < wanted.size(); ++i)
        batch.rows[wanted[i].row].sections[wanted[i].section]->front() = std::move(texts[i]);
    co_return Result<>();
}

// --- STORE, COPY, EXPUNGE

net::Task<Result<MailboxService::R>> MailboxService::on(imap::Store request) {
    CO_TRY(writable());
    static_assert(static_cast<int>(imap::Store::Mode::remove) == static_cast<int>(store::StoreMode::remove));
    auto job = [id = selected_->mailbox, request](store::AccountStore& account) {
        return account.store_flags(id, request.uids, static_cast<store::StoreMode>(request.mode),
                                   request.flags);
    };
    auto stored = CO_TRY(co_await node_.write(*account_, std::move(job)));
    imap::Stored answer;
    for (auto& row : stored.rows) {
        note_own(row.uid, row.modseq);
        answer.rows.push_back({row.uid, std::move(row.flags)});
    }
    node_.hub.changed(*account_);
    co_return answer;
}

net::Task<Result<MailboxService::R>> MailboxService::on(imap::Copy request) {
    CO_TRY(writable());
    auto target = co_await find(request.mailbox);
    if (!target) {
        if (target.error().text.starts_with("[NONEXISTENT]"))
            co_return fail(coded(ErrorKind::refused, "TRYCREATE", "There is no mailbox of that name"));
        co_return std::unexpected(target.error());
    }
    MailboxId from = selected_->mailbox;
    auto plan = [from, uids = request.uids](store::AccountStore& account) {
        return account.plan_copy(from, uids);
    };
    auto items = CO_TRY(co_await node_.read(*account_, std::move(plan)));
    std::vector<store::Reference> references;
    for (const auto& item : items) references.push_back({item.object, item.hold});
    auto keep = [account = *account_, references](store::SystemStore& system) {
        return system.add_references(account, references);
    };
    CO_TRY(co_await node_.write(store::system_file, std::move(keep)));
    crash_point("copy.between-files");
    auto copy = [from, items, to = target->id, now = node_.clock()](store::AccountStore& account) {
        return account.copy(from, items, to, now);
    };
    auto pairs = CO_TRY(co_await node_.write(*account_, std::move(copy)));
    imap::Copied answer;
    answer.uidvalidity = target->uidvalidity;
    for (const auto& pair : pairs) {
        answer.source.push_back(pair.from);
        answer.destination.push_back(pair.to);
    }
    node_.hub.changed(*account_);
    co_return answer;
}

net::Task<Result<MailboxService::R>> MailboxService::on(imap::Expunge request) {
    CO_TRY(writable());
    auto job = [id = selected_->mailbox, uids = request.uids](store::AccountStore& account) {
        return account.expunge(id, uids);
    };
    auto expunged = CO_TRY(co_await node_.write(*account_, std::move(job)));
    if (!expunged.uids.empty()) {
        co_await release_bodies();
        node_.hub.changed(*account_);
    }
    co_return imap::Expunged{std::move(expunged.uids)};
}

net::Task<> MailboxService::release_bodies() { co_await drain_releases(node_, *account_); }

// --- SEARCH and POLL

net::Task<Result<MailboxService::R>> MailboxService::on(imap::Search request) {
    if (!node_.is_core() && imap::needs_sealed_content(request.key))
        co_return fail(
            coded(ErrorKind::refused, "CANNOT",
                  "Subjects and bodies are sealed here: search at the core server or in the client"));
    imap::Found found;
    bool headers = needs_headers(request.key);
    constexpr std::size_t page = 500;
    UidSet all;
    all.add(1, 0xffffffff);
    for (Uid after;;) {
        std::uint32_t columns = store::column_flags | store::column_size | store::column_date;
        if (headers) columns |= store::column_identity | store::column_parts;
        auto load = [id = selected_->mailbox, all, columns, after](store::AccountStore& account) {
            return account.load_messages(id, all, columns, page, after);
        };
        auto messages = CO_TRY(co_await node_.read(*account_, std::move(load)));
        if (messages.empty()) break;
        after = messages.back().uid;
        bool last = messages.size() < page;
        auto match = [key = request.key, messages = std::move(messages)](
                         store::SystemStore& system) -> Result<std::vector<Uid>> {
            std::vector<Uid> uids;
            for (const auto& message : messages) {
                StoredCandidate candidate(message, system);
                if (imap::matches(key, candidate)) uids.push_back(message.uid);
                TRY(candidate.result());
            }
            return uids;
        };
        auto uids = CO_TRY(co_await node_.read(store::system_file, std::move(match)));
        found.uids.insert(found.uids.end(), uids.begin(), uids.end());
        if (last) break;
    }
    co_return found;
}

net::Task<Result<MailboxService::R>> MailboxService::on(imap::Poll) {
    imap::Changes answer;
    if (!selected_) co_return answer;
    auto job = [id = selected_->mailbox, told = selected_->told](store::AccountStore& account) {
        return account.changes_since(id, told);
    };
    auto changes = CO_TRY(co_await node_.read(*account_, job));
    selected_->told = changes.highest;
    answer.arrived = changes.added;
    for (auto& row : changes.rows) {
        if (std::ranges::binary_search(changes.added, row.uid)) continue;
        auto own = own_changes_.find(row.uid);
        if (own != own_changes_.end() && own->second == row.modseq) continue;
        answer.flags.push_back({row.uid, std::move(row.flags)});
    }
    own_changes_.clear();
    for (const auto& interval : changes.expunged.list())
        for (std::uint64_t uid = interval.first; uid <= interval.last; ++uid)
            answer.expunged.push_back(Uid{static_cast<std::uint32_t>(uid)});
    if (!answer.arrived.empty()) {
        answer.first_recent = answer.arrived.front();
        if (!selected_->read_only) {
            auto claim = [id = selected_->mailbox](store::AccountStore& account) {
                return account.claim_recent(id);
            };
            answer.first_recent = CO_TRY(co_await node_.write(*account_, claim));
        }
    }
    co_return answer;
}

}  // namespace fwmail::service
