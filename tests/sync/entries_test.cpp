#include "sync/entries.hpp"

#include <catch2/catch.hpp>
#include <functional>

#include "generate.hpp"

using namespace fwmail;
using namespace fwmail::sync;
using fwmail::sync::testing::Generator;

namespace {

MailboxId a_mailbox() { return *MailboxId::from_octets("mailbox.mailbox."); }
EmailId an_email() { return *EmailId::from_octets("email-0123456789"); }

MessageEntry a_message() {
    MessageEntry e;
    e.mailbox = a_mailbox();
    e.uid = Uid(7);
    e.email = an_email();
    return e;
}

// Refused by validate, and by the decoder when it comes over the wire.
void check_refused(const Entry& entry) {
    INFO(entry_name(entry));
    CHECK(validate(entry).has_value() == false);
    CHECK(decode_entry(encode_entry(entry)).has_value() == false);
}
void check_good(const Entry& entry) {
    INFO(entry_name(entry));
    CHECK(validate(entry).has_value());
    auto back = decode_entry(encode_entry(entry));
    REQUIRE(back.has_value());
    CHECK(*back == entry);
}

}  // namespace

TEST_CASE("entries: decoding undoes encoding; the size estimate holds") {
    for (unsigned seed = 1; seed <= 3000; ++seed) {
        INFO("seed " << seed);
        Generator generate(seed);
        Entry entry = generate.entry();
        REQUIRE(validate(entry));
        std::string octets = encode_entry(entry);
        auto back = decode_entry(octets);
        REQUIRE(back);
        REQUIRE(*back == entry);
        REQUIRE(encoded_size(entry) == octets.size() + 9);
        // Every kind has its length in front, so that a truncation shows.
        REQUIRE_FALSE(decode_entry(std::string_view(octets).substr(0, generate.below(octets.size()))));
        REQUIRE_FALSE(decode_entry(octets + "x"));
    }
}

TEST_CASE("entries: mailbox bounds") {
    MailboxEntry good{a_mailbox(), std::string(1000, 'n'), {1, 2}, "\\Sent", {}, UidValidity(9), false, {}};
    check_good(good);
    auto bad = [&](const std::function<void(MailboxEntry&)>& change) {
        MailboxEntry e = good;
        change(e);
        check_refused(e);
    };
    bad([](auto& e) { e.name += 'n'; });
    bad([](auto& e) { e.name.clear(); });
    bad([](auto& e) { e.name = "a\r\nb"; });
    bad([](auto& e) { e.name = "a\xc0\x80"; });
    bad([](auto& e) { e.name = "\u009f"; });
    bad([](auto& e) { e.mailbox = {}; });
    bad([](auto& e) { e.named = {0, 2}; });
    bad([](auto& e) { e.used = {max_stamp_time + 1, 2}; });
    bad([](auto& e) { e.special_use = "Sent"; });
    bad([](auto& e) { e.special_use = "\\Se nt"; });
    bad([](auto& e) { e.special_use = "\\"; });
    bad([](auto& e) { e.special_use = "\\" + std::string(32, 's'); });
}

TEST_CASE("entries: message bounds") {
    MessageEntry good = a_message();
    good.sealed_size = good.packed_size = max_object_octets;
    good.prev_uid = Uid(6);
    good.zone_minutes = -5999;
    for (int i = 0; i < 100; ++i) good.flags.add_keyword(std::string(97, 'k') + std::to_string(100 + i));
    check_good(good);
    auto bad = [&](const std::function<void(MessageEntry&)>& change) {
        MessageEntry e = good;
        change(e);
        check_refused(e);
    };
    bad([](auto& e) { e.uid = Uid(0), e.prev_uid = Uid(0); });
    bad([](auto& e) { e.prev_uid = Uid(7); });
    bad([](auto& e) { e.prev_uid = Uid(8); });
    bad([](auto& e) { e.email = {}; });
    bad([](auto& e) { e.mailbox = {}; });
    bad([](auto& e) { ++e.sealed_size; });
    bad([](auto& e) { ++e.packed_size; });
    bad([](auto& e) { e.zone_minutes = 6000; });
    bad([](auto& e) { e.internal_date = UnixMillis(253'402'300'800'000); });
    bad([](auto& e) { e.internal_date = UnixMillis(INT64_MIN); });
    bad([](auto& e) { e.flags.system = 32; });
    bad([](auto& e) {
        for (std::size_t i = e.flags.keywords.size(); i <= max_registers; ++i)
            e.flags.add_keyword("k" + std::to_string(i));
    });
    bad([](auto& e) { e.registers = {{"a", {}}}; });
    bad([](auto& e) { e.registers.assign(max_registers + 1, {"a", {1, 1}}); });
    bad([](auto& e) { e.flags.keywords = {std::string(101, 'k')}; });
    bad([](auto& e) { e.flags.keywords = {"b", "a"}; });
    bad([](auto& e) { e.flags.keywords = {"a", "a"}; });
    bad([](auto& e) { e.flags.keywords = {"A", "B", "a"}; });
    for (const char* word : {"", "a b", "a(", "\\Seen", "a]", "a*", "ü", "a\"", "{1}", "a%", "a\x7f"})
        bad([&](auto& e) { e.flags.keywords = {word}; });
}

