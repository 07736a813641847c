// The rows of the store as values. One set of types for every role.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/flags.hpp"
#include "base/ids.hpp"
#include "base/intervals.hpp"
#include "sync/mailboxes.hpp"
#include "sync/registers.hpp"

namespace fwmail::store {

// Names one use of a stored body: a delivery, a message row, a pending message. A body lives as long as one
// hold on it does. Because every use has a hold of its own, taking and releasing may be repeated after a
// crash.
using HoldId = Id128<struct HoldIdTag>;
// One delivery of one message to one mailbox. It becomes the hold of the message row that it leads to.
using DeliveryId = HoldId;
using QueueId = Id128<struct QueueIdTag>;

// Separates the levels of a mailbox name.
inline constexpr char mailbox_delimiter = '/';
// Bodies are stored in chunks of exactly this many octets; the last may be shorter.
inline constexpr std::size_t chunk_size = 256 * 1024;

// ---- system.db
// ------------------------------------------------------------------------------------------------

enum class UserState { active, removed };
struct User {
    AccountId id;
    std::string name;  // unique ignoring ASCII case
    UnixMillis created;
    UserState state = UserState::active;
    std::optional<std::uint64_t> limit_octets = {},
                                 limit_messages = {};  // 0: none; without: the configuration's
};

// What lies in an account, and what may.
struct Usage {
    std::uint64_t octets = 0, messages = 0;
};
struct Quota {
    std::uint64_t octets = 0, messages = 0;  // 0: no limit
    bool any() const { return octets || messages; }
    // Whether `usage` and what comes to it stay within.
    bool has_room(const Usage& usage, const Usage& more) const {
        auto fits = [](std::uint64_t limit, std::uint64_t used, std::uint64_t added) {
            return limit == 0 || (used <= limit && added <= limit - used);
        };
        return fits(octets, usage.octets, more.octets) && fits(messages, usage.messages, more.messages);
    }
};

// Inside passwords are the administrator's; outside ones are generated, one a device.
enum class CredentialKind { inside, outside };
struct Credential {
    std::int64_t id = 0;  // given by add_credential
    AccountId account;
    CredentialKind kind = CredentialKind::inside;
    std::string label;     // the device, as the user calls it
    std::string verifier;  // text of the password verifier; never a password
    UnixMillis created;
    std::optional<UnixMillis> revoked;
};

// An address that stands for others; `@domain` for all in it that nobody has.
struct Alias {
    std::string address;
    std::vector<std::string> targets;
};

struct UserKey {
    AccountId account;
    std::string fingerprint;  // unique within the account
    std::string certificate;  // public, binary
    std::string secret;       // sealed by the caller; empty where only the public half is known
    UnixMillis created;
    std::optional<UnixMillis> retired;
    bool reseals = false;  // what is sealed to the others is being sealed anew to this one
};

enum class LinkState { invited, active, revoked };
struct Link {
    NodeId peer;
    std::string name;  // unique ignoring ASCII case
    std::string role;  // of the peer: core, remote, mobile
    LinkState state = LinkState::invited;
    std::string own_address, peer_address;  // mail addresses of the two nodes
    std::string next_hop;                   // host:port, or empty for the default way
    std::string peer_certificate;
    std::string own_epoch, peer_epoch;  // as sync writes them
    UnixMillis created;
    std::optional<UnixMillis> last_sent, last_received;
    std::uint64_t mails_sent = 0, mails_received = 0, mails_refused = 0;
    std::string last_error;  // empty: none
};
enum class LinkEvent { sent, received, refused, deferred };  // deferred counts nothing

struct Refusal {
    UnixMillis when;
    std::string what, reason;
};

// Who uses a body: an account's message row, or (account zero) a mail of the queue.
struct Holder {
    AccountId account;
    HoldId hold;
    bool operator==(const Holder&) const = default;
};
// Whether a body is stored compressed. Node mail is not: it is encrypted, and soon gone.
enum class Packing { if_it_pays, none };

// One account's use of one body.
struct Reference {
    ObjectId object;
    HoldId hold;
    auto operator<=>(const Reference&) const = default;
};
struct AccountReferences {
    AccountId account;
    std::vector<Reference> references;  // of messages and pending messages
    std::vector<Reference>
        releasing;  // journalled for release: system.db may have let go of them already, or not
};
// What find_garbage takes: objects older than the one, unfinished ones older than the other.
struct GarbageAge {
    UnixMillis older_than, unfinished_before;
};

// Bodies that an account has let go of: all, and those that date_releases has not seen.
struct ReleasesWaiting {
    std::uint64_t all = 0, undated = 0;
};

struct ObjectInfo {
    std::uint64_t size = 0;
    bool complete = false;
    UnixMillis created;
    std::uint64_t references = 0;
};

// The texts that FETCH answers with, computed once. `parts` is the part tree, `keys` what SORT and THREAD
// look at, `header` the header's octets, all as the caller writes them. An empty `header` is not kept.
struct MessageTexts {
    std::string envelope, body, bodystructure, parts, keys, header;
};

// A message that was accepted and waits to be taken up by its account.
struct SpoolRow {
    DeliveryId delivery;
    AccountId account;
    ObjectId object;
    EmailId email_id;
    std::string mailbox = "INBOX";  // name of the mailbox to deliver to
    UnixMillis received;
    std::string envelope_sender;
    MessageTexts texts;
    std::uint64_t size = 0;
    FlagSet flags;
};
struct SpoolRequest {
    ObjectId object;
    // Stored under `object` in the same transaction; absent: the object was written and finished before.
    std::optional<std::string> content;
    std::vector<SpoolRow> rows;  // their `object` is ignored
    std::string digest;          // of envelope and content, for the duplicate guard; empty: no guard
    UnixMillis now;
    UnixMillis repeat_since;  // an equal digest seen at or after this time makes the message a repeat
};
enum class Spooled { stored, repeated };

enum class QueueKind { mail, node, bounce };
enum class RecipientState { pending, delivered, failed };
// When the sender wants to hear (RFC 3461 4.1); bits. None: failure and delay.
enum NotifyBits : std::uint32_t {
    notify_never = 1,
    notify_success = 2,
    notify_failure = 4,
    notify_delay = 8
};
enum class DsnReturn { unsaid, full, headers };
struct QueueRecipient {
    std::string address;
    RecipientState state = RecipientState::pending;
    std::uint32_t attempts = 0;
    std::string last_reply = {};
    std::uint32_t notify = 0;
    std::string orcpt = {};  // as given, `rfc822;…`; empty: none
};
struct QueueItem {
    QueueId id;
    ObjectId object;
    std::string sender;  // envelope sender, empty for <>
    UnixMillis created, expires;
    QueueKind kind = QueueKind::mail;
    NodeId link;       // zero: none
    int priority = 0;  // greater goes first
    UnixMillis next_attempt;
    bool held = false;       // by the operator: never due
    std::uint64_t size = 0;  // of the body; filled when loaded
    std::uint64_t skip = 0;  // octets at its start that are for local recipients only
    std::string envid;       // as given; empty: none
    DsnReturn ret = DsnReturn::unsaid;
    bool warned = false;  // of the delay
    bool utf8 = false;    // wants SMTPUTF8
    std::vector<QueueRecipient> recipients;
};
struct QueueSummary {
    std::uint64_t count = 0, octets = 0;
    std::optional<UnixMillis> oldest;
};

// ---- accounts/<hex>.db
// ----------------------------------------------------------------------------------------

struct Mailbox {
    MailboxId id;
    std::string name;         // UTF-8; unique among the live ones
    std::string special_use;  // RFC 6154, as `\Sent`; empty: none
    bool subscribed = false;  // its name is
    UidValidity uidvalidity, sealed_uidvalidity;
    Uid uidnext{1};
    UnixMillis created;
    ModSeq modseq;                 // of the attributes: name, special use, subscription, existence
    ModSeq highest_modseq;         // of anything in the mailbox, expunges and attributes included
    bool deleted = false;          // the id is kept for ever
    bool deleted_by_core = false;  // at a remote: not by a client here; set by take_from_core() alone
    bool read_only = false;
    Uid recent_from{1};            // the first UID that no read-write SELECT has seen
    Uid visible;                   // the last UID of core that was shown here (remote side)
    std::string wanted;            // the name that it is to have; empty when given: its name
    sync::Stamp named, used = {};  // when its name and its special use were changed; zero: never
    MailboxId became = {};         // deleted because that one had its name already; zero: not so

