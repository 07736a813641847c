#include "sync/frame.hpp"

#include <catch2/catch.hpp>
#include <fstream>
#include <functional>

#include "base/compress.hpp"
#include "base/encoding.hpp"
#include "generate.hpp"
#include "support/source_dir.hpp"

using namespace fwmail;
using namespace fwmail::sync;
using fwmail::sync::testing::Generator;

namespace {

NodeId node(char c) { return *NodeId::from_octets(std::string(16, c)); }

Frame small_frame() {
    Frame frame;
    frame.from = node('A');
    frame.to = node('B');
    frame.id = *FrameId::from_octets("0123456789abcdef");
    frame.created = UnixMillis(1'700'000'000'000);
    AccountSection section;
    section.account = *AccountId::from_octets("account-account-");
    section.epoch = {1, 0x0102030405060708};
    frame.sections.push_back(section);
    return frame;
}

// One of each, with every field set.
Frame golden_frame() {
    Frame frame = small_frame();
    MailboxId mailbox = *MailboxId::from_octets("mailbox-mailbox-");
    EmailId email = *EmailId::from_octets("email-email-emai");
    Sha256 hash;
    for (std::uint8_t i = 0; i < 32; ++i) hash[i] = i;
    FlagSet flags;
    flags.system = FlagSet::seen | FlagSet::flagged;
    flags.keywords = {"$Forwarded", "work"};
    // \Seen was set later; a keyword was taken away.
    Registers registers{{"\x01", {1'600'000'000'456ull << 16 | 7, 0x0a0b0c0d}},
                        {"later", {1'600'000'000'789ull << 16, 1}}};
    UidSet gone;
    gone.add(3, 5);
    gone.add(300);

    AccountSection& section = frame.sections[0];
    section.echo = {2, 0xf0f1f2f3f4f5f6f7};
    section.life = {UnixMillis(1'600'000'000'000), 0x1011121314151617};
    section.first = EntryNumber(9);
    section.lost = true;
    section.acks.add(1, 1000);
    section.acks.add(1003);
    section.voids.add(7);
    section.digests = Digests{7, 1003, UnixMillis(-1), {{MailboxId{}, hash}, {mailbox, hash}}};
    section.compared = {12, 1};
    auto add = [&](std::uint64_t number, Entry entry) {
        section.entries.push_back({EntryNumber(number), std::move(entry)});
    };
    add(1, MailboxEntry{mailbox,
                        "Büro",
                        {1'600'000'000'456ull << 16, 3},
                        "\\Sent",
                        {},
                        UidValidity(70'000),
                        true,
                        Uid(8)});
    add(2, MessageEntry{mailbox, Uid(9), Uid(5), email, 5000, hash, 3600, UnixMillis(1'600'000'000'123), -330,
                        flags, registers});
    add(8, ChunkEntry{email, hash, 1200, 3600, "chunk data"});
    add(9, FlagsEntry{mailbox, Uid(9), flags, registers});
    UidSet moved;
    moved.add(4);
    add(10, ExpungeEntry{mailbox, gone, Uid(2), moved});
    add(11, AccountEntry{"ada",
                         {"ada@example.org"},
                         {{"d1", "phone", "SCRAM-SHA-256$4096:c2FsdA==$c2s=:c3M="}},
                         {"\x98\x33"},
                         true});
    add(12, StubbedEntry{mailbox, Uid(6)});
    add(13, SubscriptionEntry{"Büro", true, {1'600'000'000'789ull << 16, 1}});
    add(14, CopyRequestEntry{mailbox,
                             Uid(9),
                             email,
                             mailbox,
                             Uid(10),
                             {1'600'000'000'789ull << 16, 1},
                             flags,
                             registers,
                             hash});
    add(15, AppendRequestEntry{AppendRequestEntry::plain, mailbox, Uid(11), email, 5000, hash, 3600,
                               std::string(recipe_octets, 'r'), UnixMillis(1'600'000'000'123), -330, flags,
                               registers});
    add(16, ConfirmEntry{mailbox, Uid(10), mailbox, Uid()});
    add(17, StateEntry{mailbox,
                       Uid(1),
                       Uid(UINT32_MAX),
                       Uid(9),
                       Uid(10),
                       {{Uid(6), email, {}, {}}, {Uid(9), email, hash, flags, registers}},
                       {{Uid(7), email}, {Uid(8), email, StateEntry::Gone::moving}},
                       true});
    add(18, StatedEntry{});
    add(19, ReturnEntry{mailbox, gone, moved});
    add(20, ResealedEntry{mailbox, Uid(9), email, 5000, hash});
    add(500, UnknownEntry{33, "later"});
    AccountSection own;
    own.epoch = {5, 6};
    frame.sections.push_back(own);
    return frame;
}

std::string golden(const std::string& name) {
    std::ifstream in(fwmail::test::source_dir() + "/tests/sync/" + name);
    std::string text, line;
    while (std::getline(in, line)) text += line.substr(0, line.find('#'));
    std::erase(text, ' ');
    auto octets = hex_decode(text);
    REQUIRE(octets);
    return *octets;
}

// Whatever was accepted is a value that can be written and read again.
void check_consistent(const Result<Frame>& parsed) {
    if (!parsed) return;
    auto written = write_frame(*parsed);
    REQUIRE(written);
    auto again = parse_frame(*written);
    REQUIRE(again);
    REQUIRE(*again == *parsed);
}

}  // namespace

TEST_CASE("frame: parsing undoes writing") {
    for (unsigned seed = 1; seed <= 1000; ++seed) {
        INFO("seed " << seed);
        Frame frame = Generator(seed).frame();
        for (bool compress : {true, false}) {
            auto octets = write_frame(frame, {}, compress);
            REQUIRE(octets);
            std::size_t bound = frame_overhead;
            for (const auto& section : frame.sections) {
                bound += section_overhead(section);
                for (const auto& entry : section.entries) bound += encoded_size(entry.entry);
            }
            REQUIRE(octets->size() <= bound);
            auto back = parse_frame(*octets);
            REQUIRE(back);
            REQUIRE(*back == frame);
        }
    }
}

TEST_CASE("frame: the format does not drift") {
    std::string plain = golden("frame_v1.hex");
    CHECK(hex_encode(write_frame(golden_frame(), {}, false).value()) == hex_encode(plain));
    auto parsed = parse_frame(plain);
    REQUIRE(parsed);
    CHECK(*parsed == golden_frame());
    // What zstd writes may change from version to version; what it once wrote must stay readable.
    parsed = parse_frame(golden("frame_v1_zstd.hex"));
    REQUIRE(parsed);
    CHECK(*parsed == golden_frame());
}

TEST_CASE("frame: every truncation is refused, and anything behind") {
    for (bool compress : {true, false}) {
        std::string octets = write_frame(golden_frame(), {}, compress).value();
        for (std::size_t size = 0; size < octets.size(); ++size)
            REQUIRE_FALSE(parse_frame(std::string_view(octets).substr(0, size)));
        CHECK_FALSE(parse_frame(octets + '\0'));
    }
}

TEST_CASE("frame: 50,000 mutations give an error or a valid value") {
    std::size_t refused = 0;
    for (unsigned seed = 1; seed <= 50'000; ++seed) {
        INFO("seed " << seed);
        Generator generate(seed);
        static std::string octets;
        if (seed % 25 == 1) {
            Frame frame = generate.frame();
            octets = write_frame(frame, {}, generate.coin()).value();
        }
        std::string mutant = octets;
        for (std::size_t flips = 1 + generate.below(3); flips-- > 0;)
            mutant[generate.below(mutant.size())] ^= static_cast<char>(1 << generate.below(8));
        if (generate.below(8) == 0) mutant.resize(generate.below(mutant.size()));
        if (generate.below(8) == 0)
            mutant.insert(generate.below(mutant.size() + 1), generate.octets(1 + generate.below(4)));
        auto parsed = parse_frame(mutant);
        refused += !parsed;
        check_consistent(parsed);
    }
    CHECK(refused > 10'000);
    CHECK(refused < 50'000);  // some flips only change a value
}

TEST_CASE("frame: what breaks an invariant is not written") {
    auto refused = [](const std::function<void(Frame&)>& change) {
        Frame frame = small_frame();
        REQUIRE(write_frame(frame));
        change(frame);
        CHECK_FALSE(write_frame(frame));
    };
    refused([](Frame& f) { f.from = {}; });
    refused([](Frame& f) { f.to = f.from; });
    refused([](Frame& f) { f.id = {}; });
    refused([](Frame& f) { f.version = 2; });
    refused([](Frame& f) { f.created = UnixMillis(-1); });
    refused([](Frame& f) { f.created = UnixMillis(1ll << 48); });
    refused([](Frame& f) { f.sections.push_back(f.sections[0]); });
    refused([](Frame& f) { f.sections[0].epoch = {}; });
    refused([](Frame& f) { f.sections[0].epoch.counter = max_number + 1; });
    refused([](Frame& f) { f.sections[0].acks.add(0); });
    refused([](Frame& f) { f.sections[0].voids.add(max_number + 1); });
    refused([](Frame& f) { f.sections[0].digests = Digests{max_number + 1, 0, {}, {}}; });
    refused([](Frame& f) { f.sections[0].digests = Digests{0, max_number + 1, {}, {}}; });
    refused([](Frame& f) { f.sections[0].digests = Digests{0, 0, UnixMillis(latest_date.value + 1), {}}; });
    refused([](Frame& f) { f.sections[0].digests = Digests{0, 0, {}, {{}, {}}}; });
    refused([](Frame& f) { f.sections[0].compared = Compared{max_number + 1, 0}; });
    refused([](Frame& f) { f.sections[0].compared = Compared{3, 4}; });
    Entry good = StubbedEntry{*MailboxId::from_octets("mailbox-mailbox-"), Uid(1)};
    refused([&](Frame& f) { f.sections[0].entries = {{EntryNumber(0), good}}; });
    refused([&](Frame& f) { f.sections[0].entries = {{EntryNumber(max_number + 1), good}}; });
    refused([&](Frame& f) { f.sections[0].entries = {{EntryNumber(2), good}, {EntryNumber(2), good}}; });
    refused([&](Frame& f) { f.sections[0].entries = {{EntryNumber(3), good}, {EntryNumber(2), good}}; });
    refused([](Frame& f) { f.sections[0].entries = {{EntryNumber(1), StubbedEntry{}}}; });
    Frame most = small_frame();
    most.sections[0].entries = {{EntryNumber(max_number - 1), good}, {EntryNumber(max_number), good}};
    CHECK(parse_frame(write_frame(most).value()).value() == most);
}

TEST_CASE("frame: limits hold when writing and when parsing") {
    Frame frame = golden_frame();
    std::string octets = write_frame(frame, {}, false).value();
    auto both = [&](FrameLimits limits) {
        CHECK_FALSE(write_frame(frame, limits, false));
        CHECK_FALSE(parse_frame(octets, limits));
    };
    FrameLimits limits;
    limits.octets = octets.size();
    CHECK(parse_frame(octets, limits));
    --limits.octets;
    both(limits);
    both({.sections = 1});
    both({.entries = 7});
    both({.intervals = 1});
    both({.digests = 1});
    both({.meta_octets = 300});
}

TEST_CASE("frame: a compressed block cannot expand beyond the limit") {
    Frame frame = small_frame();
    frame.sections.clear();
    std::string octets = write_frame(frame, {}, false).value();
    // The end is: additions (0), coding, block, data (0). Put a bomb in the block's place.
    octets.resize(octets.size() - 4);
    Writer bomb;
    bomb.byte(1);
    bomb.octets(zstd_compress(std::string(20 << 20, '\0')));
    bomb.octets("");
    CHECK(bomb.size() < 4000);
    auto parsed = parse_frame(octets + bomb.text());
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().text.find("expands") != std::string::npos);
}

TEST_CASE("frame: later versions are refused as such, their optional parts skipped") {
    Frame frame = small_frame();
    std::string octets = write_frame(frame, {}, false).value();
    std::string other = octets;
    other[4] = 2;
    CHECK(parse_frame(other).error().kind == ErrorKind::refused);
    other = octets;
    other[0] = 'X';
    CHECK(parse_frame(other).error().kind == ErrorKind::protocol);
    std::size_t additions = 4 + 1 + 48 + 6;  // magic, version, three ids, the time
    REQUIRE(octets[additions] == 0);
    CHECK(parse_frame(octets.substr(0, additions) + "\x03\x09\x01x" + octets.substr(additions + 1)).value() ==
          frame);
    CHECK(parse_frame(octets.substr(0, additions) + "\x03\x0a\x01x" + octets.substr(additions + 1))
              .error()
              .kind == ErrorKind::refused);
}

TEST_CASE("frame: a full one goes through, with its data uncompressed") {
    Generator generate(1);
    Frame frame = small_frame();
    for (std::uint64_t i = 0; i < 1000; ++i) {
        MessageEntry e = {};
        e.mailbox = *MailboxId::from_octets("mailbox-mailbox-");
        e.uid = Uid(static_cast<std::uint32_t>(i + 1));
        e.prev_uid = Uid(static_cast<std::uint32_t>(i));
        e.email = generate.id<EmailId>();
        frame.sections[0].entries.push_back({EntryNumber(2 * i + 1), e});
        frame.sections[0].entries.push_back(
            {EntryNumber(2 * i + 2), ChunkEntry{e.email, {}, 0, 5000, generate.octets(5000)}});
    }
    auto octets = write_frame(frame);
    REQUIRE(octets);
    CHECK(octets->size() > 5'000'000);
    CHECK(octets->size() < 5'000'000 + 1000 * 60);  // two ids of 16 random octets, and little more
    CHECK(parse_frame(*octets).value() == frame);
}