TEST_CASE("entries: chunk, flags, expunge and stubbed bounds") {
    check_good(ChunkEntry{an_email(), {}, 90, 100, std::string(10, 'd')});
    check_refused(ChunkEntry{an_email(), {}, 91, 100, std::string(10, 'd')});
    check_refused(ChunkEntry{an_email(), {}, 101, 100, std::string(1, 'd')});
    check_refused(ChunkEntry{an_email(), {}, max_object_octets, max_object_octets + 1, "d"});
    check_refused(ChunkEntry{an_email(), {}, UINT64_MAX, 100, "dd"});
    check_refused(ChunkEntry{an_email(), {}, 0, 100, ""});
    check_refused(ChunkEntry{{}, {}, 0, 1, "d"});

    check_good(FlagsEntry{a_mailbox(), Uid(UINT32_MAX), {}});
    check_refused(FlagsEntry{a_mailbox(), Uid(0), {}});
    check_refused(FlagsEntry{{}, Uid(1), {}});
    check_good(SubscriptionEntry{"n", false, {1, 0}});
    check_refused(SubscriptionEntry{"n", true, {}});
    check_refused(SubscriptionEntry{"", true, {1, 0}});
    check_good(StubbedEntry{a_mailbox(), Uid(1)});
    check_refused(StubbedEntry{a_mailbox(), Uid(0)});
    check_refused(StubbedEntry{{}, Uid(1)});

    check_good(CopyRequestEntry{a_mailbox(), Uid(1), an_email(), a_mailbox(), Uid(2), {}, {}});
    check_refused(CopyRequestEntry{a_mailbox(), Uid(0), an_email(), a_mailbox(), Uid(2), {}, {}});
    check_refused(CopyRequestEntry{a_mailbox(), Uid(1), an_email(), a_mailbox(), Uid(0), {}, {}});
    check_refused(CopyRequestEntry{a_mailbox(), Uid(1), {}, a_mailbox(), Uid(2), {}, {}});
    check_refused(CopyRequestEntry{{}, Uid(1), an_email(), a_mailbox(), Uid(2), {}, {}});
    check_refused(CopyRequestEntry{a_mailbox(), Uid(1), an_email(), {}, Uid(2), {}, {}});
    check_refused(CopyRequestEntry{a_mailbox(), Uid(1), an_email(), a_mailbox(), Uid(2), {0, 1}, {}});
    AppendRequestEntry append{AppendRequestEntry::sealed, a_mailbox(), Uid(1), an_email()};
    append.size = 1;
    check_good(append);
    append.kind = AppendRequestEntry::gone;
    check_refused(append);
    append.size = 0;
    check_good(append);
    append.kind = AppendRequestEntry::plain;
    append.size = 1;
    check_refused(append);
    append.recipe = std::string(recipe_octets, 'r');
    check_good(append);
    append.kind = AppendRequestEntry::Kind(3);
    check_refused(append);
    check_good(ConfirmEntry{a_mailbox(), Uid(1), a_mailbox(), Uid(0)});
    check_refused(ConfirmEntry{a_mailbox(), Uid(0), a_mailbox(), Uid(1)});
    check_refused(ConfirmEntry{a_mailbox(), Uid(1), {}, Uid(1)});

    StateEntry state{a_mailbox(),
                     Uid(3),
                     Uid(9),
                     Uid(5),
                     Uid(6),
                     {{Uid(3), an_email(), {}, {}}, {Uid(9), an_email(), {}, {}}},
                     {{Uid(4), an_email()}}};
    check_good(state);
    for (auto spoil :
         {+[](StateEntry& e) { e.mailbox = {}; }, +[](StateEntry& e) { e.first = Uid(0); },
          +[](StateEntry& e) { e.last = Uid(2); }, +[](StateEntry& e) { e.floor = Uid(4); },
          +[](StateEntry& e) { e.there[0].uid = Uid(2); }, +[](StateEntry& e) { e.there[1].uid = Uid(10); },
          +[](StateEntry& e) { e.there[1].uid = Uid(3); }, +[](StateEntry& e) { e.there[1].email = {}; },
          +[](StateEntry& e) { e.gone[0].email = {}; },
          +[](StateEntry& e) { e.there[0].flags.system = 1u << 30; }}) {
        auto spoilt = state;
        spoil(spoilt);
        check_refused(spoilt);
    }
    check_good(StatedEntry{});
    UidSet wanted;
    wanted.add(1, 5);
    check_good(ReturnEntry{a_mailbox(), wanted, {}});
    check_good(ReturnEntry{a_mailbox(), {}, wanted});
    check_refused(ReturnEntry{{}, wanted, {}});
    wanted.add(0);
    check_refused(ReturnEntry{a_mailbox(), {}, wanted});
    check_good(ResealedEntry{a_mailbox(), Uid(4), an_email(), 5000, {}});
    check_refused(ResealedEntry{{}, Uid(4), an_email(), 5000, {}});
    check_refused(ResealedEntry{a_mailbox(), Uid(0), an_email(), 5000, {}});
    check_refused(ResealedEntry{a_mailbox(), Uid(4), {}, 5000, {}});
    check_refused(ResealedEntry{a_mailbox(), Uid(4), an_email(), 0, {}});
    check_refused(ResealedEntry{a_mailbox(), Uid(4), an_email(), max_object_octets + 1, {}});

    UidSet uids;
    uids.add(5, 9);
    uids.add(UINT32_MAX);
    check_good(ExpungeEntry{a_mailbox(), uids, Uid(4)});
    check_good(ExpungeEntry{a_mailbox(), uids, Uid(0)});
    check_refused(ExpungeEntry{a_mailbox(), uids, Uid(5)});
    check_refused(ExpungeEntry{a_mailbox(), {}, Uid(0)});
    check_refused(ExpungeEntry{{}, uids, Uid(0)});
    UidSet many;
    for (std::uint32_t i = 1; i <= max_uid_intervals + 1; ++i) many.add(2 * i);
    check_refused(ExpungeEntry{a_mailbox(), many, Uid(0)});
}

