// A core and two remotes, each with a real account, and between them a way that loses, repeats and reorders.
// Clients of all three append, copy, move, expunge and flag the same messages at once. When it is quiet in
// the end all show the same, nothing is lost, nothing is there twice, nothing that was expunged is there,
// and no number was ever used for two messages.
#include <deque>
#include <random>
#include <set>
#include <tuple>

#include "crypto/hash.hpp"
#include "service/appended.hpp"
#include "service/core_entries.hpp"
#include "service/digests.hpp"
#include "service/epochs.hpp"
#include "service/home.hpp"
#include "service/link_entries.hpp"
#include "service/outbox_kinds.hpp"
#include "service/poller.hpp"
#include "service/remote_entries.hpp"
#include "service/resealing.hpp"
#include "service/sealed_mail.hpp"
#include "store/database.hpp"
#include "store/elsewhere.hpp"
#include "store/epochs.hpp"
#include "store/resealed.hpp"
#include "store/support.hpp"
#include "support/seeds.hpp"
#include "sync/link.hpp"

namespace fwmail::service::test {
namespace {

using store::AccountStore;
using store::Place;
using store::test::id_of;
using store::test::must;

constexpr std::size_t nodes = 3;  // the first is core
const AccountId account = id_of<AccountId>(1);

NodeId node_id(std::size_t n) { return id_of<NodeId>(100 + n); }

std::filesystem::path fresh_folder() {
    std::filesystem::path base = std::filesystem::exists("/dev/shm") ? "/dev/shm" : "/tmp";
    std::string name = (base / "fwmail-filing-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()));
    REQUIRE(store::prepare_data_dir(name));
    return name;
}

class Network {
  public:
    explicit Network(unsigned seed) : random_(seed) {
        for (std::size_t n = 0; n < nodes; ++n) {
            auto& place = places_[n];
            place.folder = fresh_folder();
            place.drift = static_cast<std::int64_t>(below(400'000)) - 200'000;
            open(n);
        }
        for (const char* name : {"INBOX", "A", "B"}) create(0, name);
        for (int i = 0; i < 4; ++i) append(0);
        settle(4);
    }
    ~Network() {
        for (auto& place : places_) {
            place.store.reset();
            std::error_code code;
            std::filesystem::remove_all(place.folder, code);
        }
    }

    // `losses`: how often, about, that node wakes up with what it knew some time before.
    void run(std::size_t steps, std::size_t losses = 0, std::size_t forgetful = 0,
             std::size_t most_restored = 1) {
        forgetful_ = forgetful;
        for (std::size_t i = 0; i < steps; ++i) {
            // Never twice at once: ids of mailboxes begin with the time, and are in order by that.
            now_ += 1 + static_cast<std::int64_t>(below(1000));
            std::size_t n = below(nodes);
            if (losses && below(steps / losses / 2 + 1) == 0) {
                if (below(2) && !places_[forgetful].backup.empty() && restored_ < most_restored)
                    restore(forgetful), ++restored_;
                else
                    back_up(forgetful);
            }
            switch (below(6)) {
                case 0:
                case 1:
                    act(n);
                    break;
                case 2:
                    send_all(n);
                    break;
                default:
                    deliver();
            }
            if (rotates_ && below(25) == 0) rotate_key();
            look(n);
        }
        settle(losses ? 24 : 14);
    }
    void settle_keys() { settle(40); }
    // The user's key is replaced now and then, and everything sealed anew to it.
    void rotate_keys() { rotates_ = true; }
    // Everywhere it is sealed to the last key, and shown under the same UIDVALIDITY.
    void check_seals() {
        for (const auto& mailbox : must(on(0).load_mailboxes()))
            for (std::size_t n = 1; n < nodes; ++n) {
                auto there = must(on(n).find_mailbox(mailbox.id));
                REQUIRE(there);
                REQUIRE(there->sealed_uidvalidity == mailbox.sealed_uidvalidity);
                REQUIRE(must(store::count_resealed(on(n))) == 0);
                auto mine = messages(0, mailbox.id), theirs = messages(n, mailbox.id);
                REQUIRE(mine.size() == theirs.size());
                for (std::size_t i = 0; i < mine.size(); ++i) {
                    INFO("mailbox " << mailbox.name << " at " << n << " uid " << mine[i].uid.value);
                    // What was sealed outside may come when all is done.
                    if (!appended_with_.contains(mine[i].email_id))
                        REQUIRE(mine[i].seal.seed.ends_with(recipe_end()));
                    REQUIRE(theirs[i].seal.sha256 == mine[i].seal.sha256);
                }
            }
    }

    void check() {
        INFO(altered_);
        for (std::size_t n = 0; n < nodes; ++n)
            for (std::size_t peer = 0; peer < nodes; ++peer) {
                auto left = must(on(n).load_outbox(node_id(peer), all_numbers(), 10));
                std::string kinds;
                for (const auto& row : left)
                    kinds += " " + std::to_string(row.number.value) + ":" + std::to_string(row.kind) + " " +
                             row.mailbox.hex().substr(28) + "/" + std::to_string(row.uid.value);
                INFO("node " << n << " has not told " << peer << kinds);
                REQUIRE(left.empty());
            }
        std::map<EmailId, std::size_t> there;
        std::map<EmailId, FlagSet> flags;
        for (const auto& mailbox : must(on(0).load_mailboxes())) {
            auto mine = messages(0, mailbox.id);
            for (const auto& m : mine) {
                ++there[m.email_id];
                flags[m.email_id] = m.flags;
            }
            for (std::size_t n = 1; n < nodes; ++n) {
                auto theirs = messages(n, mailbox.id);
                INFO("mailbox " << mailbox.name << " at " << n << ": " << listed(theirs) << "; core has "
                                << listed(mine));
                REQUIRE(theirs.size() == mine.size());
                for (std::size_t i = 0; i < mine.size(); ++i) {
                    REQUIRE(theirs[i].uid == mine[i].uid);
                    REQUIRE(theirs[i].email_id == mine[i].email_id);
                    REQUIRE(theirs[i].flags == mine[i].flags);
                }
            }
        }
        for (const auto& [email, made] : made_) {
            INFO("message " << email.hex());
            if (dead_.contains(email)) REQUIRE(there[email] == 0);
            if (removed_.contains(email)) continue;
            if (lost_any_) {
                // What core has lost track of is in each place where one of the nodes had it.
                REQUIRE(there[email] <= (forgetful_ == 0 ? made * nodes : made));
                if (!forgotten_.contains(email)) REQUIRE(there[email] >= 1);
                continue;
            }
            REQUIRE(there[email] == made);
            // Every keyword is of one command: those that were given to a message that is there once are.
            if (made == 1)
                for (const auto& word : keywords_[email]) REQUIRE(flags[email].has_keyword(word));
        }
        for (std::size_t n = 0; n < nodes; ++n) {
            REQUIRE(must(store::deleted_and_kept(on(n))).empty());
            REQUIRE(must(on(n).load_mailboxes()).size() == must(on(0).load_mailboxes()).size());
            auto problems = must(on(n).check([](ObjectId) { return true; }));
            CAPTURE(problems);
            REQUIRE(problems.empty());
        }
    }

    bool alike() {
        for (const auto& mailbox : must(on(0).load_mailboxes())) {
            auto mine = messages(0, mailbox.id);
            for (std::size_t n = 1; n < nodes; ++n)
                if (listed(messages(n, mailbox.id)) != listed(mine)) return false;
        }
        return true;
    }

    // What one side has changed and not told, as if the entries had been lost for good.
    void alter(std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            std::size_t n = below(nodes);
            auto mailboxes = must(on(n).load_mailboxes());
            MailboxId mailbox = mailboxes[below(mailboxes.size())].id;
            auto rows = messages(n, mailbox);
            std::size_t what = rows.empty() ? 3 : below(4);
            altered_ += "node " + std::to_string(n) + " kind " + std::to_string(what) + " in " +
                        must(on(n).find_mailbox(mailbox))->name + "; ";
            command(n, [&](AccountStore& store) -> Result<> {
                if (what == 3) return append_untold(store, n, mailbox);
                auto& message = rows[below(rows.size())];
                if (what == 2) return alter_flags(store, n, mailbox, message.uid);
                if (what == 1) return forget_row(store, mailbox, message);
                removed_.insert(message.email_id);
                TRY(store.expunge_any(mailbox, one(message.uid)));
                return {};
            });
            if (n == 0) count_as_planned();
            forget_what_is_nowhere();
            look(n);
        }
        lost_any_ = true;
        forgetful_ = 0;
    }
    // Core tells its digests; what comes of that goes to and fro. How many mailboxes were not alike.
    std::size_t compare() {
        std::size_t differing = 0;
        now_ += 3'600'000;  // what still waits, waits for what does not come
        for (std::size_t n = 1; n < nodes; ++n) {
            std::optional<sync::Digests> digests;
            sync::Compared outcome;
            poll(n);
            command(0, [&](AccountStore& store) -> Result<> {
                digests = TRY(make_digests(store, turn(0, n), sync::earliest_date));
                return note_asked(store, node_id(n), time_at(0));
            });
            REQUIRE(digests);
            command(n, [&](AccountStore& store) -> Result<> {
                auto found = TRY(find_difference(store, turn(n, 0), *digests));
                REQUIRE(found);
                differing += found->outcome.differing;
                REQUIRE(TRY(tell_difference(store, turn(n, 0), *digests, *found)));
                outcome = found->outcome;
                return {};
            });
            command(0, [&](AccountStore& store) -> Result<> {
                REQUIRE(TRY(take_outcome(store, node_id(n), outcome, time_at(0))));
                return {};
            });
        }
        settle(6);
        return differing;
    }

  private:
    Result<> append_untold(AccountStore& store, std::size_t n, MailboxId mailbox) {
        store::NewMessage m;
        m.mailbox = mailbox;
        m.hold = id_of<store::HoldId>(++last_id_);
        m.email_id = id_of<EmailId>(last_id_);
        m.object = id_of<ObjectId>(last_id_);
        m.date = time_at(n);
        made_[m.email_id] = 1;
        Uid uid = TRY(store.append(m));
        if (n) TRY(store.database().run("UPDATE mailboxes SET visible=? WHERE mailbox=?", uid, mailbox));
        return store.record_seal({mailbox, uid, seal_of(m.email_id)});
    }
    Result<> alter_flags(AccountStore& store, std::size_t n, MailboxId mailbox, Uid uid) {
        std::string word = "k" + std::to_string(++last_word_);
        TRY(store.store_flags(mailbox, one(uid), store::StoreMode::add, FlagSet::from_text(word), author(n)));
        return {};
    }
    // As if the file had been damaged.
    static Result<> forget_row(AccountStore& store, MailboxId mailbox, const store::Message& message) {
        TRY(store.expunge_any(mailbox, one(message.uid)));
        return store.database().run(
            "DELETE FROM expunged WHERE mailbox=(SELECT id FROM mailboxes WHERE mailbox=?) AND uid=?",
            mailbox, message.uid);
    }
    void count_as_planned() {
        for (std::size_t peer = 1; peer < nodes; ++peer)
            command(0, [&](AccountStore& store) -> Result<> {
                for (const auto& mailbox : TRY(store.load_mailboxes()))
                    for (const auto& m : messages(0, mailbox.id))
                        TRY(store.set_planned(node_id(peer), mailbox.id, {m.uid, m.uid}));
                store::OutboxPlan plan;
                plan.cursor = TRY(store.highest_modseq());
                TRY(store.append_outbox(node_id(peer), plan));
                return {};
            });
    }
    static std::string listed(const std::vector<store::Message>& messages) {
        std::string out;
        for (const auto& m : messages)
            out += std::to_string(m.uid.value) + "=" + m.email_id.hex().substr(28) + " (" + m.flags.text() +
                   ") ";
        return out;
    }
    struct Mail {
        std::size_t from, to;
        std::vector<sync::Numbered> entries;
        NumberSet voids;
        sync::AccountSection section;
    };
    struct Node {
        std::filesystem::path folder;
        std::unique_ptr<AccountStore> store;
        std::int64_t drift = 0;
        std::map<MailboxId, std::map<Uid, EmailId>> seen;
        std::map<std::tuple<MailboxId, UidValidity, Uid>, std::string> shown;
        std::filesystem::path backup;
    };

    std::size_t below(std::size_t n) { return random_() % n; }
    AccountStore& on(std::size_t n) { return *places_[n].store; }
    UnixMillis time_at(std::size_t n) const { return UnixMillis{now_ + places_[n].drift}; }
    store::Author author(std::size_t n) const { return {node_id(n), time_at(n)}; }
    static NumberSet all_numbers() {
        NumberSet all;
        all.add(1, 1ull << 60);
        return all;
    }
    static UidSet one(Uid uid) {
        UidSet set;
        set.add(uid.value);
        return set;
    }
    std::vector<store::Message> messages(std::size_t n, MailboxId mailbox) {
        UidSet all;
        all.add(1, UINT32_MAX);
        return must(on(n).load_messages(mailbox, all,
                                        store::column_identity | store::column_flags | store::column_seal |
                                            store::column_registers | store::column_date,
                                        1000));
    }
    void open(std::size_t n) {
        places_[n].store =
            must(AccountStore::open(places_[n].folder, account, UnixMillis{now_}, store::Access::read_write,
                                    {UnixMillis{++now_ + places_[n].drift}, 1000 + n}));
    }
    EpochTurn turn(std::size_t n, std::size_t peer) {
        return {node_id(peer), n == 0, 1, {1, 10 * n + peer}, {1, 10 * peer + n}, random_(), time_at(n)};
    }
    void back_up(std::size_t n) {
        auto& place = places_[n];
        place.store.reset();
        place.backup = place.folder / "backup.db";
        auto path = AccountStore::path_of(place.folder, account);
        std::filesystem::copy_file(path, place.backup, std::filesystem::copy_options::overwrite_existing);
        open(n);
    }
    // What was only here is gone; what is somewhere else, or was in the backup, must come back.
    void restore(std::size_t n) {
        auto& place = places_[n];
        place.store.reset();
        auto path = AccountStore::path_of(place.folder, account);
        std::filesystem::copy_file(place.backup, path, std::filesystem::copy_options::overwrite_existing);
        open(n);
        lost_any_ = true;
        forget_expunges();
        // Numbers that it gave in mailboxes that it does not know any more are lost.
        std::erase_if(place.seen, [&](const auto& seen) { return !must(on(n).find_mailbox(seen.first)); });
        forget_what_is_nowhere();
        // It has a witness of what it knew: else what it gives until it is found out may have been given.
        std::vector<EpochTurn> turns;
        for (std::size_t peer = 0; peer < nodes; ++peer)
            if (peer != n && (n == 0 || peer == 0)) turns.push_back(turn(n, peer));
        command(n, [&](AccountStore& store) { return begin_after_loss(store, turns); });
    }
    // What core has given another number, and lost that, it does not know again until all remotes have told.
    bool is_healing() {
        for (std::size_t n = 1; n < nodes; ++n)
            if (must(store::awaited_state(on(0), node_id(n)))) return true;
        return false;
    }
    // Whoever has it has it there; under another number only if core has given it that.
    bool is_nowhere_else(const store::Place& place, EmailId email) {
        if (lives_on_.contains(email)) return false;
        for (std::size_t n = 0; n < nodes; ++n) {
            std::size_t count = 0;
            for (const auto& mailbox : must(on(n).mailboxes_changed_since(ModSeq{})))
                for (const auto& m : messages(n, mailbox.id)) {
                    if (m.email_id != email) continue;
                    bool alike =
                        mailbox.id == place.mailbox && (m.uid == place.uid || !moved_.contains(email));
                    if (!alike || ++count > 1) return false;
                }
        }
        return true;
    }
    // An expunge of which nobody knows any more.
    void forget_expunges() {
        std::erase_if(dead_, [&](EmailId email) {
            for (std::size_t n = 0; n < nodes; ++n) {
                if (emails(n).contains(email)) continue;
                auto q = must(
                    on(n).database().query("SELECT 1 FROM expunged WHERE email=? AND became_uid=0", email));
                if (must(q.next())) return false;
            }
            return true;
        });
    }
    void forget_what_is_nowhere() {
        std::set<EmailId> somewhere;
        for (std::size_t at = 0; at < nodes; ++at) somewhere.merge(emails(at));
        for (const auto& [email, made] : made_)
            if (!somewhere.contains(email)) forgotten_.insert(email);
    }
    // Of deleted mailboxes too: there lies what core has not confirmed.
    std::set<EmailId> emails(std::size_t n) {
        std::set<EmailId> all;
        for (const auto& mailbox : must(on(n).mailboxes_changed_since(ModSeq{})))
            for (const auto& m : messages(n, mailbox.id)) all.insert(m.email_id);
        return all;
    }
    // What a client does is one transaction.
    template <class Job>
    void command(std::size_t n, Job job) {
        must(store::atomically(on(n).database(), [&]() -> Result<> { return job(on(n)); }));
    }
    static std::vector<NodeId> home(std::size_t n) {
        return n ? std::vector{node_id(0)} : std::vector<NodeId>{};
    }

    void create(std::size_t n, const std::string& name) {
        ++now_;
        command(n, [&](AccountStore& store) -> Result<> {
            TRY(store.create_mailbox(name, "", time_at(n)));
            return {};
        });
    }
    void append(std::size_t n) {
        store::NewMessage m;
        auto mailboxes = must(on(n).load_mailboxes());
        m.mailbox = mailboxes[below(mailboxes.size())].id;
        m.hold = id_of<store::HoldId>(++last_id_);
        m.email_id = id_of<EmailId>(last_id_);
        m.object = id_of<ObjectId>(last_id_);
        m.date = time_at(n);
        made_[m.email_id] = 1;
        if (n == 0) {
            must(on(n).append(m));
            return;
        }
        command(n, [&](AccountStore& store) -> Result<> {
            Uid uid = TRY(store.append(m));
            TRY(store.record_seal({m.mailbox, uid, seal_of(m.email_id)}));
            appended_with_[m.email_id] = recipe_end();
            AppendedHere appended{{}, {m.object, id_of<store::HoldId>(++last_id_)}};
            appended.request.kind = sync::AppendRequestEntry::sealed;
            appended.request.mailbox = m.mailbox;
            appended.request.email = m.email_id;
            appended.request.size = size_as_it_is(0);  // as when it comes home later
            return plan_appends_home(store, home(n), {appended}, {uid}, 1, time_at(n));
        });
    }
    // What is filed there by those who have not heard of it lives on.
    void remove_mailbox(MailboxId id) {
        auto mailbox = must(on(0).find_mailbox(id));
        if (mailbox->name == "INBOX") return;
        for (const auto& m : messages(0, id)) removed_.insert(m.email_id);
        // If it loses that, and hears it from a remote, its messages live on in a mailbox of that name.
        for (std::size_t n = 0; n < nodes; ++n) {
            if (!must(on(n).find_mailbox(id))) continue;
            for (const auto& m : messages(n, id)) {
                lives_on_.insert(m.email_id);
                dead_.erase(m.email_id);
            }
        }
        must(on(0).delete_mailbox(id));
        if (below(2)) create(0, mailbox->name);
    }
    void act(std::size_t n) {
        auto mailboxes = must(on(n).load_mailboxes());
        std::erase_if(mailboxes, [](const auto& m) { return m.name == m.id.hex(); });
        if (mailboxes.empty()) return;
        MailboxId from = mailboxes[below(mailboxes.size())].id, to = mailboxes[below(mailboxes.size())].id;
        auto rows = messages(n, from);
        if (n == 0 && below(12) == 0) return remove_mailbox(from);
        if (below(n ? 6 : 4) == 0) return append(n);
        if (rows.empty()) return;
        auto& message = rows[below(rows.size())];
        UnixMillis now = time_at(n);
        std::size_t what = below(7);
        if (what < 4) {
            dead_.erase(message.email_id);  // who has not heard of an expunge may move the message
            moved_.insert(message.email_id);
        }
        switch (what) {
            case 0:
            case 1:
                return command(n, [&](AccountStore& store) -> Result<> {
                    auto items = TRY(store.plan_copy(from, one(message.uid), now));
                    auto pairs = TRY(store.copy(from, items, to, now));
                    made_[message.email_id] += pairs.size();
                    if (n) TRY(plan_copies_home(store, home(n), from, to, pairs, false, now));
                    return {};
                });
            case 2:
            case 3:
                return command(n, [&](AccountStore& store) -> Result<> {
                    auto pairs = TRY(store.move(from, one(message.uid), to, now, author(n)));
                    if (n) TRY(plan_copies_home(store, home(n), from, to, pairs, true, now));
                    return {};
                });
            case 4:
                if (below(2)) return;
                removed_.insert(message.email_id);
                if ((n > 0 || !is_healing()) && is_nowhere_else({from, message.uid}, message.email_id))
                    dead_.insert(message.email_id);
                return command(n, [&](AccountStore& store) -> Result<> {
                    auto gone = TRY(store.expunge_any(from, one(message.uid)));
                    if (n) TRY(plan_expunge_home(store, home(n), from, gone.uids, now));
                    return {};
                });
            default: {
                FlagSet word = FlagSet::from_text("k" + std::to_string(++last_word_));
                keywords_[message.email_id].push_back("k" + std::to_string(last_word_));
                return command(n, [&](AccountStore& store) -> Result<> {
                    auto stored = TRY(
                        store.store_flags(from, one(message.uid), store::StoreMode::add, word, author(n)));
                    if (n) TRY(plan_flags_home(store, home(n), from, stored.rows, now));
                    return {};
                });
            }
        }
    }

    // As the poller does, but for what is sealed.
    void poll(std::size_t peer_number) {
        NodeId peer = node_id(peer_number);
        command(0, [&](AccountStore& store) -> Result<> {
            if (TRY(store::awaited_state(store, peer))) return {};
            store::OutboxPlan plan;
            ModSeq cursor = TRY(store.cursor(peer));
            plan.cursor = TRY(store.highest_modseq());
            std::string named = "mailboxes-cursor:" + peer.hex();
            auto before = TRY(store.value(named));
            TRY(store.set_value(named, std::to_string(plan.cursor.value)));
            store::OutboxRow row;
            row.due = UnixMillis{0};
            row.replaces = true;
            row.kind = outbox_mailbox;
            for (const auto& m :
                 TRY(store.mailboxes_changed_since(ModSeq{before ? std::stoull(*before) : 0}, peer))) {
                row.mailbox = m.id;
                plan.rows.push_back(row);
            }
            std::map<MailboxId, Uid> last;
            for (const auto& mailbox : TRY(store.load_mailboxes())) {
                auto planned = TRY(store.planned(peer, mailbox.id));
                last[mailbox.id] = planned.last;
                for (auto& m : messages(0, mailbox.id)) {
                    if (m.uid <= planned.last) continue;
                    auto seal = m.seal.state == store::SealState::sealed ? m.seal : seal_of(m.email_id);
                    plan.seals.push_back({mailbox.id, m.uid, seal});
                    store::OutboxRow message;
                    message.kind = outbox_message;
                    message.mailbox = mailbox.id;
                    message.uid = m.uid;
                    message.prev_uid = planned.chained;
                    message.email_id = m.email_id;
                    message.length = 1;
                    plan.rows.push_back(message);
                    planned = {m.uid, m.uid};
                }
                plan.planned.push_back({mailbox.id, planned});
            }
            row.kind = outbox_flags;
            for (const auto& change : TRY(store.messages_changed_since(cursor, 1000, peer))) {
                if (change.uid > last[change.mailbox]) continue;
                row.mailbox = change.mailbox;
                row.uid = change.uid;
                plan.rows.push_back(row);
            }
            add_gone(plan, TRY(store::gone_at(store, peer, TRY(store.expunged_since(cursor, 1000)))),
                     UnixMillis{0});
            TRY(store.append_outbox(peer, plan));
            return {};
        });
    }
    std::string recipe_end() const { return "key " + std::to_string(1000 + key_); }
    // As the poller does, a mailbox or so at a time.
    void reseal() {
        if (!resealing_) return;
        std::vector<NodeId> peers;
        for (std::size_t peer = 1; peer < nodes; ++peer) peers.push_back(node_id(peer));
        command(0, [&](AccountStore& store) -> Result<> {
            auto batch = TRY(next_to_reseal(store, peers, recipe_end(), at_));
            REQUIRE_FALSE(batch.waits);
            if (!batch.mailbox) {
                at_ = {};
                resealing_ = std::exchange(resealed_, 0) > 0;
                return {};
            }
            bool last = batch.last && below(2) == 0;
            if (!last && !batch.messages.empty()) batch.messages.resize(1 + below(batch.messages.size()));
            std::vector<Resealed> sealed;
            for (const auto& m : batch.messages)
                sealed.push_back({m.uid, m.email_id, m.object, m.seal.seed, seal_of(m.email_id), 1});
            resealed_ += sealed.size();
            at_ = {*batch.mailbox, last                     ? Uid{UINT32_MAX}
                                   : batch.messages.empty() ? Uid{}
                                                            : batch.messages.back().uid};
            return save_resealed(store, peers, *batch.mailbox, sealed, last, 1, UnixMillis{0});
        });
    }
    void send_all(std::size_t n) {
        if (n == 0) reseal();
        for (std::size_t peer = 0; peer < nodes; ++peer) {
            if (peer == n || (n != 0 && peer != 0)) continue;
            if (n == 0) poll(peer);
            auto rows = must(on(n).load_outbox(node_id(peer), all_numbers(), 10'000));
            auto read = must(read_entries(on(n), node_id(peer), rows, n == 0));
            REQUIRE(read.invalid.empty());
            Mail mail{n, peer, {}, read.voids, must(begin_section(on(n), turn(n, peer), 100'000))};
            for (const auto& row : read.home_chunks) {
                auto entry = must(sync::decode_entry(row.payload));
                const auto& request = std::get<sync::AppendRequestEntry>(entry);
                read.entries[row.number] =
                    sync::ChunkEntry{request.email, request.sealed_sha256, row.offset, request.size, "x"};
            }
            for (std::size_t i = 0; i < read.chunks.size(); ++i) {
                sync::ChunkEntry chunk{read.messages[i].email_id, {}, 0, 1, "x"};
                std::ranges::copy(read.messages[i].seal.sha256, chunk.sealed_sha256.begin());
                read.entries[read.chunks[i].number] = chunk;
            }
            for (auto& [number, entry] : read.entries) mail.entries.push_back({number, std::move(entry)});
            air_.push_back(std::move(mail));
        }
    }
    void deliver() {
        if (air_.empty()) return;
        std::size_t which = below(air_.size());
        Mail mail = air_[which];
        std::size_t fate = below(10);
        if (fate > 1) air_.erase(air_.begin() + static_cast<std::ptrdiff_t>(which));  // else it comes again
        // A part of it may come alone: as mails that overtake each other.
        if (fate == 2) std::erase_if(mail.entries, [&](const auto&) { return below(2) == 0; });
        if (fate < 7) receive(mail);  // else it is lost
    }
    void receive(const Mail& mail) {
        NodeId from = node_id(mail.from);
        command(mail.to, [&](AccountStore& store) -> Result<> {
            auto section = mail.section;
            section.entries = mail.entries;
            auto verdict = TRY(take_epochs(store, turn(mail.to, mail.from), section));
            if (!verdict.entries) return {};
            if (mail.to == 0) TRY(keep_chunks(store, from, section));
            section.voids = mail.voids;
            if (mail.to != 0) {
                AtRemote remote{store, from, time_at(mail.to)};
                TRY(hold_returned(remote, mail));
                auto applied = TRY(apply_core_entries(remote, section));
                for (const auto& [place, body] : remote.bodies) TRY(store.release(body));
                TRY(store.mark_applied(from, applied.numbers));
                return show(store, mail.to);
            }
            AtCore core{store, from, time_at(0), author(0), {0, 1'000'000}, {}};
            for (const auto& [number, entry] : mail.entries)
                if (const auto* copy = std::get_if<sync::CopyRequestEntry>(&entry);
                    copy && copy->moved.is_zero()) {
                    auto object = TRY(store::find_copied_body(store, from, copy_word(*copy)));
                    if (!object.is_zero()) core.bodies[number] = {object, id_of<store::HoldId>(++last_id_)};
                }
            TRY(prepare_appends(core, mail, {TRY(store.load_applied(from))}));
            return apply_remote_entries(core, section);
        });
        look(mail.to);
    }
    Result<> prepare_appends(AtCore& core, const Mail& mail, const sync::Incoming& incoming) {
        for (const auto& [number, entry] : mail.entries) {
            const auto* request = std::get_if<sync::AppendRequestEntry>(&entry);
            if (!request || request->kind == sync::AppendRequestEntry::gone ||
                incoming.classify(number) != sync::Arrival::fresh ||
                !TRY(read_pieces(core.account, *request)))
                continue;
            AppendedMail appended{{}, seal_of(request->email, key_of(request->email)), true};
            appended.message.hold = id_of<store::HoldId>(++last_id_);
            appended.message.object = id_of<ObjectId>(last_id_);
            appended.message.email_id = request->email;
            core.appended.emplace(number, std::move(appended));
        }
        return {};
    }
    Result<> hold_returned(AtRemote& remote, const Mail& mail) {
        for (const auto& [number, entry] : mail.entries)
            if (const auto* wanted = std::get_if<sync::ReturnEntry>(&entry))
                for (const auto& i : wanted->bodies.list())
                    for (auto uid = i.first; uid <= i.last; ++uid)
                        remote.bodies[{wanted->mailbox, Uid{uid}}] = {id_of<ObjectId>(1),
                                                                      id_of<store::HoldId>(++last_id_)};
        return {};
    }
    void rotate_key() {
        ++key_;
        resealing_ = true;
        at_ = {};
        resealed_ = 0;
    }
    std::string key_of(EmailId email) const {
        auto known = appended_with_.find(email);
        return known == appended_with_.end() ? recipe_end() : known->second;
    }
    // Under the key of now, or that one.
    store::Seal seal_of(EmailId email) const { return seal_of(email, recipe_end()); }
    static store::Seal seal_of(EmailId email, const std::string& key) {
        auto hash = crypto::sha256(std::string(email.octets()) + key);
        return {std::string(33, 's') + key, 1, std::string(crypto::view_of(hash)), store::SealState::sealed,
                ""};
    }
    // Every body is there, but for some that are to be shown anew.
    Result<> show(AccountStore& store, std::size_t n) {
        for (const auto& p : TRY(store.load_pending(store::BodyState::missing, 1000)))
            if (!p.reseals || settling_ || below(2))
                TRY(store.set_pending_body(
                    p.mailbox, p.uid,
                    {store::BodyState::ready, id_of<ObjectId>(1), id_of<store::HoldId>(++last_id_), 1, {}}));
        for (const auto& mailbox : TRY(store.load_mailboxes()))
            TRY(show_arrived(store, home(n), mailbox.id, time_at(n)));
        for (const auto& mailbox : TRY(store.load_mailboxes())) TRY(store::show_resealed(store, mailbox.id));
        return {};
    }
    // No number below one that was shown, and none for two messages.
    void look(std::size_t n) {
        for (const auto& mailbox : must(on(n).load_mailboxes())) {
            auto& seen = places_[n].seen[mailbox.id];
            Uid last = seen.empty() ? Uid{} : seen.rbegin()->first;
            for (const auto& m : messages(n, mailbox.id)) {
                INFO("node " << n << " mailbox " << mailbox.name << " uid " << m.uid.value);
                if (auto known = seen.find(m.uid); known != seen.end())
                    REQUIRE(known->second == m.email_id);
                else
                    REQUIRE(m.uid > last);
                seen[m.uid] = m.email_id;
                // What a UID names under one UIDVALIDITY never changes.
                if (!rotates_ || n == 0 || m.seal.state != store::SealState::sealed) continue;
                auto& shown = places_[n].shown[{mailbox.id, mailbox.sealed_uidvalidity, m.uid}];
                if (shown.empty()) shown = m.seal.sha256;
                REQUIRE(shown == m.seal.sha256);
            }
        }
    }
    void settle(int rounds) {
        settling_ = true;
        for (int round = 0; round < rounds; ++round) {
            now_ += 600'000;
            for (std::size_t n = 0; n < nodes; ++n) send_all(n);
            for (; !air_.empty(); air_.pop_front()) receive(air_.front());
        }
    }

    std::mt19937_64 random_;
    std::int64_t now_ = 1'700'000'000'000;
    Node places_[nodes];
    std::deque<Mail> air_;
    std::uint64_t last_id_ = 0, last_word_ = 0;
    std::map<EmailId, std::size_t> made_;  // how many there must be, unless one was expunged
    std::set<EmailId> removed_;
    std::set<EmailId> dead_;   // of those: must not come back
    std::set<EmailId> moved_;  // or copied, by a client
    std::set<EmailId> lives_on_;
    std::map<EmailId, std::vector<std::string>> keywords_;
    std::size_t restored_ = 0, forgetful_ = 0;
    bool rotates_ = false, resealing_ = false, settling_ = false;
    std::size_t key_ = 0, resealed_ = 0;
    std::map<EmailId, std::string> appended_with_;  // outside: under which key
    store::Place at_;
    std::string altered_;
    bool lost_any_ = false;
    std::set<EmailId> forgotten_;  // perhaps: whoever had it alone has lost it
};

}  // namespace

TEST_CASE("agreement: what is appended, copied and moved everywhere at once is filed once, and alike") {
    for (unsigned seed : fwmail::test::seeds(60)) {
        INFO("seed " << seed);
        Network network(seed);
        network.run(20 + seed % 150);
        network.check();
    }
}

TEST_CASE("agreement: what is sealed anew is shown under another UIDVALIDITY, and is alike everywhere") {
    for (unsigned seed : fwmail::test::seeds(60)) {
        INFO("seed " << seed);
        Network network(seed);
        network.rotate_keys();
        network.run(40 + seed % 150);
        network.settle_keys();
        network.check();
        network.check_seals();
        REQUIRE(network.compare() == 0);
    }
}

TEST_CASE("agreement: what was never told is found by the digests, and mended") {
    for (unsigned seed : fwmail::test::seeds(60)) {
        INFO("seed " << seed);
        Network network(seed);
        network.run(20 + seed % 150);
        REQUIRE(network.compare() == 0);
        network.alter(1 + seed % 5);
        bool alike = network.alike();  // one change may have undone another
        REQUIRE((network.compare() == 0) == alike);
        network.compare();  // what comes now may wait for what had been told, as core thought
        network.check();
        REQUIRE(network.compare() == 0);
    }
}

TEST_CASE("agreement: what one node has lost comes back from the others") {
    for (unsigned seed : fwmail::test::seeds(60)) {
        INFO("seed " << seed);
        Network network(seed);
        network.run(40 + seed % 150, 1 + seed % 4, seed % nodes);
        network.check();
    }
}

TEST_CASE("agreement: what a node loses again and again comes back from the others") {
    for (unsigned seed : fwmail::test::seeds(60)) {
        INFO("seed " << seed);
        Network network(seed);
        network.run(40 + seed % 150, 1 + seed % 4, seed % nodes, 5);
        network.check();
    }
}

}  // namespace fwmail::service::test
