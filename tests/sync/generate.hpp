// Random valid values for the property tests. The seed decides everything.
#pragma once

#include <random>
#include <string>

#include "sync/frame.hpp"

namespace fwmail::sync::testing {

class Generator {
  public:
    explicit Generator(unsigned seed) : random_(seed) {}

    std::uint64_t below(std::uint64_t n) { return random_() % n; }
    bool coin() { return random_() & 1; }
    std::uint64_t any64() { return random_() >> below(64); }
    std::string octets(std::size_t size) {
        std::string out(size, '\0');
        for (char& c : out) c = static_cast<char>(random_());
        return out;
    }
    std::string word(std::size_t max) {
        std::string out(1 + below(max), ' ');
        for (char& c : out) c = static_cast<char>('a' + below(26));
        return out;
    }
    template <class Id>
    Id id() {
        return *Id::from_octets(octets(16));
    }
    std::string name() {
        static constexpr const char* parts[] = {"Work", "/",     "Büro", "会議",  "𝄞",
                                                " ",    "inbox", "&",    "\u00a0"};
        std::string out;
        for (std::size_t i = 1 + below(8); i-- > 0;) out += parts[below(std::size(parts))];
        return out;
    }
    FlagSet flags() {
        FlagSet flags;
        flags.system = static_cast<std::uint32_t>(below(32));
        for (std::size_t i = below(5); i-- > 0;) flags.add_keyword((coin() ? "$" : "K") + word(8));
        return flags;
    }
    // Few flags and few times, so that two of them have something in common.
    FlagState flag_state() {
        static constexpr const char* words[] = {"\\Seen", "\\Flagged", "\\Draft", "Work", "work", "$Later"};
        FlagState state;
        for (std::size_t i = below(6); i-- > 0;) {
            FlagSet flags = state.flags, word = FlagSet::from_text(words[below(6)]);
            if (coin())
                flags.add(word);
            else
                flags.remove(word);
            Stamp stamp{1 + below(5), static_cast<std::uint32_t>(below(3))};
            state = coin() ? FlagState{flags, state.registers} : change_flags(state, flags, stamp);
        }
        return state;
    }
    Uid uid(std::uint32_t above = 0) {
        std::uint64_t room = 0xffffffffull - above;
        return Uid(static_cast<std::uint32_t>(above + 1 + (any64() % room)));
    }
    NumberSet numbers() {
        NumberSet set;
        std::uint64_t at = 0;
        for (std::size_t i = below(6); i-- > 0;) {
            std::uint64_t first = at + 1 + below(1000) * below(1000), last = first + below(100);
            set.add(first, last);
            at = last;
        }
        if (below(20) == 0) set.add(max_number);
        return set;
    }
    Sha256 sha256() {
        Sha256 hash;
        for (auto& b : hash) b = static_cast<std::uint8_t>(random_());
        return hash;
    }
    Entry entry() {
        switch (below(15)) {
            case 0:
                return mailbox();
            case 1:
                return message();
            case 2:
                return chunk();
            case 3: {
                auto state = flag_state();
                return FlagsEntry{id<MailboxId>(), uid(), state.flags, state.registers};
            }
            case 4:
                return expunge();
            case 5:
                return account();
            case 6:
                return StubbedEntry{id<MailboxId>(), uid()};
            case 7:
                return SubscriptionEntry{
                    name(), coin(), {1 + below(5), static_cast<std::uint32_t>(below(3))}};
            case 8: {
                auto state = flag_state();
                CopyRequestEntry e{id<MailboxId>(), uid(), id<EmailId>(), id<MailboxId>(),
                                   uid(),           {},    state.flags,   state.registers};
                if (coin()) e.moved = {1 + below(5), static_cast<std::uint32_t>(below(3))};
                e.sealed_sha256[below(e.sealed_sha256.size())] = 8;
                return e;
            }
            case 9:
                return append_request();
            case 10: {
                ConfirmEntry e{id<MailboxId>(), uid(), id<MailboxId>(), uid()};
                if (coin()) e.now_uid = {};
                return e;
            }
            case 11:
                return state();
            case 12:
                return StatedEntry{};
            case 13: {
                ReturnEntry e{id<MailboxId>(), {}, {}};
                if (coin()) e.bodies = std::get<ExpungeEntry>(expunge()).uids;
                if (coin()) e.copies = std::get<ExpungeEntry>(expunge()).uids;
                return e;
            }
            case 14: {
                ResealedEntry e{id<MailboxId>(), uid(), id<EmailId>(), 1 + below(1'000'000), {}};
                e.sealed_sha256[below(e.sealed_sha256.size())] = 7;
                return e;
            }
            default:
                return UnknownEntry{1001 + 2 * below(1000), octets(below(40))};
        }
    }
    AccountSection section() {
        AccountSection section;
        section.account = id<AccountId>();
        section.epoch = {1 + below(5), random_()};
        if (coin()) section.echo = {1 + below(5), random_()};
        section.life = {UnixMillis(static_cast<std::int64_t>(below(1ull << 48))), random_()};
        section.first = EntryNumber(1 + below(100'000));
        section.lost = coin();
        if (coin()) section.digests = digests();
        if (coin()) {
            std::uint64_t all = any64() & max_number;
            section.compared = {all, coin() ? all : all / 2};
        }
        section.acks = numbers();
        section.voids = numbers();
        std::uint64_t number = 0;
        for (std::size_t i = below(8); i-- > 0;)
            section.entries.push_back({EntryNumber(number += 1 + below(300)), entry()});
        return section;
    }
    Frame frame() {
        Frame frame;
        frame.from = id<NodeId>();
        frame.to = id<NodeId>();
        frame.id = id<FrameId>();
        frame.created = UnixMillis(static_cast<std::int64_t>(below(1ull << 48)));
        for (std::size_t i = below(4); i-- > 0;) frame.sections.push_back(section());
        if (coin()) frame.sections.emplace_back().epoch = {1, 1};  // the node's own
        return frame;
    }

  private:
    Digests digests() {
        Digests digests{any64() & max_number, any64() & max_number, latest_date, {}};
        if (coin()) digests.since = UnixMillis(static_cast<std::int64_t>(below(1ull << 40)));
        for (std::size_t i = below(5); i-- > 0;) digests.list.push_back({id<MailboxId>(), sha256()});
        std::ranges::sort(digests.list, {}, &Digests::One::mailbox);
        return digests;
    }
    Entry mailbox() {
        static constexpr const char* uses[] = {"", "\\Sent", "\\Junk", "\\Archive"};
        MailboxEntry e{id<MailboxId>(), name(), {}, uses[below(4)], {}, {}, coin(), {}};
        e.sealed_uidvalidity = UidValidity(static_cast<std::uint32_t>(any64()));
        if (coin()) e.named = {1 + below(5), static_cast<std::uint32_t>(below(3))};
        if (coin()) e.used = {1 + below(5), static_cast<std::uint32_t>(below(3))};
        if (e.deleted) e.last_uid = uid();
        return e;
    }
    template <class E>
    void give_date_and_flags(E& e) {
        e.internal_date =
            UnixMillis(static_cast<std::int64_t>(below(300'000'000'000'000)) - 60'000'000'000'000);
        e.zone_minutes = static_cast<std::int16_t>(static_cast<int>(below(2 * 5'999 + 1)) - 5'999);
        e.flags = flags();
        e.registers = flag_state().registers;
    }
    Entry message() {
        MessageEntry e;
        e.mailbox = id<MailboxId>();
        e.prev_uid = Uid(static_cast<std::uint32_t>(any64() % 0xffffffff));
        e.uid = uid(e.prev_uid.value);
        e.email = id<EmailId>();
        e.sealed_size = below(max_object_octets + 1);
        e.sealed_sha256 = sha256();
        e.packed_size = below(max_object_octets + 1);
        give_date_and_flags(e);
        return e;
    }
    template <class M>
    std::vector<M> messages(Uid first) {
        std::vector<M> all(below(6));
        for (auto& m : all) {
            m.uid = Uid(first.value + static_cast<std::uint32_t>(below(1000)));
            first = Uid(m.uid.value + 1);
            m.email = id<EmailId>();
        }
        return all;
    }
    Entry state() {
        StateEntry e;
        e.mailbox = id<MailboxId>();
        e.first = Uid(1 + static_cast<std::uint32_t>(below(1u << 30)));
        e.last = Uid(e.first.value + 6000);
        e.visible = uid();
        e.floor = uid(e.visible.value - 1);
        e.there = messages<StateEntry::There>(e.first);
        for (auto& m : e.there) {
            if (coin()) m.sealed_sha256 = sha256();
            m.flags = flags();
            m.registers = flag_state().registers;
        }
        e.gone = messages<StateEntry::Gone>(e.first);
        for (auto& m : e.gone) m.why = static_cast<StateEntry::Gone::Why>(below(3));
        e.settled = coin();
        return e;
    }
    Entry append_request() {
        AppendRequestEntry e;
        e.kind = static_cast<AppendRequestEntry::Kind>(below(3));
        e.mailbox = id<MailboxId>();
        e.uid = uid();
        e.email = id<EmailId>();
        e.sealed_size = below(max_object_octets + 1);
        e.sealed_sha256 = sha256();
        if (e.kind != AppendRequestEntry::gone) e.size = 1 + below(max_object_octets);
        if (e.kind == AppendRequestEntry::plain) e.recipe = octets(recipe_octets);
        give_date_and_flags(e);
        return e;
    }
    Entry chunk() {
        ChunkEntry e{id<EmailId>(), sha256(), below(1'000'000), 0, octets(1 + below(200))};
        e.total = e.offset + e.data.size() + below(1'000);
        return e;
    }
    Entry expunge() {
        ExpungeEntry e;
        e.mailbox = id<MailboxId>();
        Uid at(1 + static_cast<std::uint32_t>(below(1u << 30)));
        for (std::size_t i = 1 + below(5); i-- > 0;) {
            std::uint32_t last = at.value + static_cast<std::uint32_t>(below(1000));
            e.uids.add(at.value, last);
            at = Uid(last + 1 + static_cast<std::uint32_t>(below(1000)));
        }
        e.prev_uid = Uid(static_cast<std::uint32_t>(below(e.uids.list()[0].first)));
        for (const auto& i : e.uids.list())
            if (coin()) e.moved.add(i.first, i.last);
        return e;
    }
    Entry account() {
        AccountEntry e;
        e.name = word(12);
        e.removed = below(4) == 0;
        for (std::size_t i = below(3); i-- > 0;) e.addresses.push_back(word(8) + "@" + word(8) + ".example");
        for (std::size_t i = below(3); i-- > 0;)
            e.verifiers.push_back(
                {word(6) + std::to_string(i), coin() ? name() : "", "SCRAM-SHA-256$4096:" + word(40)});
        for (std::size_t i = below(3); i-- > 0;) e.certificates.push_back(octets(1 + below(300)));
        return e;
    }

    std::mt19937_64 random_;
};

}  // namespace fwmail::sync::testing
