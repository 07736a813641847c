#include "sync/frame_builder.hpp"

#include <catch2/catch.hpp>
#include <random>

#include "generate.hpp"
#include "sync/link.hpp"
#include "sync/node_mail.hpp"

using namespace fwmail;
using namespace fwmail::sync;
using fwmail::sync::testing::Generator;

TEST_CASE("builder: an object's chunks are adjacent, whole and in order") {
    CHECK(split_object(0, 10).empty());
    CHECK(split_object(10, 10) == std::vector<Stretch>{{0, 10}});
    CHECK(split_object(21, 10) == std::vector<Stretch>{{0, 10}, {10, 10}, {20, 1}});
    CHECK(split_object(5, 0).empty());
    CHECK(split_object(1ull << 40, 48 << 20).back().size == (1ull << 40) % (48 << 20));
}

TEST_CASE("builder: every entry once, in order, no frame too large") {
    for (unsigned seed = 1; seed <= 300; ++seed) {
        INFO("seed " << seed);
        std::mt19937 random(seed);
        std::size_t max = 2000 + random() % 100'000;
        std::vector<PackSection> sections(random() % 5);
        std::size_t count = 0;
        for (auto& section : sections) {
            section.overhead = 64 + random() % 500;
            for (std::uint64_t n = random() % 200; n-- > 0; ++count) {
                std::size_t octets = 20 + (random() % 4 ? random() % 300 : random() % (max + max / 10));
                section.entries.push_back({EntryNumber(section.entries.size() + 1), octets});
            }
        }
        Packing packing = pack(sections, max);
        auto octets_of = [&](const PackedEntry& e) { return sections[e.section].entries[e.entry].octets; };
        std::vector<PackedEntry> seen;
        for (const auto& frame : packing.frames) {
            REQUIRE_FALSE(frame.entries.empty());
            std::size_t octets = frame_overhead;
            for (std::size_t i = 0; i < frame.entries.size(); ++i) {
                if (i == 0 || frame.entries[i].section != frame.entries[i - 1].section)
                    octets += sections[frame.entries[i].section].overhead;
                octets += octets_of(frame.entries[i]);
                seen.push_back(frame.entries[i]);
            }
            REQUIRE(octets == frame.octets);
            REQUIRE(octets <= max);
        }
        for (const auto& e : packing.too_large)
            REQUIRE(octets_of(e) + sections[e.section].overhead + frame_overhead > max);
        auto before = [](const PackedEntry& a, const PackedEntry& b) {
            return std::pair(a.section, a.entry) < std::pair(b.section, b.entry);
        };
        REQUIRE(std::ranges::is_sorted(seen, before));
        seen.insert(seen.end(), packing.too_large.begin(), packing.too_large.end());
        std::ranges::sort(seen, before);
        REQUIRE(seen.size() == count);
        REQUIRE(std::ranges::adjacent_find(seen) == seen.end());
        // Not one mail each: two frames that follow each other would not have fitted into one.
        for (std::size_t i = 1; i < packing.frames.size(); ++i) {
            const PackedEntry& next = packing.frames[i].entries[0];
            bool same = next.section == packing.frames[i - 1].entries.back().section;
            std::size_t added = octets_of(next) + (same ? 0 : sections[next.section].overhead);
            REQUIRE(packing.frames[i - 1].octets + added > max);
        }
    }
}

TEST_CASE("builder: a frame stays within what a frame may hold") {
    FrameLimits limits;
    PackSection tiny{64, {}};
    for (std::uint64_t n = 1; n <= limits.entries + 1; ++n) tiny.entries.push_back({EntryNumber(n), 30});
    CHECK(pack({&tiny, 1}, most_max_mail_size).frames.size() == 2);
    PackSection middling{64, {}};
    for (std::uint64_t n = 1; n <= 40; ++n) middling.entries.push_back({EntryNumber(n), 1 << 20});
    for (const auto& frame : pack({&middling, 1}, most_max_mail_size).frames)
        CHECK(frame.octets <= limits.meta_octets + 1024);
    CHECK(pack({&middling, 1}, most_max_mail_size).too_large.empty());
    PackSection heavy{64, {}};  // chunks: not metadata
    for (std::uint64_t n = 1; n <= 4; ++n) heavy.entries.push_back({EntryNumber(n), 10 << 20});
    CHECK(pack({&heavy, 1}, most_max_mail_size).frames.size() == 1);
}

TEST_CASE("builder: the mail of a full frame is within max-mail-size") {
    Generator generate(7);
    for (std::size_t max_mail :
         {std::size_t{1}, least_max_mail_size, std::size_t{100'000}, std::size_t{7'000'000}}) {
        INFO("max-mail-size " << max_mail);
        Frame frame;
        frame.from = generate.id<NodeId>();
        frame.to = generate.id<NodeId>();
        frame.id = generate.id<FrameId>();
        AccountSection section;
        section.account = generate.id<AccountId>();
        section.epoch = section.echo = {max_number, 1};
        NumberSet gaps;
        for (std::uint64_t n = 1; n < 50'000; ++n) gaps.add(n * 3);
        section.acks = trim(gaps, sets_room_for(max_mail) - 10);
        std::size_t chunk = chunk_size_for(max_mail);
        Entry entry = ChunkEntry{generate.id<EmailId>(), generate.sha256(), max_object_octets - chunk,
                                 max_object_octets, generate.octets(chunk)};
        PackSection wanted{section_overhead(section), {{EntryNumber(max_number), encoded_size(entry)}}};
        Packing packing = pack({&wanted, 1}, max_frame_octets(max_mail));
        REQUIRE(packing.frames.size() == 1);
        section.entries.push_back({EntryNumber(max_number), entry});
        frame.sections.push_back(section);
        std::string octets = write_frame(frame, {}, false).value();
        REQUIRE(octets.size() <= packing.frames[0].octets);

        NodeMail mail;
        mail.from = std::string(64, 'f') + "@" + std::string(185, 'd') + ".org";
        mail.to = std::string(64, 't') + "@" + std::string(185, 'd') + ".org";
        mail.message_id = node_message_id(frame.id, mail.from);
        mail.subject = std::string(200, 's');
        mail.hints.assign(max_hints, generate.id<EmailId>());
        mail.content = octets + generate.octets(openpgp_octets);
        std::string text = build_node_mail(mail).value();
        CHECK(text.size() <= std::max(max_mail, least_max_mail_size));
        // And not wastefully below: room for the sets is all that may be left.
        CHECK(chunk > max_frame_octets(max_mail) * 8 / 10);
    }
}
