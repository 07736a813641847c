#include "service/mailbox_service.hpp"

#include <algorithm>
#include <set>

#include "base/co_try.hpp"
#include "base/hooks.hpp"
#include "service/home.hpp"
#include "service/imap_refusal.hpp"
#include "service/object_ids.hpp"
#include "service/quota.hpp"
#include "service/releases.hpp"
#include "service/search.hpp"
#include "service/sort.hpp"
#include "store/outside_mailboxes.hpp"
#include "store/provisional.hpp"

namespace fwmail::service {
namespace {

bool is_inbox(std::string_view name) { return equal_ignoring_case(name, "INBOX"); }

constexpr std::size_t most_statuses = 50;  // that a session keeps

// Whether a snapshot of the mailbox is as it would be now. Every change of a message, and of the mailbox
// itself, raises its modseq, but for these.
bool still_stands(const store::Snapshot& snapshot, const store::Mailbox& now) {
    const store::Mailbox& then = snapshot.mailbox;
    return then.highest_modseq == now.highest_modseq && then.uidvalidity == now.uidvalidity &&
           then.sealed_uidvalidity == now.sealed_uidvalidity && then.uidnext == now.uidnext &&
           then.recent_from == now.recent_from && then.read_only == now.read_only && then.name == now.name &&
           then.deleted == now.deleted;
}

Result<std::vector<imap::Successor>> successors_in(store::AccountStore& account, MailboxId mailbox) {
    std::vector<imap::Successor> successors;
    for (const auto& pair : TRY(store::successors(account, mailbox)))
        successors.push_back({pair.from, pair.to});
    return successors;
}

Error no_such_mailbox(std::string_view name) {
    if (is_inbox(name))  // at a remote that has heard of the user, and not of the mailbox (RFC 5530 3)
        return coded(ErrorKind::refused, "UNAVAILABLE",
                     "Your mail has not come from the core server yet: try again in a moment");
    return coded(ErrorKind::refused, "NONEXISTENT", "There is no mailbox of that name");
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

Result<> MailboxService::changeable() const {
    if (!takes_changes(node_))
        return fail(coded(ErrorKind::refused, "NOPERM",
                          "This outside copy of the mailbox is not linked with a core server"));
    return {};
}

// What a client has changed of the mailboxes is on its way.
void MailboxService::tell_of_mailboxes() {
    node_.hub.changed(*account_);
    if (!home_of(node_).empty()) wake_sender(node_, *account_);
}

net::Task<Result<MailboxService::R>> MailboxService::on(imap::Authenticate request) {
    auto logged_in =
        co_await log_in(node_, {"imap", std::move(request.user), peer_}, std::move(request.password));
    co_return on_login(std::move(logged_in));
}

net::Task<Result<MailboxService::R>> MailboxService::on(imap::AuthStart request) {
    auto step = co_await sasl_.start(std::move(request.mechanism), std::move(request.initial));
    co_return on_sasl(std::move(step));
}

net::Task<Result<MailboxService::R>> MailboxService::on(imap::AuthResponse request) {
    auto step = co_await sasl_.on_response(std::move(request.octets));
    co_return on_sasl(std::move(step));
}

Result<MailboxService::R> MailboxService::on_sasl(SaslLogin::Step step) {
    if (!step) return on_login(std::unexpected(std::move(step.error())));
    if (auto* challenge = std::get_if<sasl::Challenge>(&*step))
        return imap::AuthChallenge{std::move(challenge->octets)};
    return on_login(std::get<UserPtr>(std::move(*step)));
}

Result<MailboxService::R> MailboxService::on_login(Result<UserPtr> logged_in) {
    if (!logged_in) {
        auto& [kind, text] = logged_in.error();
        if (kind == ErrorKind::refused) return fail(coded(kind, "AUTHENTICATIONFAILED", text));
        if (kind == ErrorKind::temporary) return fail(coded(kind, "UNAVAILABLE", text));
        return std::unexpected(logged_in.error());
    }
    account_ = (*logged_in)->user.id;
    for (const auto& credential : (*logged_in)->credentials) verifiers_.push_back(credential.verifier);
    subscription_ = node_.hub.subscribe(*account_, changed_);
    node_.hub.hurry(*account_, node_.clock(), ChangeHub::Haste::login);
    node_.link_wake.notify();
    return imap::Done{};
}

bool MailboxService::login_stands() const {
    if (!account_) return true;
    auto user = node_.directory.find(*account_);
    return user && std::ranges::all_of(verifiers_, [&](const std::string& verifier) {
               return std::ranges::find(user->credentials, verifier, &store::Credential::verifier) !=
                      user->credentials.end();
           });
}

net::Task<Result<MailboxService::R>> MailboxService::on(imap::ListMailboxes) {
    auto job = [](store::AccountStore& account) -> Result<imap::MailboxList> {
        imap::MailboxList list;
        std::set<std::string, std::less<>> names;
        for (auto& m : TRY(account.load_mailboxes())) {
            if (m.name == m.id.hex()) continue;  // a stand-in: its name is still on the way
            names.insert(m.name);
            list.rows.push_back({m.name, m.special_use, m.subscribed, false, false});
        }
        // A subscription outlives its mailbox (RFC 9051 6.3.7).
        for (auto& name : TRY(account.load_subscriptions()))
            if (!names.contains(name)) list.rows.push_back({name, "", true, true, true});
        return list;
    };
    co_return CO_TRY(co_await node_.read(*account_, job));
}

net::Task<Result<store::Mailbox>> MailboxService::find(std::string name) {
    auto job = [name](store::AccountStore& account) { return account.find_mailbox(name); };
    auto mailbox = CO_TRY(co_await node_.read(*account_, job));
    if (!mailbox) co_return std::unexpected(no_such_mailbox(name));
    co_return std::move(*mailbox);
}

// The mailbox that messages are to go to: the client may make it and try again (RFC 9051 7.1).
net::Task<Result<store::Mailbox>> MailboxService::find_target(std::string name) {
    auto mailbox = co_await find(name);
    if (!mailbox && mailbox.error().text.starts_with("[NONEXISTENT]"))
        co_return fail(coded(ErrorKind::refused, "TRYCREATE", "There is no mailbox of that name"));
    co_return mailbox;
}

net::Task<Result<SnapshotPtr>> MailboxService::snapshot_of(std::variant<std::string, MailboxId> mailbox) {
    std::uint64_t version = node_.executor.version(*account_);
    auto look = [&](const auto& it) { return node_.snapshots.current(*account_, version, it); };
    if (auto kept = std::visit(look, mailbox)) co_return kept;
    auto load = [mailbox, version, id = *account_,
                 &snapshots = node_.snapshots](store::AccountStore& account) -> Result<SnapshotPtr> {
        auto find = [&](const auto& it) { return account.find_mailbox(it); };
        auto found = TRY(std::visit(find, mailbox));
        if (!found) {
            const auto* name = std::get_if<std::string>(&mailbox);
            return std::unexpected(no_such_mailbox(name ? *name : ""));
        }
        auto snapshot = snapshots.find(found->id);
        if (!snapshot || !still_stands(*snapshot, *found))
            snapshot = std::make_shared<const store::Snapshot>(
                TRY(account.select_snapshot(found->id, snapshot.get())));
        snapshots.keep({id, version, snapshot});
        return snapshot;
    };
    co_return co_await node_.read(*account_, std::move(load));
}

net::Task<Result<MailboxService::R>> MailboxService::on(imap::Select request) {
    selected_.reset();
    fetch_.reset();
    own_changes_.clear();
    auto kept = CO_TRY(co_await snapshot_of(request.mailbox));
    const store::Snapshot& snapshot = *kept;
    MailboxId id = snapshot.mailbox.id;
    bool read_only = request.read_only || snapshot.mailbox.read_only || !takes_changes(node_);
    Uid first_recent = snapshot.mailbox.recent_from;
    if (!read_only && first_recent < snapshot.mailbox.uidnext) {
        auto claim = [id](store::AccountStore& account) { return account.claim_recent(id); };
        first_recent = CO_TRY(co_await node_.write(*account_, claim));
    }
    imap::Selected answer;
    answer.uids = imap::NumberedUids(snapshot.uids);
    answer.uidvalidity = node_.is_core() ? snapshot.mailbox.uidvalidity : snapshot.mailbox.sealed_uidvalidity;
    answer.uidnext = snapshot.mailbox.uidnext;
    answer.highest_modseq = snapshot.mailbox.highest_modseq;
    answer.first_recent = first_recent;
    answer.first_unseen = snapshot.first_unseen;
    answer.keywords = snapshot.keywords;
    answer.mailbox_id = mailbox_id_text(node_, id);
    auto look = [id](store::AccountStore& account) { return successors_in(account, id); };
    if (!node_.is_core()) answer.successors = CO_TRY(co_await node_.read(*account_, look));
    answer.read_only = read_only;
    if (!takes_changes(node_) && !request.read_only)
        answer.read_only_reason = "This outside copy of the mailbox is not linked with a core server";
    selected_ = Selection{id, answer.uidvalidity, snapshot.mailbox.highest_modseq, read_only};
    co_return answer;
}

net::Task<Result<MailboxService::R>> MailboxService::on(imap::Unselect) {
    selected_.reset();
    fetch_.reset();
    co_return imap::Done{};
}

net::Task<Result<MailboxService::R>> MailboxService::on(imap::Create request) {
    CO_TRY(changeable());
    UnixMillis now = node_.clock();
    auto home = home_of(node_);
    auto job = [name = request.name, use = request.special_use, now, home, core = node_.is_core(),
                most = node_.config.count("limits.account-mailboxes")](
                   store::AccountStore& account) -> Result<MailboxId> {
        auto make = [&](const std::string& at, const std::string& for_use) -> Result<store::Mailbox> {
            TRY(account.check_mailbox_count(most));
            auto made = TRY(account.create_mailbox(at, for_use, now));
            if (core) return made;
            made.uidvalidity = made.sealed_uidvalidity;  // there is one view here
            made = TRY(account.upsert_mailbox(made));
            TRY(plan_mailboxes_home(account, home, {made.id}, now));
            return made;
        };
        // RFC 6154 3: one mailbox a use.
        auto in_use = [&](const store::Mailbox& mailbox) { return mailbox.special_use == use; };
        if (!use.empty() && std::ranges::any_of(TRY(account.load_mailboxes()), in_use))
            return fail(coded(ErrorKind::refused, "USEATTR", "There is a mailbox for that use already"));
        // RFC 3501 6.3.3: superior levels are made as well.
        for (std::size_t at = 0; (at = name.find(store::mailbox_delimiter, at + 1)) != std::string::npos;)
            if (std::string parent = name.substr(0, at); !TRY(account.find_mailbox(parent)))
                TRY(make(parent, ""));
        if (TRY(account.find_mailbox(name)))
            return fail(coded(ErrorKind::refused, "ALREADYEXISTS", "A mailbox of that name exists already"));
        return TRY(make(name, use)).id;
    };
    MailboxId id = CO_TRY(co_await node_.write(*account_, std::move(job)));
    crash_point("mailbox.changed");
    tell_of_mailboxes();
    co_return imap::Created{mailbox_id_text(node_, id)};
}

net::Task<Result<MailboxService::R>> MailboxService::on(imap::Delete request) {
    CO_TRY(changeable());
    if (is_inbox(request.name))
        co_return fail(coded(ErrorKind::refused, "CANNOT", "INBOX cannot be deleted"));
    auto mailbox = CO_TRY(co_await find(request.name));
    if (!mailbox.special_use.empty())
        co_return fail(
            coded(ErrorKind::refused, "CANNOT", "This mailbox has a special use and cannot be deleted"));
    auto home = home_of(node_);
    auto job = [id = mailbox.id, home, now = node_.clock()](store::AccountStore& account) -> Result<> {
        TRY(account.delete_mailbox(id));
        UidSet all;
        all.add(1, UINT32_MAX);
        if (!home.empty()) TRY(store::drop_unwanted_bodies(account, id, all));
        TRY(store::settle_names(account));
        return plan_mailboxes_home(account, home, {id}, now);
    };
    CO_TRY(co_await node_.write(*account_, job, store::octets_a_mailbox));
    crash_point("mailbox.changed");
    co_await release_bodies();
    tell_of_mailboxes();
    co_return imap::Done{};
}

net::Task<Result<MailboxService::R>> MailboxService::on(imap::Rename request) {
    CO_TRY(changeable());
    if (!node_.is_core() && is_inbox(request.from))
        co_return fail(coded(ErrorKind::refused, "CANNOT", "INBOX is renamed at the core server only"));
    auto from = CO_TRY(co_await find(request.from));
    UnixMillis now = node_.clock();
    auto home = home_of(node_);
    auto job =
        [request, from, now, home, author = store::Author{node_.id, now},
         most = node_.config.count("limits.account-mailboxes")](store::AccountStore& account) -> Result<> {
        if (TRY(account.find_mailbox(request.to)))
            return fail(coded(ErrorKind::refused, "ALREADYEXISTS", "A mailbox of that name exists already"));
        if (!is_inbox(request.from)) {
            auto renamed = TRY(account.rename_mailbox(request.from, request.to, author));
            TRY(store::settle_names(account));
            return plan_mailboxes_home(account, home, renamed, now);
        }
        // RFC 3501 6.3.5: INBOX stays, its messages move.
        TRY(account.check_mailbox_count(most));
        auto to = TRY(account.create_mailbox(request.to, "", now));
        UidSet all;
        all.add(1, 0xffffffff);
        TRY(account.move(from.id, all, to.id, now, author));
        return {};
    };
    CO_TRY(co_await node_.write(*account_, std::move(job)));
    crash_point("mailbox.changed");
    tell_of_mailboxes();
    co_return imap::Done{};
}

// A name is subscribed, and stays so whatever becomes of the mailbox.
net::Task<Result<MailboxService::R>> MailboxService::on(imap::Subscribe request) {
    CO_TRY(changeable());
    auto home = home_of(node_);
    auto job = [request, home,
                author = store::Author{node_.id, node_.clock()}](store::AccountStore& account) -> Result<> {
        auto known = TRY(account.find_subscription(request.name));
        if (!(known && known->on) && !TRY(account.find_mailbox(request.name)))
            return fail(coded(ErrorKind::refused, "NONEXISTENT", "There is no mailbox of that name"));
        if (!TRY(account.set_subscribed(request.name, request.on, author))) return {};
        return plan_subscription_home(account, home, request.name, author.now);
    };
    CO_TRY(co_await node_.write(*account_, std::move(job)));
    tell_of_mailboxes();
    co_return imap::Done{};
}

net::Task<Result<MailboxService::R>> MailboxService::on(imap::GetQuota) {
    imap::QuotaNumbers numbers;
    auto quota = quota_of(node_, *account_);
    if (!quota.any()) co_return numbers;
    auto look = [](store::AccountStore& account) { return account.usage(); };
    auto usage = CO_TRY(co_await node_.read(*account_, look));
    if (quota.octets) numbers.storage = {usage.octets, quota.octets};
    if (quota.messages) numbers.messages = {usage.messages, quota.messages};
    co_return numbers;
}

// The owner alone has rights; where nothing can be changed, to look and to read.
net::Task<Result<MailboxService::R>> MailboxService::on(imap::GetRights request) {
    auto mailbox = CO_TRY(co_await find(request.mailbox));
    auto user = node_.directory.find(*account_);
    if (!user) co_return fail(ErrorKind::refused, "This user is gone");
    bool read_only = mailbox.read_only || !takes_changes(node_);
    imap::MailboxRights rights;
    rights.mine = read_only ? "lr" : node_.is_core() ? "lrswipkxtea" : "lrswikxte";
    rights.holders.push_back({user->user.name, rights.mine});
    co_return rights;
}

net::Task<Result<MailboxService::R>> MailboxService::on(imap::Status request) {
    std::uint64_t version = node_.executor.version(*account_);
    if (std::exchange(statuses_version_, version) != version) statuses_.clear();
    if (auto known = statuses_.find(request.mailbox); known != statuses_.end()) co_return known->second;
    auto job = [name = request.mailbox](store::AccountStore& account) -> Result<store::MailboxStatus> {
        auto mailbox = TRY(account.find_mailbox(name));
        if (!mailbox) return std::unexpected(no_such_mailbox(name));
        return account.status(mailbox->id);
    };
    auto status = CO_TRY(co_await node_.read(*account_, job));
    imap::StatusNumbers numbers;
    numbers.messages = static_cast<std::uint32_t>(status.messages);
    numbers.recent = static_cast<std::uint32_t>(status.recent);
    numbers.unseen = static_cast<std::uint32_t>(status.unseen);
    numbers.uidnext = status.mailbox.uidnext;
    numbers.uidvalidity = node_.is_core() ? status.mailbox.uidvalidity : status.mailbox.sealed_uidvalidity;
    numbers.highest_modseq = status.mailbox.highest_modseq;
    numbers.size = status.octets;
    numbers.deleted = static_cast<std::uint32_t>(status.deleted);
    numbers.deleted_size = status.deleted_octets;
    numbers.mailbox_id = mailbox_id_text(node_, status.mailbox.id);
    if (statuses_.size() < most_statuses && statuses_version_ == version)
        statuses_.emplace(std::move(request.mailbox), numbers);
    co_return numbers;
}

// --- STORE, COPY, EXPUNGE

net::Task<Result<MailboxService::R>> MailboxService::on(imap::Store request) {
    auto stored = CO_TRY(co_await change_flags(std::move(request)));
    imap::Stored answer;
    for (auto& row : stored.rows) {
        note_own(row.uid, row.modseq);
        answer.rows.push_back({row.uid, std::move(row.flags), row.modseq});
    }
    answer.modified = std::move(stored.modified);
    co_return answer;
}

net::Task<Result<store::StoreResult>> MailboxService::change_flags(imap::Store request) {
    static_assert(static_cast<int>(imap::Store::Mode::remove) == static_cast<int>(store::StoreMode::remove));
    auto home = home_of(node_);
    std::size_t octets = request.uids.count() * store::octets_a_message;
    auto job = [id = selected_->mailbox, request = std::move(request), home,
                author = store::Author{node_.id, node_.clock()}](
                   store::AccountStore& account) -> Result<store::StoreResult> {
        auto uids = TRY(store::follow_successors(account, id, request.uids));
        auto stored = TRY(account.store_flags(id, uids, static_cast<store::StoreMode>(request.mode),
                                              request.flags, author, request.unchanged_since));
        TRY(plan_flags_home(account, home, id, stored.rows, author.now));
        return stored;
    };
    auto stored = CO_TRY(co_await node_.write(*account_, std::move(job), octets));
    crash_point("flags.stored");
    node_.hub.changed(*account_);
    if (!home.empty()) wake_sender(node_, *account_);
    co_return stored;
}

net::Task<Result<MailboxService::R>> MailboxService::on(imap::Copy request) {
    CO_TRY(changeable());
    auto target = CO_TRY(co_await find_target(request.mailbox));
    MailboxId from = selected_->mailbox;
    auto plan = [from, uids = request.uids,
                 now = node_.clock()](store::AccountStore& account) -> Result<std::vector<store::CopyItem>> {
        return account.plan_copy(from, TRY(store::follow_successors(account, from, uids)), now);
    };
    auto items = CO_TRY(co_await node_.read(*account_, std::move(plan)));
    std::vector<store::Reference> references;
    for (const auto& item : items) references.push_back({item.object, item.hold});
    auto keep = [account = *account_, references](store::SystemStore& system) {
        return system.add_references(account, references);
    };
    std::size_t octets = items.size() * store::octets_a_message;
    CO_TRY(co_await node_.write(store::system_file, std::move(keep), octets));
    crash_point("copy.between-files");
    auto home = home_of(node_);
    auto copy = [from, items, to = target.id, quota = quota_of(node_, *account_), home,
                 core = node_.is_core(),
                 now = node_.clock()](store::AccountStore& account) -> Result<std::vector<store::UidPair>> {
        store::Usage more{0, items.size()};
        for (const auto& item : items) more.octets += item.size;
        TRY(account.check_quota(quota, more));
        auto pairs = TRY(account.copy(from, items, to, now));
        if (!core) TRY(plan_copies_home(account, home, from, to, pairs, false, now));
        return pairs;
    };
    auto copied = co_await node_.write(*account_, std::move(copy), octets);
    if (!copied) {
        co_await give_back(node_, *account_, std::move(references), copied.error());
        co_return std::unexpected(copied.error());
    }
    crash_point("copy.stored");
    imap::Copied answer;
    answer.uidvalidity = target.uidvalidity;
    for (const auto& pair : *copied) {
        answer.source.push_back(pair.from);
        answer.destination.push_back(pair.to);
    }
    node_.hub.changed(*account_);
    if (!home.empty()) wake_sender(node_, *account_);
    co_return answer;
}

net::Task<Result<MailboxService::R>> MailboxService::on(imap::Expunge request) {
    auto home = home_of(node_);
    std::size_t octets =
        request.uids ? request.uids->count() * store::octets_a_message : store::octets_a_mailbox;
    auto job = [id = selected_->mailbox, uids = request.uids, home,
                now = node_.clock()](store::AccountStore& account) -> Result<store::ExpungeResult> {
        auto named = uids;
        if (named) named = TRY(store::follow_successors(account, id, *named));
        auto expunged = TRY(account.expunge(id, named));
        TRY(plan_expunge_home(account, home, id, expunged.uids, now));
        return expunged;
    };
    auto expunged = CO_TRY(co_await node_.write(*account_, std::move(job), octets));
    crash_point("expunge.stored");
    if (!expunged.uids.empty()) {
        co_await release_bodies();
        node_.hub.changed(*account_);
        if (!home.empty()) wake_sender(node_, *account_);
    }
    co_return imap::Expunged{std::move(expunged.uids)};
}

net::Task<> MailboxService::release_bodies() { co_await drain_releases(node_, *account_); }

// --- SEARCH, SORT, THREAD and POLL

Result<> MailboxService::may_search(imap::SearchKey& key) const {
    if (!node_.is_core() && imap::needs_sealed_content(key))
        return fail(coded(ErrorKind::refused, "CANNOT",
                          "Subjects and bodies are sealed here: search at the core server or in the client"));
    imap::prepare(key, node_.clock(), email_id_prefix(node_));
    return {};
}

net::Task<Result<MailboxService::R>> MailboxService::on(imap::Search request) {
    CO_TRY(may_search(request.key));
    imap::Found found;
    for (auto hit : CO_TRY(
             co_await search_mailbox(node_, *account_, selected_->mailbox, std::move(request.key), gone_))) {
        found.uids.push_back(hit.uid);
        if (request.modseqs) found.modseqs.push_back(hit.modseq);
    }
    co_return found;
}

net::Task<Result<MailboxService::R>> MailboxService::on(imap::Sort request) {
    auto by_subject = [](const auto& criterion) { return criterion.by == imap::SortBy::subject; };
    if (!node_.is_core() && std::ranges::any_of(request.criteria, by_subject))
        co_return fail(coded(ErrorKind::refused, "CANNOT",
                             "Subjects are sealed here: sort at the core server or in the client"));
    CO_TRY(may_search(request.key));
    imap::Found found;
    auto hits = CO_TRY(co_await sort_mailbox(node_, *account_, selected_->mailbox, std::move(request.key),
                                             std::move(request.criteria)));
    for (auto hit : hits) {
        found.uids.push_back(hit.uid);
        if (request.modseqs) found.modseqs.push_back(hit.modseq);
    }
    co_return found;
}

net::Task<Result<MailboxService::R>> MailboxService::on(imap::Thread request) {
    if (!node_.is_core() && request.by == imap::ThreadBy::ordered_subject)
        co_return fail(
            coded(ErrorKind::refused, "CANNOT", "Subjects are sealed here: use THREAD REFERENCES"));
    CO_TRY(may_search(request.key));
    co_return imap::Threads{CO_TRY(
        co_await thread_mailbox(node_, *account_, selected_->mailbox, std::move(request.key), request.by))};
}

Result<bool> MailboxService::are_uids_void(store::AccountStore& account, const Selection& selected) {
    auto now = TRY(account.find_mailbox(selected.mailbox));
    return now && now->sealed_uidvalidity != selected.uidvalidity;
}

net::Task<Result<MailboxService::R>> MailboxService::on(imap::Poll) {
    imap::Changes answer;
    if (!selected_) co_return answer;
    struct Look {
        store::Changes changes;
        std::vector<imap::Successor> successors;
        bool uids_void = false;
    };
    auto job = [selected = *selected_, core = node_.is_core()](store::AccountStore& account) -> Result<Look> {
        Look look{TRY(account.changes_since(selected.mailbox, selected.told)), {}};
        if (core) return look;
        look.successors = TRY(successors_in(account, selected.mailbox));
        look.uids_void = TRY(are_uids_void(account, selected));
        return look;
    };
    auto look = CO_TRY(co_await node_.read(*account_, job));
    answer.uids_void = look.uids_void;
    if (answer.uids_void) co_return answer;
    auto& changes = look.changes;
    answer.successors = std::move(look.successors);
    answer.highest = changes.highest;
    answer.arrived = changes.added;
    for (auto& row : changes.rows) {
        if (std::ranges::binary_search(changes.added, row.uid)) continue;
        auto own = own_changes_.find(row.uid);
        if (own != own_changes_.end() && own->second == row.modseq) continue;
        answer.flags.push_back({row.uid, std::move(row.flags), row.modseq});
    }
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
    // Last: after an error all of this is still to be told.
    selected_->told = changes.highest;
    own_changes_.clear();
    co_return answer;
}

}  // namespace fwmail::service
