#include "sync/entries.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "base/encoding.hpp"
#include "base/keyword.hpp"
#include "base/utf8.hpp"

namespace fwmail::sync {

namespace {

constexpr int max_zone = 99 * 60 + 59;
constexpr std::uint32_t all_system_flags =
    FlagSet::seen | FlagSet::answered | FlagSet::flagged | FlagSet::deleted | FlagSet::draft;
constexpr std::size_t max_id_octets = 100;
constexpr std::size_t max_scram_octets = 1000;
constexpr std::size_t max_special_use_octets = 32;

Result<void> check(bool good, const char* what) {
    if (!good) return fail(ErrorKind::protocol, what);
    return {};
}

bool is_name(std::string_view text, std::size_t least = 1) {
    return text.size() >= least && text.size() <= max_name_octets && is_plain_utf8(text);
}

bool is_printable(std::string_view text, std::size_t max) {
    return !text.empty() && text.size() <= max &&
           std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
}

// What the lists of an account take when written: a length of at most three octets before each string.
std::size_t payload_bound(const AccountEntry& e) {
    std::size_t octets = 2 * max_name_octets;
    for (const auto& address : e.addresses) octets += address.size() + 3;
    for (const auto& v : e.verifiers) octets += v.id.size() + v.label.size() + v.scram.size() + 9;
    for (const auto& certificate : e.certificates) octets += certificate.size() + 3;
    return octets;
}

Result<void> validate_flags(const FlagSet& flags, const Registers& registers) {
    TRY(check((flags.system & ~all_system_flags) == 0, "flags: a system flag that does not exist"));
    TRY(check(flags.keywords.size() <= max_registers, "flags: too many keywords"));
    std::set<std::string> seen;
    for (std::size_t i = 0; i < flags.keywords.size(); ++i) {
        const std::string& word = flags.keywords[i];
        TRY(check(word.size() <= max_keyword_octets && is_keyword(word), "flags: a keyword is not an atom"));
        TRY(check(i == 0 || flags.keywords[i - 1] < word, "flags: keywords are not in order"));
        TRY(check(seen.insert(ascii_lower(word)).second, "flags: a keyword stands twice"));
    }
    return validate_registers(registers);
}

// The messages of a state entry ascend within its stretch.
template <class Messages>
Result<void> validate_stretch(const StateEntry& e, const Messages& messages) {
    Uid least = e.first;
    for (const auto& m : messages) {
        TRY(check(!m.email.is_zero(), "state: no id"));
        TRY(check(m.uid >= least && m.uid <= e.last, "state: UIDs do not ascend"));
        if (m.uid.value == UINT32_MAX) TRY(check(&m == &messages.back(), "state: UIDs do not ascend"));
        least = Uid{m.uid.value + 1};
    }
    return {};
}

struct Validate {
    Result<void> operator()(const MailboxEntry& e) const {
        TRY(check(!e.mailbox.is_zero(), "mailbox: no id"));
        TRY(check(is_name(e.name), "mailbox: not a name"));
        TRY(check(is_stamp(e.named) && is_stamp(e.used), "mailbox: not a stamp"));
        std::string_view use = e.special_use;
        return check(use.empty() || (use.size() <= max_special_use_octets && use[0] == '\\' &&
                                     is_keyword(use.substr(1))),
                     "mailbox: not a special use");
    }
    Result<void> operator()(const MessageEntry& e) const {
        TRY(check(!e.mailbox.is_zero() && !e.email.is_zero(), "message: no id"));
        TRY(check(e.uid.value != 0, "message: no UID"));
        TRY(check(e.prev_uid < e.uid, "message: the UID before is not below"));
        TRY(check(e.sealed_size <= max_object_octets && e.packed_size <= max_object_octets,
                  "message: too large"));
        TRY(check(e.internal_date >= earliest_date && e.internal_date <= latest_date, "message: not a date"));
        TRY(check(e.zone_minutes >= -max_zone && e.zone_minutes <= max_zone, "message: not a time zone"));
        return validate_flags(e.flags, e.registers);
    }
    Result<void> operator()(const ChunkEntry& e) const {
        TRY(check(!e.email.is_zero(), "chunk: no id"));
        TRY(check(!e.data.empty() && e.data.size() <= max_chunk_octets, "chunk: empty or too large"));
        return check(
            e.total <= max_object_octets && e.offset <= e.total && e.data.size() <= e.total - e.offset,
            "chunk: reaches beyond its object");
    }
    Result<void> operator()(const FlagsEntry& e) const {
        TRY(check(!e.mailbox.is_zero(), "flags: no id"));
        TRY(check(e.uid.value != 0, "flags: no UID"));
        return validate_flags(e.flags, e.registers);
    }
    Result<void> operator()(const ExpungeEntry& e) const {
        TRY(check(!e.mailbox.is_zero(), "expunge: no id"));
        TRY(check(!e.uids.empty() && e.uids.list().size() <= max_uid_intervals,
                  "expunge: no UIDs or too many"));
        TRY(check(e.uids.list()[0].first != 0, "expunge: UID 0"));
        TRY(check(e.moved.list().size() <= max_uid_intervals && e.uids.intersection(e.moved) == e.moved,
                  "expunge: other UIDs have moved than are gone"));
        return check(e.prev_uid.value < e.uids.list()[0].first, "expunge: the UID before is not below");
    }
    Result<void> operator()(const AccountEntry& e) const {
        TRY(check(is_name(e.name), "account: not a name"));
        TRY(check(e.addresses.size() <= max_list_items && e.verifiers.size() <= max_list_items &&
                      e.certificates.size() <= max_list_items,
                  "account: too many addresses, verifiers or certificates"));
        for (const auto& address : e.addresses)
            TRY(check(is_name(address) && address.find('@') != address.npos, "account: not an address"));
        std::set<std::string_view> ids;
        for (const auto& v : e.verifiers) {
            TRY(check(is_printable(v.id, max_id_octets), "account: not a verifier's id"));
            TRY(check(ids.insert(v.id).second, "account: a verifier stands twice"));
            TRY(check(is_name(v.label, 0), "account: not a label"));
            TRY(check(is_printable(v.scram, max_scram_octets), "account: not a verifier"));
        }
        for (const auto& certificate : e.certificates)
            TRY(check(!certificate.empty() && certificate.size() <= max_certificate_octets,
                      "account: not a certificate"));
        return check(payload_bound(e) <= max_payload_octets, "account: too large as a whole");
    }
    Result<void> operator()(const StubbedEntry& e) const {
        TRY(check(!e.mailbox.is_zero(), "stubbed: no id"));
        return check(e.uid.value != 0, "stubbed: no UID");
    }
    Result<void> operator()(const SubscriptionEntry& e) const {
        TRY(check(is_name(e.name), "subscription: not a name"));
        return check(!e.stamp.is_zero() && is_stamp(e.stamp), "subscription: not a stamp");
    }
    Result<void> operator()(const CopyRequestEntry& e) const {
        TRY(check(!e.from.is_zero() && !e.mailbox.is_zero() && !e.email.is_zero(), "copy-request: no id"));
        TRY(check(e.from_uid.value != 0 && e.uid.value != 0, "copy-request: no UID"));
        TRY(check(is_stamp(e.moved), "copy-request: not a stamp"));
        return validate_flags(e.flags, e.registers);
    }
    Result<void> operator()(const AppendRequestEntry& e) const {
        TRY(check(!e.mailbox.is_zero() && !e.email.is_zero(), "append-request: no id"));
        TRY(check(e.uid.value != 0, "append-request: no UID"));
        TRY(check(e.kind <= AppendRequestEntry::last_kind, "append-request: not a kind"));
        TRY(check(e.sealed_size <= max_object_octets && e.size <= max_object_octets,
                  "append-request: too large"));
        TRY(check((e.size > 0) == (e.kind != AppendRequestEntry::gone), "append-request: no body"));
        TRY(check(e.recipe.size() == (e.kind == AppendRequestEntry::plain ? recipe_octets : 0),
                  "append-request: not a recipe"));
        TRY(check(e.internal_date >= earliest_date && e.internal_date <= latest_date,
                  "append-request: not a date"));
        TRY(check(e.zone_minutes >= -max_zone && e.zone_minutes <= max_zone,
                  "append-request: not a time zone"));
        return validate_flags(e.flags, e.registers);
    }
    Result<void> operator()(const ConfirmEntry& e) const {
        TRY(check(!e.mailbox.is_zero() && !e.now.is_zero(), "confirm: no id"));
        return check(e.uid.value != 0, "confirm: no UID");
    }
    Result<void> operator()(const StateEntry& e) const {
        TRY(check(!e.mailbox.is_zero(), "state: no id"));
        TRY(check(e.first.value != 0 && e.first <= e.last, "state: not a stretch"));
        TRY(check(e.visible <= e.floor, "state: the floor lies below what is shown"));
        TRY(check(e.there.size() <= max_stated && e.gone.size() <= max_stated, "state: too many messages"));
        TRY(validate_stretch(e, e.there));
        TRY(validate_stretch(e, e.gone));
        for (const auto& m : e.there) TRY(validate_flags(m.flags, m.registers));
        return {};
    }
    Result<void> operator()(const StatedEntry&) const { return {}; }
    Result<void> operator()(const ReturnEntry& e) const {
        TRY(check(!e.mailbox.is_zero(), "return: no id"));
        TRY(check(e.bodies.list().size() <= max_uid_intervals && e.copies.list().size() <= max_uid_intervals,
                  "return: too many UIDs"));
        return check((e.bodies.empty() || e.bodies.list()[0].first != 0) &&
                         (e.copies.empty() || e.copies.list()[0].first != 0),
                     "return: UID 0");
    }
    Result<void> operator()(const ResealedEntry& e) const {
        TRY(check(!e.mailbox.is_zero() && !e.email.is_zero(), "resealed: no id"));
        TRY(check(e.uid.value != 0, "resealed: no UID"));
        return check(e.sealed_size != 0 && e.sealed_size <= max_object_octets, "resealed: not a size");
    }
    Result<void> operator()(const UnknownEntry& e) const {
        TRY(check(e.tag % 2 == 1, "unknown: the tag is a critical one"));
        return check(e.payload.size() <= max_payload_octets, "unknown: too large");
    }
};

void write_flags(Writer& out, const FlagSet& flags) {
    out.varint(flags.system);
    out.varint(flags.keywords.size());
    for (const auto& word : flags.keywords) out.octets(word);
}

void write_strings(Writer& out, const std::vector<std::string>& list) {
    out.varint(list.size());
    for (const auto& item : list) out.octets(item);
}

// Writes the fields of one kind, and gives its tag.
struct WritePayload {
    Writer& out;

