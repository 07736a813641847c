// Answers what an IMAP session asks (imap/backend.hpp), from the store. One a session.
#pragma once

#include <functional>
#include <map>
#include <optional>

#include "imap/backend.hpp"
#include "service/body_writer.hpp"
#include "service/node.hpp"
#include "service/outside_mail.hpp"
#include "service/preview.hpp"
#include "service/read_ahead.hpp"
#include "service/sasl_login.hpp"

namespace fwmail::service {

class MailboxService {
  public:
    // `changed` is notified of changes in the account once somebody is logged in. `gone` says that the client
    // is not there any more.
    MailboxService(Node& node, std::string peer, net::Notifier changed, std::function<bool()> gone = {})
        : node_(node),
          peer_(peer),
          changed_(std::move(changed)),
          gone_(std::move(gone)),
          sasl_(node, "imap", std::move(peer)) {}

    // Whenever TLS begins.
    void bind_to(const net::Stream& stream) { sasl_.bind_to(stream); }

    net::Task<imap::Reply> execute(imap::Request request);
    // Octets of the message that AppendBegin announced.
    net::Task<> append_data(std::string octets);
    net::Task<> append_abort();
    // False: the user is gone, or a password is not good any more that was at the login. Which one it came in
    // with is not remembered: a client whose own is still good logs in again.
    bool login_stands() const;

  private:
    template <class T>
    using Answer = net::Task<Result<T>>;
    using R = imap::Reply;

    net::Task<Result<R>> on(imap::Authenticate request);
    net::Task<Result<R>> on(imap::AuthStart request);
    net::Task<Result<R>> on(imap::AuthResponse request);
    net::Task<Result<R>> on(imap::ListMailboxes request);
    net::Task<Result<R>> on(imap::Select request);
    net::Task<Result<R>> on(imap::Unselect request);
    net::Task<Result<R>> on(imap::Create request);
    net::Task<Result<R>> on(imap::Delete request);
    net::Task<Result<R>> on(imap::Rename request);
    net::Task<Result<R>> on(imap::Subscribe request);
    net::Task<Result<R>> on(imap::Status request);
    net::Task<Result<R>> on(imap::GetQuota request);
    net::Task<Result<R>> on(imap::GetRights request);
    net::Task<Result<R>> on(imap::AppendBegin request);
    net::Task<Result<R>> on(imap::AppendEnd request);
    net::Task<Result<R>> on(imap::Fetch request);
    net::Task<Result<R>> on(imap::FetchMore request);
    net::Task<Result<R>> on(imap::Store request);
    net::Task<Result<R>> on(imap::Copy request);
    net::Task<Result<R>> on(imap::Move request);
    net::Task<Result<R>> on(imap::Expunge request);
    net::Task<Result<R>> on(imap::Search request);
    net::Task<Result<R>> on(imap::Sort request);
    net::Task<Result<R>> on(imap::Thread request);
    Result<> may_search(imap::SearchKey& key) const;
    net::Task<Result<R>> on(imap::Poll request);

    Result<R> on_login(Result<UserPtr> logged_in);
    Result<R> on_sasl(SaslLogin::Step step);
    net::Task<> discard_bodies(std::vector<store::Reference> bodies);
    net::Task<Result<R>> next_batch();
    net::Task<Result<>> end_message();
    net::Task<Result<>> end_held_message();
    net::Task<Result<>> decode_pieces(imap::FetchBatch& batch);
    struct Decoded {
        std::uint64_t octets = 0;
        bool nul = false;
        std::string text;  // what was asked for, when it is small
    };
    net::Task<Result<Decoded>> decode(imap::ObjectRange range, imap::Partial wanted);
    net::Task<Result<>> measure(imap::FetchBatch& batch, std::vector<imap::SectionData> parts);
    net::Task<Result<>> add_previews(imap::FetchBatch& batch, std::vector<PreviewSource> sources);
    net::Task<Result<store::Mailbox>> find(std::string name);
    net::Task<Result<store::Mailbox>> find_target(std::string name);
    // As it is now.
    net::Task<Result<SnapshotPtr>> snapshot_of(std::variant<std::string, MailboxId> mailbox);
    net::Task<Result<UidSet>> narrow_to_changes(imap::Fetch& request);
    net::Task<Result<>> mark_seen(imap::FetchBatch& batch);
    Result<> changeable() const;
    void tell_of_mailboxes();
    net::Task<Result<store::StoreResult>> change_flags(imap::Store request);
    net::Task<> release_bodies();
    void note_own(Uid uid, ModSeq modseq) { own_changes_[uid] = modseq; }

    struct Selection {
        MailboxId mailbox;
        UidValidity uidvalidity;
        ModSeq told;  // all changes up to here have been told
        bool read_only = false;
    };
    // What was selected is shown under other UIDs now, or its UIDs stand for other octets: at a remote only.
    static Result<bool> are_uids_void(store::AccountStore& account, const Selection& selected);
    // A batch of rows as they lie in the store, with their small sections.
    struct Prepared {
        imap::FetchBatch batch;
        Uid after;                             // where the next one begins
        std::vector<imap::SectionData> sizes;  // whose sizes are asked for, row by row
        std::vector<PreviewSource> previews;
    };
    struct FetchRun {
        std::shared_ptr<const imap::Fetch> request;
        Uid after;
        ReadAhead<Result<Prepared>> ahead;
        SnapshotPtr flags;  // answers it all
    };
    // The next rows behind `after`, which moves on.
    static imap::FetchBatch rows_of(const store::Snapshot& snapshot, const UidSet& uids, Uid& after);
    struct Source;  // what a FETCH reads, apart from the session
    static Result<Prepared> load_rows(store::AccountStore& account, const Source& source, Uid after,
                                      bool by_headers);
    static net::Task<Result<Prepared>> prepare(Source source, Uid after);
    static net::Task<Result<>> read_small_pieces(Source source, Prepared& prepared);
    struct AppendRun {
        explicit AppendRun(store::Mailbox target) : mailbox(std::move(target)) {}
        store::Mailbox mailbox;
        FlagSet flags;  // these three: of the message under way
        UnixMillis date;
        std::optional<BodyWriter> writer;   // at core
        std::optional<OutsideMail> held;    // at a remote
        std::vector<AppendedHere> outside;  // there, pairwise to `messages`, as the next
        std::vector<store::Seal> seals;
        std::vector<store::NewMessage> messages;  // that have come whole
        struct Content {
            ObjectId object;
            std::string octets;
        };
        std::vector<Content> contents;  // small bodies, still to be stored
        // Octets of `contents`, at a remote too, and of the messages' texts.
        std::size_t stored = 0, held_outside = 0, texts = 0;
    };

    Node& node_;
    std::string peer_;
    net::Notifier changed_;
    std::function<bool()> gone_;
    ChangeHub::Subscription subscription_;
    SaslLogin sasl_;
    std::optional<AccountId> account_;
    std::vector<std::string> verifiers_;  // of the user's passwords, at the login
    std::optional<Selection> selected_;
    std::optional<FetchRun> fetch_;
    std::optional<AppendRun> append_;
    std::map<std::string, imap::StatusNumbers> statuses_;  // of mailboxes, by name
    std::uint64_t statuses_version_ = 0;                   // of the account, when they were so
    std::map<Uid, ModSeq> own_changes_;  // made through this session: Poll need not repeat them
};

}  // namespace fwmail::service
