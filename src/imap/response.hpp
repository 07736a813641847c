// What a server says (RFC 9051 7), as values. Responses of a kind that is not here are `Unknown` and
// harmless.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/flags.hpp"
#include "base/ids.hpp"
#include "base/intervals.hpp"
#include "base/result.hpp"

namespace fwmail::imap::response {

struct Continuation {
    std::string text;
};
enum class Condition { ok, no, bad, preauth, bye };
struct Status {
    std::string tag;  // empty: untagged
    Condition condition = Condition::ok;
    std::string code, arguments;  // `[UIDNEXT 5]`: the code in capitals; both empty without one
    std::string text;
};
struct Capability {
    std::vector<std::string> names;  // in capitals
};
struct List {
    std::vector<std::string> attributes;  // `\HasNoChildren`, as the server spells them
    char delimiter = 0;                   // 0: NIL, the names are flat
    std::string mailbox;                  // as the server writes it
};
struct Namespace {
    bool known = false;  // there is a personal one
    std::string prefix;  // of the first personal one
    char delimiter = 0;
    // Prefixes of the other personal ones; of other users' and shared ones.
    std::vector<std::string> more, foreign;
};
struct MailboxStatus {
    std::string mailbox;
    std::optional<std::uint64_t> messages, unseen, size, highest_modseq;
    Uid uidnext;
    UidValidity uidvalidity;
};
struct Flags {
    FlagSet flags;
};
struct Exists {
    std::uint32_t count = 0;
};
struct Expunge {
    SeqNum number;
};
struct Vanished {
    bool earlier = false;
    UidSet uids;
};
struct Content {
    std::string section;  // `BODY[]`, `BODY[HEADER]<0>`, `RFC822`, in capitals
    enum class How { nil, streamed, here } how = How::nil;
    std::string octets;  // when here
};
struct Fetch {
    SeqNum number;
    Uid uid;  // 0: the server did not say
    std::optional<FlagSet> flags;
    bool recent = false;
    std::optional<UnixMillis> internal_date;
    int zone_minutes = 0;  // east of UTC, of internal_date
    std::optional<std::uint64_t> size;
    ModSeq modseq;         // 0: the server did not say
    std::string email_id;  // RFC 8474; may be empty
    std::vector<Content> contents;
};
struct Unknown {
    std::string keyword;  // in capitals
};
using Response = std::variant<Continuation, Status, Capability, List, Namespace, MailboxStatus, Flags, Exists,
                              Expunge, Vanished, Fetch, Unknown>;

// One response as ResponseFramer gives it. An error says that the server does not keep to the grammar.
Result<Response> parse(std::string_view text);

// `5:7,9`; ascending or not. `*` and zero are errors.
std::optional<UidSet> parse_uid_set(std::string_view text);
// The arguments of COPYUID (RFC 4315): numbers pair up in the order in which they stand.
struct CopyUid {
    UidValidity uidvalidity;
    std::vector<UidSet::Interval> source, destination;  // as they stand; first may be above last
};
std::optional<CopyUid> parse_copyuid(std::string_view arguments);
struct AppendUid {
    UidValidity uidvalidity;
    Uid uid;
};
std::optional<AppendUid> parse_appenduid(std::string_view arguments);

}  // namespace fwmail::imap::response
