// What a server session asks of the mailbox service, and the answers. One request is under way at a time;
// each is answered by exactly one Reply: the type named beside it, or a Refusal. Mailbox names are UTF-8,
// with '/' between levels; INBOX is spelled "INBOX".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/flags.hpp"
#include "base/ids.hpp"
#include "base/intervals.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"
#include "imap/numbered_uids.hpp"
#include "imap/search.hpp"
#include "imap/section.hpp"
#include "imap/sort.hpp"
#include "imap/thread.hpp"
#include "mime/transfer.hpp"

namespace fwmail::imap {

// ---- answers

struct Done {
    bool operator==(const Done&) const = default;
};

// A request turned down: tagged NO. `code` is a response code without brackets ("TRYCREATE", "ALREADYEXISTS",
// "NONEXISTENT", "READ-ONLY", "CANNOT", "OVERQUOTA", "UNAVAILABLE", RFC 5530) or empty. Of an internal error
// neither code nor text reaches the client: log it.
struct Refusal {
    ErrorKind kind = ErrorKind::refused;
    std::string code;
    std::string text;
};
// A text that begins with "[CODE] " gives the code.
Refusal to_refusal(Error error);

struct MailboxRow {
    std::string name;
    std::string special_use;  // "\\Sent", "\\Drafts", ... (RFC 6154) or empty
    bool subscribed = false;
    bool noselect = false;
    bool nonexistent = false;  // there is no mailbox: its name is subscribed
};
struct MailboxList {
    std::vector<MailboxRow> rows;  // any order
};

// A number that was given to a message and had to be given up: whoever names it means the other one.
struct Successor {
    Uid given, now;
};

struct Selected {
    NumberedUids uids;  // every message
    UidValidity uidvalidity;
    Uid uidnext;
    ModSeq highest_modseq;              // of what `uids` shows: all changes up to here are in it
    Uid first_recent;                   // messages from here on are \Recent in this session; 0: none
    Uid first_unseen;                   // 0: none
    std::string mailbox_id;             // RFC 8474: letters, digits, '-' and '_'
    std::vector<std::string> keywords;  // in use in this mailbox
    bool read_only = false;             // whatever was asked for
    std::string read_only_reason;       // shown to the user when SELECT got a read-only mailbox; may be empty
    std::vector<Successor> successors;  // of `given` none is in `uids`
};

struct StatusNumbers {
    std::uint32_t messages = 0, recent = 0, unseen = 0;
    Uid uidnext;
    UidValidity uidvalidity;
    ModSeq highest_modseq;
    std::uint64_t size = 0;          // octets of all messages (RFC 8438)
    std::uint32_t deleted = 0;       // with \\Deleted
    std::uint64_t deleted_size = 0;  // octets of those (RFC 9208 4.1.4)
    std::string mailbox_id;
};

// Of the account (RFC 9208). What has no limit is left out.
struct QuotaNumbers {
    struct Resource {
        std::uint64_t usage = 0, limit = 0;
    };
    std::optional<Resource> storage;  // octets
    std::optional<Resource> messages;
};

// RFC 4314 2.1, without the obsolete `c` and `d`.
struct MailboxRights {
    struct Holder {
        std::string identifier, rights;
    };
    std::string mine;
    std::vector<Holder> holders;  // the owner among them
};

struct Created {
    std::string mailbox_id;  // empty: no MAILBOXID code is sent
};

struct Appended {
    UidValidity uidvalidity;  // 0: no APPENDUID code is sent
    std::vector<Uid> uids;    // one for each message, ascending
};

// Octets of a stored object, sent without passing through the session.
struct ObjectRange {
    ObjectId object;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    // Unless identity: what is sent is `octets()` of the decoded octets, behind the first `skip` of them.
    mime::TransferEncoding encoding = mime::TransferEncoding::identity;
    std::uint64_t skip = 0;
    std::uint64_t decoded = 0;
    bool nul = false;  // a NUL is among them; told for BINARY only
    std::uint64_t octets() const { return encoding == mime::TransferEncoding::identity ? length : decoded; }
    auto operator<=>(const ObjectRange&) const = default;
};
using Piece = std::variant<std::string, ObjectRange>;
// nullopt is NIL: the message has no such part. Present and empty is "".
using SectionData = std::optional<std::vector<Piece>>;

struct FetchRow {
    Uid uid;
    FlagSet flags;          // always; after set_seen
    bool seen_now = false;  // set_seen has changed the flags: the session shows them though not asked for
    ModSeq modseq;
    UnixMillis internal_date;
    std::uint64_t size = 0;
    std::string envelope, body, bodystructure;  // as write_envelope() etc. made them
    std::vector<SectionData> sections;          // one for each asked for, in that order
    std::string email_id;                       // RFC 8474
    UnixMillis saved_at;                        // SAVEDATE (RFC 8514)
    std::vector<std::uint64_t> binary_sizes;    // one for each asked for, in that order
    std::string preview;                        // UTF-8; empty when there is no text to show
};
// Messages that are gone are left out. Rows ascend by UID over the batches.
struct FetchBatch {
    std::vector<FetchRow> rows;
    bool last = true;  // otherwise FetchMore follows
    UidSet vanished;   // in the first batch of a Fetch that asks for it
};

struct FlagRow {
    Uid uid;
    FlagSet flags;
    ModSeq modseq;
};
struct Stored {
    std::vector<FlagRow> rows;  // flags after the change; messages that are gone are left out
    UidSet modified;            // kept from being changed by `unchanged_since`
};

// Of Copy and Move.
struct Copied {
    UidValidity uidvalidity;               // of the target; 0: no COPYUID code is sent
    std::vector<Uid> source, destination;  // pairwise, source ascending
};

struct Expunged {
    std::vector<Uid> uids;  // ascending
};

struct Found {
    std::vector<Uid> uids;        // ascending, or as Sort wants them
    std::vector<ModSeq> modseqs;  // pairwise, when the request wants them
};

struct Threads {
    std::vector<ThreadNode> nodes;  // a message that is not there has two children at least, and no parent
};

// Everything in the selected mailbox that this session has not been told yet. Own changes need not be
// repeated.
struct Changes {
    std::vector<Uid> arrived;  // ascending, above every UID told before
    Uid first_recent;          // arrived messages from here on are \Recent in this session; 0: none
    std::vector<FlagRow> flags;
    std::vector<Uid> expunged;          // ascending; may name messages that the session never heard of
    ModSeq highest;                     // all changes up to here have been told with this; 0: unknown
    std::vector<Successor> successors;  // all there are
    // The mailbox has another UIDVALIDITY than when it was selected: what the client knows of it is void, and
    // nothing else is told here.
    bool uids_void = false;
};

struct AuthChallenge {
    std::string octets;  // raw
};

using Reply = std::variant<Refusal, Done, AuthChallenge, MailboxList, Selected, StatusNumbers, QuotaNumbers,
                           MailboxRights, Created, Appended, FetchBatch, Stored, Copied, Expunged, Found,
                           Threads, Changes>;

// ---- requests

// -> Done. Delays after failures are the caller's matter.
struct Authenticate {
    std::string user;
    Secret password;
};
// One SASL exchange, in raw octets -> AuthChallenge until it ends, by Done or a Refusal: of kind `protocol`
// where the client's part is malformed. AuthStart forgets an unfinished one.
struct AuthStart {
    std::string mechanism;          // one that is offered, in capitals
    std::optional<Secret> initial;  // may be empty
};
struct AuthResponse {
    Secret octets;
};
struct ListMailboxes {};  // -> MailboxList
// -> Selected. The mailbox selected before is left, even when this is refused (RFC 9051 6.3.2).
struct Select {
    std::string mailbox;
    bool read_only = false;
};
struct Unselect {};  // -> Done
struct Create {      // -> Created
    std::string name;
    std::string special_use;  // "\\Sent" and its like, or empty
};
struct Delete {  // -> Done
    std::string name;
};
struct Rename {  // -> Done
    std::string from, to;
};
struct Subscribe {  // -> Done
    std::string name;
    bool on = true;
};
// -> StatusNumbers; only what is asked for need be filled.
struct Status {
    std::string mailbox;
    bool messages = false, recent = false, uidnext = false, uidvalidity = false, unseen = false;
    bool highest_modseq = false, size = false, deleted = false, deleted_size = false, mailbox_id = false;
    bool append_limit = false;  // answered by the session itself
};
struct GetQuota {};  // -> QuotaNumbers
struct GetRights {   // -> MailboxRights
    std::string mailbox;
};
// -> Done: the message may come. Then the actions AppendData, and at the end AppendEnd or AppendAbort. With
// `more` it is a further message for the same mailbox (RFC 3502): AppendEnd keeps all or none.
struct AppendBegin {
    std::string mailbox;
    bool more = false;
    FlagSet flags;
    std::optional<UnixMillis> internal_date;
    std::uint64_t size = 0;
};
struct AppendEnd {};  // -> Appended; failures while octets came are told here
// What to return of each message. Sections may repeat.
struct FetchItems {
    bool flags = false, internal_date = false, size = false, envelope = false, body = false,
         bodystructure = false;
    bool email_id = false, saved_at = false, preview = false;
    std::vector<Section> sections;
    std::vector<Section> binary_sizes;  // BINARY.SIZE of these parts (RFC 3516)
    bool operator==(const FetchItems&) const = default;
};
// -> FetchBatch. `uids` may hold numbers of no message.
struct Fetch {
    UidSet uids;
    FetchItems items;
    bool set_seen = false;                // set \Seen on every message returned
    std::optional<ModSeq> changed_since;  // only messages with a greater modseq (RFC 7162 3.1.4.1)
    bool vanished = false;                // also which of `uids` have been expunged since (3.2.6)
};
struct FetchMore {};  // -> FetchBatch, the next one of the same Fetch
// -> Stored.
struct Store {
    enum class Mode { set, add, remove };
    UidSet uids;
    Mode mode = Mode::set;
    FlagSet flags;
    std::optional<ModSeq> unchanged_since;  // others are left alone (RFC 7162 3.1.3)
};
struct Copy {  // -> Copied; all or nothing
    UidSet uids;
    std::string mailbox;
};
// -> Copied; all or nothing. The session then knows that the sources are gone, no Poll repeats them.
struct Move {
    UidSet uids;
    std::string mailbox;
};
// Removes messages with \Deleted, all or of these UIDs. -> Expunged; the session then knows, no Poll repeats
// them.
struct Expunge {
    std::optional<UidSet> uids;
};
struct Search {  // -> Found
    SearchKey key;
    bool modseqs = false;  // of each message found too
};
struct Sort {  // -> Found
    SearchKey key;
    std::vector<SortCriterion> criteria;  // one at least, each `by` once
    bool modseqs = false;
};
struct Thread {  // -> Threads
    SearchKey key;
    ThreadBy by = ThreadBy::references;
};
struct Poll {};  // -> Changes

using Request = std::variant<Authenticate, AuthStart, AuthResponse, ListMailboxes, Select, Unselect, Create,
                             Delete, Rename, Subscribe, Status, GetQuota, GetRights, AppendBegin, AppendEnd,
                             Fetch, FetchMore, Store, Copy, Move, Expunge, Search, Sort, Thread, Poll>;

}  // namespace fwmail::imap
