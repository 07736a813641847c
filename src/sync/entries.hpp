// What the nodes tell each other: typed entries, each a value that can be checked and applied by itself.
//
// Invariants: what decode_entry() returns has passed validate(); what fails validate() cannot be encoded into
// a frame. A kind has a tag. Even tags are critical: a node that does not know one refuses the frame. Odd
// tags may be skipped: they come out as UnknownEntry, so that their numbers are acknowledged all the same.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/flags.hpp"
#include "base/ids.hpp"
#include "base/intervals.hpp"
#include "base/result.hpp"
#include "sync/mailboxes.hpp"
#include "sync/registers.hpp"
#include "sync/wire.hpp"

namespace fwmail::sync {

inline constexpr std::size_t max_name_octets = 1000;  // mailbox and account names, addresses, labels
inline constexpr std::uint64_t max_object_octets = 1ull << 40;
inline constexpr std::size_t max_list_items = 1000;  // addresses, verifiers, certificates of an account
inline constexpr std::size_t max_certificate_octets = 64 << 10;
inline constexpr std::size_t max_payload_octets = 1 << 20;  // one entry without a chunk's data
inline constexpr std::size_t max_stated = 10'000;           // messages of one state entry, gone or not
inline constexpr std::size_t max_uid_intervals = 10'000;    // of one expunge entry
inline constexpr std::size_t recipe_octets = 41;            // of an object that can be made again
inline constexpr std::size_t max_chunk_octets = 48 << 20;   // data of one chunk
// Dates of messages: years 1 to 9999.
inline constexpr UnixMillis earliest_date{-62'135'596'800'000}, latest_date{253'402'300'799'999};

// A mailbox as it is now. Its id is for ever, also when it is deleted or renamed. Either side sends it;
// receivers merge it.
struct MailboxEntry {
    MailboxId mailbox;
    std::string name;                // UTF-8, 1 to 1000 octets, no control characters
    Stamp named;                     // when it was renamed; zero = never
    std::string special_use;         // RFC 6154, as `\Sent`; empty = none
    Stamp used;                      // when that was changed; zero = never
    UidValidity sealed_uidvalidity;  // 0 = none has been given yet
    bool deleted = false;
    Uid last_uid;  // where a client deleted it: the highest that it had seen; newer mail survives
    bool operator==(const MailboxEntry&) const = default;
};

// A message that is in a mailbox. Its sealed body comes in chunk entries, before or after.
struct MessageEntry {
    MailboxId mailbox;
    Uid uid;
    Uid prev_uid;  // the UID before it in that mailbox as planned, 0 = it is the first: all between are gone
    EmailId email;
    std::uint64_t sealed_size = 0;  // octets of the sealed object as served
    Sha256 sealed_sha256{};         // of the same
    std::uint64_t packed_size = 0;  // octets that travel in chunks
    UnixMillis internal_date;       // years 1 to 9999
    std::int16_t zone_minutes = 0;  // east of UTC, as INTERNALDATE shows it; within 99:59
    FlagSet flags;
    Registers registers = {};  // of the flags that were changed since the message came
    bool operator==(const MessageEntry&) const = default;
};

// A stretch of a sealed object in the form in which it travels.
struct ChunkEntry {
    EmailId email;
    Sha256 sealed_sha256{};    // of the object as served: names which sealing of the message this belongs to
    std::uint64_t offset = 0;  // of `data` in the packed form
    std::uint64_t total = 0;   // packed_size
    std::string data;          // not empty
    bool operator==(const ChunkEntry&) const = default;
};

// All flags of a message as they are now. Either side sends it; receivers merge it.
struct FlagsEntry {
    MailboxId mailbox;
    Uid uid;
    FlagSet flags;
    Registers registers = {};
    bool operator==(const FlagsEntry&) const = default;
};

// UIDs that are gone for good.
struct ExpungeEntry {
    MailboxId mailbox;
    UidSet uids;        // not empty
    Uid prev_uid;       // not 0: stands in for message entries never sent; the UID before the first, as in
                        // MessageEntry
    UidSet moved = {};  // of these UIDs: their messages are elsewhere, whether that has been told or not
    bool operator==(const ExpungeEntry&) const = default;
};

// What a remote needs to serve one user: whole, each time.
struct AccountEntry {
    struct Verifier {
        std::string id;     // printable ASCII, 1 to 100 octets; unique in the account
        std::string label;  // for people
        std::string scram;  // RFC 5803 text, printable ASCII, 1 to 1000 octets
        bool operator==(const Verifier&) const = default;
    };
    std::string name;                       // login
    std::vector<std::string> addresses;     // local@domain
    std::vector<Verifier> verifiers;        // outside passwords, one per device
    std::vector<std::string> certificates;  // OpenPGP public keys, binary; the first is the one in use
    bool removed = false;
    bool operator==(const AccountEntry&) const = default;
};

// Whether a name is subscribed. There need not be a mailbox of that name.
struct SubscriptionEntry {
    std::string name;  // as a mailbox's
    bool on = false;
    Stamp stamp;  // not zero
    bool operator==(const SubscriptionEntry&) const = default;
};

// Remote to core: the remote showed a stub under this UID, and now has the body.
struct StubbedEntry {
    MailboxId mailbox;
    Uid uid;
    bool operator==(const StubbedEntry&) const = default;
};

// Remote to core: a client there has copied or moved a message, and was told this number of the copy. The
// number is provisional: the next above the highest that the remote showed in that mailbox.
struct CopyRequestEntry {
    MailboxId from;
    Uid from_uid;
    EmailId email;
    MailboxId mailbox;
    Uid uid;
    Stamp moved;  // when: the original goes; zero: it stays
    FlagSet flags;
    Registers registers = {};
    Sha256 sealed_sha256{};  // of the object that the remote shows there
    bool operator==(const CopyRequestEntry&) const = default;
};

// Remote to core: a client there has appended a message. What is needed to file it comes in chunk entries of
// the same EmailId and hash.
struct AppendRequestEntry {
    enum Kind : std::uint8_t {
        gone,      // it was expunged before its body went home; only its number has been used
        sealed,    // by the client: the chunks are the object, packed
        plain,     // the chunks are the message, sealed to core; sealed to the user it gives the object
        returned,  // as sealed; core has had it before, and asked for it
    };
    static constexpr std::uint8_t last_kind = returned;
    Kind kind = gone;
    MailboxId mailbox;
    Uid uid;  // provisional
    EmailId email;
    std::uint64_t sealed_size = 0;  // octets of the object as the remote serves it
    Sha256 sealed_sha256{};         // of the same
    std::uint64_t size = 0;         // octets that come in chunks
    std::string recipe;             // of the object, where it is made of the plain message; 41 octets
    UnixMillis internal_date;
    std::int16_t zone_minutes = 0;
    FlagSet flags;
    Registers registers = {};
    bool is_object() const { return kind == sealed || kind == returned; }  // what the chunks are
    bool operator==(const AppendRequestEntry&) const = default;
};

// Core to remote: what has become of a provisional number.
struct ConfirmEntry {
    MailboxId mailbox;
    Uid uid;
    MailboxId now;  // where the message is: the same two when the number was adopted
    Uid now_uid;    // 0: nowhere, the number is given up
    bool operator==(const ConfirmEntry&) const = default;
};

// Remote to core, in a new epoch: all that the remote has in one stretch of a mailbox's UIDs, and had.
struct StateEntry {
    struct There {
        Uid uid;
        EmailId email;
        Sha256 sealed_sha256{};  // zero: a stub is shown in its place
        FlagSet flags;
        Registers registers = {};
        bool operator==(const There&) const = default;
    };
    struct Gone {
        enum Why : std::uint8_t {
            expunged,
            moving,     // a client has moved it, and the request for that is on the way
            elsewhere,  // it was moved, or got another number, and core knows that or has said so
        };
        static constexpr std::uint8_t last_why = elsewhere;
        Uid uid;
        EmailId email;
        Why why = expunged;
        bool operator==(const Gone&) const = default;
    };
    MailboxId mailbox;
    Uid first, last;           // the stretch
    Uid visible;               // the last UID that was shown in the mailbox when the epoch began
    Uid floor;                 // not below that: what comes must be above this to be shown
    std::vector<There> there;  // ascending UIDs of the stretch; not those that wait to be confirmed
    std::vector<Gone> gone;    // likewise: once shown, and expunged
    bool settled = false;      // told since digests differ: all that core had told had been applied
    bool operator==(const StateEntry&) const = default;
};

// Remote to core: the entries 1 to this one's number have told all that there was.
struct StatedEntry {
    bool operator==(const StatedEntry&) const = default;
};

// Core to remote: it does not have these messages any more. The remote asks for them to be filed, as if they
// had just been appended there.
struct ReturnEntry {
    MailboxId mailbox;
    UidSet bodies;  // by an append-request
    UidSet copies;  // by a copy-request from itself: the body is at core still
    bool operator==(const ReturnEntry&) const = default;
};

// Core to remote: this message has been sealed anew. Its object comes in chunk entries; it is shown when the
// mailbox's sealed UIDVALIDITY is raised, since what a UID names never changes.
struct ResealedEntry {
    MailboxId mailbox;
    Uid uid;
    EmailId email;
    std::uint64_t sealed_size = 0;  // octets of the new object as served
    Sha256 sealed_sha256{};         // of the same
    bool operator==(const ResealedEntry&) const = default;
};

// An entry of a later version that may be skipped. Applying it does nothing.
struct UnknownEntry {
    std::uint64_t tag = 1;  // odd
    std::string payload;
    bool operator==(const UnknownEntry&) const = default;
};

using Entry = std::variant<MailboxEntry, MessageEntry, ChunkEntry, FlagsEntry, ExpungeEntry, AccountEntry,
                           StubbedEntry, SubscriptionEntry, CopyRequestEntry, AppendRequestEntry,
                           ConfirmEntry, StateEntry, StatedEntry, ReturnEntry, ResealedEntry, UnknownEntry>;

// Wire tags; never reused.
enum class EntryTag : std::uint64_t {
    mailbox = 2,
    message = 4,
    chunk = 6,
    flags = 8,
    expunge = 10,
    account = 12,
    stubbed = 14,
    subscription = 16,
    copy_request = 18,
    append_request = 20,
    confirm = 22,
    state = 24,
    stated = 26,
    body_return = 28,
    resealed = 30,
};

// The name for logs: "mailbox", "message", ...
std::string_view entry_name(const Entry& entry);

// How many messages applying the entry may change, at most.
std::size_t count_messages(const Entry& entry);

// All bounds above. The error is of kind protocol and says which field.
Result<void> validate(const Entry& entry);

// One entry by itself, as an outbox keeps it. The entry must be valid.
std::string encode_entry(const Entry& entry);
// The whole of `octets` is one entry.
Result<Entry> decode_entry(std::string_view octets);
// What the entry takes in a frame at most, its number included.
std::size_t encoded_size(const Entry& entry);

// The halves of an entry: tag and payload go to `meta`, a chunk's data to `data`.
void write_entry(Writer& meta, Writer& data, const Entry& entry);
Result<Entry> read_entry(Reader& meta, Reader& data);

}  // namespace fwmail::sync