    sync::MailboxState state() const { return {wanted, named, special_use, used, deleted}; }
};

struct ChangedSubscription {
    std::string name;
    sync::Subscription subscription;
    ModSeq modseq;
};

// Whether the remote may have the message.
enum class SealState { none, sealed, withheld };
struct Seal {
    std::string seed;  // the caller's, 33 octets; empty: none
    std::uint64_t size = 0;
    std::string sha256;  // of the sealed octets, 32 octets; empty: none
    SealState state = SealState::none;
    std::string reason;  // why withheld
};

struct NewMessage {
    MailboxId mailbox;
    HoldId hold;  // the delivery id, or a new random one whose reference was taken in system.db before
    EmailId email_id;
    ObjectId object;
    std::uint64_t size = 0;
    UnixMillis date;       // INTERNALDATE
    int zone_minutes = 0;  // east of UTC
    FlagSet flags;
    MessageTexts texts;
    UnixMillis saved_at;
    Uid uid;  // zero: the mailbox's next; else must not be below it
    sync::Registers registers =
        {};  // of flags that were changed already, where another node gives the message
};
struct Delivered {
    HoldId hold;
    MailboxId mailbox;
    Uid uid;
    bool repeated = false;  // was applied before; nothing changed now
};

// Which columns load_messages fills, besides uid, modseq and created_modseq.
enum MessageColumns : std::uint32_t {
    column_flags = 1,
    column_identity = 2,  // email_id, object, hold, storage_id
    column_size = 4,
    column_date = 8,  // date, zone_minutes, saved_at
    column_envelope = 16,
    column_body = 32,
    column_bodystructure = 64,
    column_parts = 128,
    column_seal = 256,
    column_registers = 512,
    column_header = 1024,
};
struct Message {
    Uid uid;
    ModSeq modseq, created_modseq;
    FlagSet flags;
    EmailId email_id;
    ObjectId object;
    HoldId hold;
    std::int64_t storage_id = 0;  // this node's own id of the row, never used again
    std::uint64_t size = 0;
    UnixMillis date;
    int zone_minutes = 0;
    UnixMillis saved_at;
    MessageTexts texts;
    Seal seal;
    sync::Registers registers;
};

// One message as visit_keys shows it; good during the call.
struct KeyRow {
    Uid uid;
    ModSeq modseq;
    UnixMillis date;
    std::uint64_t size = 0;
    std::string_view keys;  // empty unless wanted
};

struct CopyItem {
    Uid uid;  // of the original
    ObjectId object;
    HoldId hold;  // of the copy to come
    std::uint64_t size = 0;
};
struct UidPair {
    Uid from, to;
    bool operator==(const UidPair&) const = default;
};

// A message as IMAP names it.
struct Place {
    MailboxId mailbox;
    Uid uid;  // zero: nowhere
    auto operator<=>(const Place&) const = default;
};

enum class StoreMode { set, add, remove };
// Who changes something, and when: what a stamp is made of.
struct Author {
    NodeId node;
    UnixMillis now;
};
// What a peer's word about flags came to.
enum class Merged {
    unknown,  // there is no such message
    same,     // nothing new
    changed,
};
struct FlagRow {
    Uid uid;
    ModSeq modseq;
    FlagSet flags;  // after
    bool changed = false;
};
struct StoreResult {
    std::vector<FlagRow> rows;  // ascending; the messages that exist and passed unchanged_since
    UidSet modified;            // those that unchanged_since kept from being changed (RFC 7162 3.1.3)
};
struct ExpungeResult {
    std::vector<Uid> uids;  // ascending
    ModSeq modseq;          // of the last expunge; zero when nothing went
};

// A mailbox at one moment: which messages it has, and their flags.
struct Snapshot {
    // 16 octets a message, as many are kept: keywords by their number in `keyword_sets`.
    struct State {
        ModSeq modseq;
        std::uint32_t keywords = 0;
        std::uint8_t system = 0;  // bits of FlagSet::System
    };
    Mailbox mailbox;
    std::vector<Uid> uids;      // ascending
    std::vector<State> states;  // pairwise
    std::vector<std::vector<std::string>>
        keyword_sets;  // as FlagSet has them; perhaps some that no message has
    Uid first_unseen;  // zero: none
    std::uint64_t unseen = 0, deleted = 0, recent = 0;
    std::vector<std::string> keywords;  // in use in this mailbox, sorted