TEST_CASE("entries: account bounds") {
    AccountEntry good;
    good.name = "ada";
    good.addresses.assign(1000, "ada@example.org");
    for (int i = 0; i < 1000; ++i)
        good.verifiers.push_back({std::to_string(i), "", "SCRAM-SHA-256$4096:c2FsdA==$x:y"});
    good.certificates.assign(8, std::string(max_certificate_octets, 'c'));
    check_good(good);
    auto bad = [&](const std::function<void(AccountEntry&)>& change) {
        AccountEntry e = good;
        change(e);
        check_refused(e);
    };
    bad([](auto& e) { e.addresses.push_back("b@example.org"); });
    bad([](auto& e) { e.addresses[3] = "no-at"; });
    bad([](auto& e) { e.addresses[3] = "a@b\n"; });
    bad([](auto& e) { e.verifiers.push_back({"x", "", "y"}); });
    bad([](auto& e) { e.verifiers[5].id = "4"; });
    bad([](auto& e) { e.verifiers[5].id = ""; });
    bad([](auto& e) { e.verifiers[5].scram = "a b"; });
    bad([](auto& e) { e.verifiers[5].label = "a\nb"; });
    bad([](auto& e) { e.certificates[0] += 'c'; });
    bad([](auto& e) { e.certificates[0].clear(); });
    bad([](auto& e) { e.certificates.assign(20, std::string(max_certificate_octets, 'c')); });
    bad([](auto& e) { e.name = ""; });
}

TEST_CASE("entries: kinds of a later version") {
    check_good(UnknownEntry{33, "later"});
    check_good(UnknownEntry{UINT64_MAX, ""});
    check_refused(UnknownEntry{1, std::string(max_payload_octets + 1, 'x')});
    Writer out;
    out.varint(34);
    out.octets("later");
    auto refused = decode_entry(out.text());
    REQUIRE_FALSE(refused);
    CHECK(refused.error().kind == ErrorKind::refused);
    CHECK(refused.error().text.find("34") != std::string::npos);

    // A known kind with an addition.
    for (std::uint64_t tag : {5, 6}) {
        Writer payload;
        payload.id(a_mailbox());
        payload.varint(12);
        payload.varint(tag);
        payload.octets("addition");
        Writer entry;
        entry.varint(14);
        entry.octets(payload.text());
        auto decoded = decode_entry(entry.text());
        REQUIRE(decoded.has_value() == (tag == 5));
        if (decoded) CHECK(*decoded == Entry(StubbedEntry{a_mailbox(), Uid(12)}));
    }
}