    std::uint64_t operator()(const MailboxEntry& e) const {
        out.id(e.mailbox);
        out.octets(e.name);
        write_stamp(out, e.named);
        out.octets(e.special_use);
        write_stamp(out, e.used);
        out.varint(e.sealed_uidvalidity.value);
        out.varint(e.deleted);
        out.varint(e.last_uid.value);
        return std::to_underlying(EntryTag::mailbox);
    }
    std::uint64_t operator()(const MessageEntry& e) const {
        out.id(e.mailbox);
        out.varint(e.uid.value);
        out.varint(e.prev_uid.value);
        out.id(e.email);
        out.varint(e.sealed_size);
        out.sha256(e.sealed_sha256);
        out.varint(e.packed_size);
        out.zigzag(e.internal_date.value);
        out.zigzag(e.zone_minutes);
        write_flags(out, e.flags);
        write_registers(out, e.registers);
        return std::to_underlying(EntryTag::message);
    }
    std::uint64_t operator()(const ChunkEntry& e) const {
        out.id(e.email);
        out.sha256(e.sealed_sha256);
        out.varint(e.offset);
        out.varint(e.total);
        out.varint(e.data.size());
        return std::to_underlying(EntryTag::chunk);
    }
    std::uint64_t operator()(const FlagsEntry& e) const {
        out.id(e.mailbox);
        out.varint(e.uid.value);
        write_flags(out, e.flags);
        write_registers(out, e.registers);
        return std::to_underlying(EntryTag::flags);
    }
    std::uint64_t operator()(const ExpungeEntry& e) const {
        out.id(e.mailbox);
        out.uids(e.uids);
        out.varint(e.prev_uid.value);
        out.uids(e.moved);
        return std::to_underlying(EntryTag::expunge);
    }
    std::uint64_t operator()(const AccountEntry& e) const {
        out.octets(e.name);
        write_strings(out, e.addresses);
        out.varint(e.verifiers.size());
        for (const auto& v : e.verifiers) {
            out.octets(v.id);
            out.octets(v.label);
            out.octets(v.scram);
        }
        write_strings(out, e.certificates);
        out.varint(e.removed);
        return std::to_underlying(EntryTag::account);
    }
    std::uint64_t operator()(const StubbedEntry& e) const {
        out.id(e.mailbox);
        out.varint(e.uid.value);
        return std::to_underlying(EntryTag::stubbed);
    }
    std::uint64_t operator()(const SubscriptionEntry& e) const {
        out.octets(e.name);
        out.varint(e.on);
        write_stamp(out, e.stamp);
        return std::to_underlying(EntryTag::subscription);
    }
    std::uint64_t operator()(const CopyRequestEntry& e) const {
        out.id(e.from);
        out.varint(e.from_uid.value);
        out.id(e.email);
        out.id(e.mailbox);
        out.varint(e.uid.value);
        write_stamp(out, e.moved);
        write_flags(out, e.flags);
        write_registers(out, e.registers);
        out.sha256(e.sealed_sha256);
        return std::to_underlying(EntryTag::copy_request);
    }
    std::uint64_t operator()(const AppendRequestEntry& e) const {
        out.varint(e.kind);
        out.id(e.mailbox);
        out.varint(e.uid.value);
        out.id(e.email);
        out.varint(e.sealed_size);
        out.sha256(e.sealed_sha256);
        out.varint(e.size);
        out.octets(e.recipe);
        out.zigzag(e.internal_date.value);
        out.zigzag(e.zone_minutes);
        write_flags(out, e.flags);
        write_registers(out, e.registers);
        return std::to_underlying(EntryTag::append_request);
    }
    std::uint64_t operator()(const ConfirmEntry& e) const {
        out.id(e.mailbox);
        out.varint(e.uid.value);
        out.id(e.now);
        out.varint(e.now_uid.value);
        return std::to_underlying(EntryTag::confirm);
    }
    std::uint64_t operator()(const StateEntry& e) const {
        out.id(e.mailbox);
        out.varint(e.first.value);
        out.varint(e.last.value);
        out.varint(e.visible.value);
        out.varint(e.floor.value);
        out.varint(e.settled);
        std::uint32_t before = e.first.value;
        out.varint(e.there.size());
        for (const auto& m : e.there) {
            out.varint(m.uid.value - std::exchange(before, m.uid.value));
            out.id(m.email);
            out.sha256(m.sealed_sha256);
            write_flags(out, m.flags);
            write_registers(out, m.registers);
        }
        before = e.first.value;
        out.varint(e.gone.size());
        for (const auto& m : e.gone) {
            out.varint(m.uid.value - std::exchange(before, m.uid.value));
            out.id(m.email);
            out.varint(m.why);
        }
        return std::to_underlying(EntryTag::state);
    }
    std::uint64_t operator()(const StatedEntry&) const { return std::to_underlying(EntryTag::stated); }
    std::uint64_t operator()(const ReturnEntry& e) const {
        out.id(e.mailbox);
        out.uids(e.bodies);
        out.uids(e.copies);
        return std::to_underlying(EntryTag::body_return);
    }
    std::uint64_t operator()(const ResealedEntry& e) const {
        out.id(e.mailbox);
        out.varint(e.uid.value);
        out.id(e.email);
        out.varint(e.sealed_size);
        out.sha256(e.sealed_sha256);
        return std::to_underlying(EntryTag::resealed);
    }
    std::uint64_t operator()(const UnknownEntry& e) const {
        out.raw(e.payload);
        return e.tag;
    }
};

Result<Uid> read_uid(Reader& in) { return Uid(static_cast<std::uint32_t>(TRY(in.varint(UINT32_MAX)))); }

// How many items follow: each takes an octet at least, so nothing is reserved that cannot come.
Result<std::size_t> read_count(Reader& in, std::size_t max) {
    return TRY(in.varint(std::min<std::uint64_t>(max, in.remaining())));
}

Result<std::vector<std::string>> read_strings(Reader& in, std::size_t max_items, std::size_t max_octets) {
    std::vector<std::string> list(TRY(read_count(in, max_items)));
    for (auto& item : list) item = TRY(in.octets(max_octets));
    return list;
}

Result<FlagSet> read_flags(Reader& in) {
    FlagSet flags;
    flags.system = static_cast<std::uint32_t>(TRY(in.varint(UINT32_MAX)));
    flags.keywords = TRY(read_strings(in, max_registers, max_keyword_octets));
    return flags;
}

Result<Entry> read_mailbox(Reader& in) {
    MailboxEntry e;
    e.mailbox = TRY(in.id<MailboxIdTag>());
    e.name = TRY(in.octets(max_name_octets));
    e.named = TRY(read_stamp(in));
    e.special_use = TRY(in.octets(max_special_use_octets));
    e.used = TRY(read_stamp(in));
    e.sealed_uidvalidity = UidValidity(static_cast<std::uint32_t>(TRY(in.varint(UINT32_MAX))));
    e.deleted = TRY(in.boolean());
    e.last_uid = TRY(read_uid(in));
    return e;
}

Result<Entry> read_message(Reader& in) {
    MessageEntry e;
    e.mailbox = TRY(in.id<MailboxIdTag>());
    e.uid = TRY(read_uid(in));
    e.prev_uid = TRY(read_uid(in));
    e.email = TRY(in.id<EmailIdTag>());
    e.sealed_size = TRY(in.varint(max_object_octets));
    e.sealed_sha256 = TRY(in.sha256());
    e.packed_size = TRY(in.varint(max_object_octets));
    e.internal_date = UnixMillis(TRY(in.zigzag(earliest_date.value, latest_date.value)));
    e.zone_minutes = static_cast<std::int16_t>(TRY(in.zigzag(-max_zone, max_zone)));
    e.flags = TRY(read_flags(in));
    e.registers = TRY(read_registers(in));
    return e;
}

Result<Entry> read_chunk(Reader& in, std::size_t& data_octets) {
    ChunkEntry e;
    e.email = TRY(in.id<EmailIdTag>());
    e.sealed_sha256 = TRY(in.sha256());
    e.offset = TRY(in.varint(max_object_octets));
    e.total = TRY(in.varint(max_object_octets));
    data_octets = TRY(in.varint(max_chunk_octets));
    return e;
}

Result<Entry> read_flags_entry(Reader& in) {
    FlagsEntry e;
    e.mailbox = TRY(in.id<MailboxIdTag>());
    e.uid = TRY(read_uid(in));
    e.flags = TRY(read_flags(in));
    e.registers = TRY(read_registers(in));
    return e;
}

Result<Entry> read_expunge(Reader& in) {
    ExpungeEntry e;
    e.mailbox = TRY(in.id<MailboxIdTag>());
    e.uids = TRY(in.uids(max_uid_intervals));
    e.prev_uid = TRY(read_uid(in));
    e.moved = TRY(in.uids(max_uid_intervals));
    return e;
}

Result<Entry> read_account(Reader& in) {
    AccountEntry e;
    e.name = TRY(in.octets(max_name_octets));
    e.addresses = TRY(read_strings(in, max_list_items, max_name_octets));
    e.verifiers.resize(TRY(read_count(in, max_list_items)));
    for (auto& v : e.verifiers) {
        v.id = TRY(in.octets(max_id_octets));
        v.label = TRY(in.octets(max_name_octets));
        v.scram = TRY(in.octets(max_scram_octets));
    }
    e.certificates = TRY(read_strings(in, max_list_items, max_certificate_octets));
    e.removed = TRY(in.boolean());
    return e;
}

Result<Entry> read_stubbed(Reader& in) {
    StubbedEntry e;
    e.mailbox = TRY(in.id<MailboxIdTag>());
    e.uid = TRY(read_uid(in));
    return e;
}

Result<Entry> read_subscription(Reader& in) {
    SubscriptionEntry e;
    e.name = TRY(in.octets(max_name_octets));
    e.on = TRY(in.boolean());
    e.stamp = TRY(read_stamp(in));
    return e;
}

Result<Entry> read_copy_request(Reader& in) {
    CopyRequestEntry e;
    e.from = TRY(in.id<MailboxIdTag>());
    e.from_uid = TRY(read_uid(in));
    e.email = TRY(in.id<EmailIdTag>());
    e.mailbox = TRY(in.id<MailboxIdTag>());
    e.uid = TRY(read_uid(in));
    e.moved = TRY(read_stamp(in));
    e.flags = TRY(read_flags(in));
    e.registers = TRY(read_registers(in));
    e.sealed_sha256 = TRY(in.sha256());
    return e;
}

Result<Entry> read_append_request(Reader& in) {
    AppendRequestEntry e;
    e.kind = static_cast<AppendRequestEntry::Kind>(TRY(in.varint(AppendRequestEntry::last_kind)));
    e.mailbox = TRY(in.id<MailboxIdTag>());
    e.uid = TRY(read_uid(in));
    e.email = TRY(in.id<EmailIdTag>());
    e.sealed_size = TRY(in.varint(max_object_octets));
    e.sealed_sha256 = TRY(in.sha256());
    e.size = TRY(in.varint(max_object_octets));
    e.recipe = TRY(in.octets(recipe_octets));
    e.internal_date = UnixMillis(TRY(in.zigzag(earliest_date.value, latest_date.value)));
    e.zone_minutes = static_cast<std::int16_t>(TRY(in.zigzag(-max_zone, max_zone)));
    e.flags = TRY(read_flags(in));
    e.registers = TRY(read_registers(in));
    return e;
}

Result<Entry> read_confirm(Reader& in) {
    ConfirmEntry e;
    e.mailbox = TRY(in.id<MailboxIdTag>());
    e.uid = TRY(read_uid(in));
    e.now = TRY(in.id<MailboxIdTag>());
    e.now_uid = TRY(read_uid(in));
    return e;
}

Result<Entry> read_state(Reader& in) {
    StateEntry e;
    e.mailbox = TRY(in.id<MailboxIdTag>());
    e.first = TRY(read_uid(in));
    e.last = TRY(read_uid(in));
    e.visible = TRY(read_uid(in));
    e.floor = TRY(read_uid(in));
    e.settled = TRY(in.boolean());
    auto read_next = [&](std::uint32_t& before) -> Result<Uid> {
        return Uid(before += static_cast<std::uint32_t>(TRY(in.varint(UINT32_MAX - before))));
    };
    std::uint32_t before = e.first.value;
    e.there.resize(TRY(read_count(in, max_stated)));
    for (auto& m : e.there) {
        m.uid = TRY(read_next(before));
        m.email = TRY(in.id<EmailIdTag>());
        m.sealed_sha256 = TRY(in.sha256());
        m.flags = TRY(read_flags(in));
        m.registers = TRY(read_registers(in));
    }
    before = e.first.value;
    e.gone.resize(TRY(read_count(in, max_stated)));
    for (auto& m : e.gone) {
        m.uid = TRY(read_next(before));
        m.email = TRY(in.id<EmailIdTag>());
        m.why = static_cast<StateEntry::Gone::Why>(TRY(in.varint(StateEntry::Gone::last_why)));
    }
    return e;
}

Result<Entry> read_return(Reader& in) {
    ReturnEntry e;
    e.mailbox = TRY(in.id<MailboxIdTag>());
    e.bodies = TRY(in.uids(max_uid_intervals));
    e.copies = TRY(in.uids(max_uid_intervals));
    return e;
}

Result<Entry> read_resealed(Reader& in) {
    ResealedEntry e;
    e.mailbox = TRY(in.id<MailboxIdTag>());
    e.uid = TRY(read_uid(in));
    e.email = TRY(in.id<EmailIdTag>());
    e.sealed_size = TRY(in.varint(max_object_octets));
    e.sealed_sha256 = TRY(in.sha256());
    return e;
}

Result<Entry> read_payload(std::uint64_t tag, Reader& in, std::size_t& data_octets) {
    switch (static_cast<EntryTag>(tag)) {
        case EntryTag::mailbox:
            return read_mailbox(in);
        case EntryTag::message:
            return read_message(in);
        case EntryTag::chunk:
            return read_chunk(in, data_octets);
        case EntryTag::flags:
            return read_flags_entry(in);
        case EntryTag::expunge:
            return read_expunge(in);
        case EntryTag::account:
            return read_account(in);
        case EntryTag::stubbed:
            return read_stubbed(in);
        case EntryTag::subscription:
            return read_subscription(in);
        case EntryTag::copy_request:
            return read_copy_request(in);
        case EntryTag::append_request:
            return read_append_request(in);
        case EntryTag::confirm:
            return read_confirm(in);
        case EntryTag::state:
            return read_state(in);
        case EntryTag::stated:
            return StatedEntry{};
        case EntryTag::body_return:
            return read_return(in);
        case EntryTag::resealed:
            return read_resealed(in);
    }
    if (tag % 2 == 0)
        return fail(ErrorKind::refused, "an entry of kind " + std::to_string(tag) +
                                            " that this version does not know; update fwmail");
    return UnknownEntry{tag, std::string(TRY(in.raw(in.remaining())))};
}

}  // namespace

std::size_t count_messages(const Entry& entry) {
    if (std::holds_alternative<MailboxEntry>(entry)) return UINT32_MAX;  // it may be deleted
    if (const auto* state = std::get_if<StateEntry>(&entry))             // those that it says nothing of, too
        return std::size_t{state->last.value} - state->first.value + 1;
    if (const auto* expunge = std::get_if<ExpungeEntry>(&entry)) return expunge->uids.count();
    if (const auto* wanted = std::get_if<ReturnEntry>(&entry))
        return wanted->bodies.count() + wanted->copies.count();
    return 1;
}

std::string_view entry_name(const Entry& entry) {
    static constexpr std::string_view names[] = {"mailbox",      "message",        "chunk",    "flags",
                                                 "expunge",      "account",        "stubbed",  "subscription",
                                                 "copy-request", "append-request", "confirm",  "state",
                                                 "stated",       "body-return",    "resealed", "unknown"};
    static_assert(std::size(names) == std::variant_size_v<Entry>);
    return names[entry.index()];
}

Result<void> validate(const Entry& entry) { return std::visit(Validate{}, entry); }

void write_entry(Writer& meta, Writer& data, const Entry& entry) {
    Writer payload;
    std::uint64_t tag = std::visit(WritePayload{payload}, entry);
    meta.varint(tag);
    meta.octets(payload.text());
    if (const auto* chunk = std::get_if<ChunkEntry>(&entry)) data.raw(chunk->data);
}

Result<Entry> read_entry(Reader& meta, Reader& data) {
    std::uint64_t tag = TRY(meta.varint());
    Reader payload(TRY(meta.octets(max_payload_octets)));
    std::size_t data_octets = 0;
    Entry entry = TRY(read_payload(tag, payload, data_octets));
    TRY(payload.extensions());
    if (auto* chunk = std::get_if<ChunkEntry>(&entry)) chunk->data = TRY(data.raw(data_octets));
    TRY(validate(entry));
    return entry;
}

std::string encode_entry(const Entry& entry) {
    Writer out, data;
    write_entry(out, data, entry);
    out.raw(data.text());
    return std::move(out).text();
}

Result<Entry> decode_entry(std::string_view octets) {
    Reader in(octets);
    Entry entry = TRY(read_entry(in, in));
    if (!in.at_end()) return fail(ErrorKind::protocol, "octets follow the entry");
    return entry;
}

std::size_t encoded_size(const Entry& entry) {
    constexpr std::size_t number_octets = 9;  // below 2^63
    Writer payload;
    std::uint64_t tag = std::visit(WritePayload{payload}, entry);
    Writer meta;
    meta.varint(tag);
    meta.varint(payload.size());
    const auto* chunk = std::get_if<ChunkEntry>(&entry);
    return number_octets + meta.size() + payload.size() + (chunk ? chunk->data.size() : 0);
}

}  // namespace fwmail::sync