    FlagSet flags(std::size_t at) const { return {states[at].system, keyword_sets[states[at].keywords]}; }
};
struct MailboxStatus {
    Mailbox mailbox;
    std::uint64_t messages = 0, unseen = 0, deleted = 0, recent = 0, octets = 0;
    std::uint64_t deleted_octets = 0;  // of messages with \\Deleted
};
struct Changes {
    ModSeq highest;             // of the mailbox, as of this answer
    std::vector<FlagRow> rows;  // changed after `since`, new ones among them, by UID
    std::vector<Uid> added;     // of those, created after `since`
    UidSet expunged;            // after `since`
};

// What a client that knows a mailbox up to some modseq has to hear (RFC 7162 3.2.5).
struct ChangedUids {
    UidSet changed;   // new ones among them
    UidSet expunged;  // in a bounded stretch of modseqs
};

// One row of the account-wide change list, ordered by modseq. Every modseq belongs to one row only.
struct ChangedMessage {
    MailboxId mailbox;
    Uid uid;
    ModSeq modseq, created_modseq;
};
using ExpungedMessage = ChangedMessage;

// ---- replication
// ----------------------------------------------------------------------------------------------

enum class OutboxState { queued, sent, voided };
struct OutboxRow {
    EntryNumber number;  // zero in append_outbox: the next is given
    int kind = 0;        // sync's
    MailboxId mailbox;
    Uid uid, prev_uid;
    ObjectId object;
    EmailId email_id;
    std::uint64_t offset = 0, length = 0;  // of the body, for a chunk
    std::string payload;
    OutboxState state = OutboxState::queued;
    std::uint32_t attempts = 0;
    std::optional<UnixMillis> first_sent, last_sent;
    UnixMillis due;
    // For append_outbox: it says all that earlier rows of its kind, mailbox and uid said, which become void.
    bool replaces = false;
};
struct SealRecord {
    MailboxId mailbox;
    Uid uid;
    Seal seal;
};
// How far a mailbox has been planned for a peer: up to `last`; `chained` is the last UID up to there that the
// peer has been or will be told of, which is what its next message follows. Those between are withheld.
struct Planned {
    Uid last, chained;
    bool operator==(const Planned&) const = default;
};
struct PlannedMailbox {
    MailboxId mailbox;
    Planned planned;
};
// What planning for one peer decided; committed as one.
struct OutboxPlan {
    std::vector<OutboxRow> rows;
    std::vector<SealRecord> seals;
    std::vector<PlannedMailbox> planned;
    ModSeq cursor;  // the last account modseq that has been planned; never goes back
};
struct OutboxSummary {
    std::uint64_t unacknowledged = 0, octets = 0;
    std::uint64_t messages = 0;  // rows of the kind that was asked for
    std::optional<UnixMillis> oldest_sent;
};

enum class BodyState { missing, ready, stub, gone };
// A message that core has announced and that is not shown yet.
struct PendingMessage {
    MailboxId mailbox;
    Uid uid;
    std::optional<Uid> prev_uid;  // the UID before it in the sealed view; absent while unknown
    EmailId email_id;
    std::uint64_t size = 0;
    std::string sha256;
    UnixMillis date;
    int zone_minutes = 0;
    FlagSet flags;
    sync::Registers registers = {};
    UnixMillis arrived;
    BodyState state = BodyState::missing;
    ObjectId object;  // zero while missing
    HoldId hold;
    MessageTexts texts;
    bool reseals = false;  // it is shown already, sealed otherwise
};
struct PendingBody {
    BodyState state = BodyState::ready;  // ready or stub
    ObjectId object;
    HoldId hold;
    std::uint64_t size = 0;
    MessageTexts texts;
};
struct ChunkCoverage {
    std::uint64_t total = 0;           // zero: nothing is known yet
    Intervals<std::uint64_t> present;  // octets that have come
    bool complete() const { return total > 0 && present.count() == total; }
};

}  // namespace fwmail::store
