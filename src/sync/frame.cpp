#include "sync/frame.hpp"

#include <algorithm>
#include <set>

#include "base/compress.hpp"

namespace fwmail::sync {

namespace {

constexpr std::string_view magic = "FWMF";
enum class Coding : std::uint8_t { plain = 0, zstd = 1 };
// What a section may have.
constexpr std::uint64_t part_digests = 1, part_compared = 2;
// Below this, compression saves nothing worth the work.
constexpr std::size_t least_to_compress = 128;
// Times lie within 48 bits, as in hybrid clocks.
constexpr std::int64_t last_time = (1ll << 48) - 1;

std::unexpected<Error> bad(std::string what) {
    return fail(ErrorKind::protocol, "frame: " + std::move(what));
}

Result<void> validate_set(const NumberSet& set, const FrameLimits& limits) {
    if (set.empty()) return {};
    if (set.list().front().first == 0 || set.list().back().last > max_number)
        return bad("a number is out of range");
    if (set.list().size() > limits.intervals) return bad("a set of numbers is too long");
    return {};
}

Result<void> validate_digests(const Digests& digests, const FrameLimits& limits) {
    if (digests.sent > max_number || digests.applied > max_number) return bad("a number is out of range");
    if (digests.since < earliest_date || digests.since > latest_date)
        return bad("digests do not begin at a date");
    if (digests.list.size() > limits.digests) return bad("too many digests");
    const auto& list = digests.list;
    auto descends = [](const auto& a, const auto& b) { return a.mailbox >= b.mailbox; };
    if (std::ranges::adjacent_find(list, descends) != list.end()) return bad("digests do not ascend");
    return {};
}

Result<void> validate_section(const AccountSection& section, const FrameLimits& limits) {
    if (section.epoch.is_none()) return bad("a section without an epoch");
    if (section.epoch.counter > max_number || section.echo.counter > max_number)
        return bad("an epoch is out of range");
    if (section.life.start.value < 0 || section.life.start.value > last_time)
        return bad("a life does not begin at a time");
    if (section.first.value == 0 || section.first.value > max_number) return bad("a number is out of range");
    TRY(validate_set(section.acks, limits));
    TRY(validate_set(section.voids, limits));
    if (section.digests) TRY(validate_digests(*section.digests, limits));
    if (section.compared &&
        (section.compared->digests > max_number || section.compared->differing > section.compared->digests))
        return bad("what was compared is no number");
    EntryNumber before;
    for (const auto& [number, entry] : section.entries) {
        if (number <= before || number.value > max_number) return bad("entry numbers do not ascend");
        before = number;
    }
    return {};
}

// What holds for a frame beyond its single entries.
Result<void> validate_frame(const Frame& frame, const FrameLimits& limits) {
    if (frame.version != frame_version)
        return fail(ErrorKind::refused, "frame: of another version; update fwmail");
    if (frame.from.is_zero() || frame.to.is_zero() || frame.from == frame.to)
        return bad("the nodes are not two");
    if (frame.id.is_zero()) return bad("no id");
    if (frame.created.value < 0 || frame.created.value > last_time) return bad("not a time");
    if (frame.sections.size() > limits.sections) return bad("too many sections");
    std::set<AccountId> accounts;
    std::size_t entries = 0;
    for (const auto& section : frame.sections) {
        if (!accounts.insert(section.account).second) return bad("an account stands twice");
        entries += section.entries.size();
        if (entries > limits.entries) return bad("too many entries");
        TRY(validate_section(section, limits));
    }
    return {};
}

void write_epoch(Writer& out, const Epoch& epoch) {
    out.varint(epoch.counter);
    out.fixed64(epoch.random);
}

Result<Epoch> read_epoch(Reader& in) {
    Epoch epoch;
    epoch.counter = TRY(in.varint(max_number));
    epoch.random = TRY(in.fixed64());
    return epoch;
}

void write_digests(Writer& out, const Digests& digests) {
    out.varint(digests.sent);
    out.varint(digests.applied);
    out.zigzag(digests.since.value);
    out.varint(digests.list.size());
    for (const auto& one : digests.list) {
        out.id(one.mailbox);
        out.sha256(one.sha256);
    }
}

Result<Digests> read_digests(Reader& in, const FrameLimits& limits) {
    Digests digests;
    digests.sent = TRY(in.varint(max_number));
    digests.applied = TRY(in.varint(max_number));
    digests.since = UnixMillis(TRY(in.zigzag(earliest_date.value, latest_date.value)));
    std::uint64_t count = TRY(in.varint(limits.digests));
    if (count > in.remaining() / digest_octets) return bad("too many digests");
    digests.list.resize(count);
    for (auto& one : digests.list) {
        one.mailbox = TRY(in.id<MailboxIdTag>());
        one.sha256 = TRY(in.sha256());
    }
    return digests;
}

Result<void> write_section(Writer& meta, Writer& data, const AccountSection& section) {
    meta.id(section.account);
    write_epoch(meta, section.epoch);
    write_epoch(meta, section.echo);
    meta.varint(static_cast<std::uint64_t>(section.life.start.value));
    meta.fixed64(section.life.random);
    meta.varint(section.first.value);
    meta.varint(section.lost);
    meta.varint((section.digests ? part_digests : 0) | (section.compared ? part_compared : 0));
    if (section.digests) write_digests(meta, *section.digests);
    if (section.compared) {
        meta.varint(section.compared->digests);
        meta.varint(section.compared->differing);
    }
    meta.numbers(section.acks);
    meta.numbers(section.voids);
    meta.varint(section.entries.size());
    std::uint64_t before = 0;
    for (const auto& [number, entry] : section.entries) {
        TRY(validate(entry));
        meta.varint(number.value - before - 1);
        before = number.value;
        write_entry(meta, data, entry);
    }
    meta.octets({});  // additions of later versions
    return {};
}

Result<void> read_additions(Reader& in, std::size_t max) {
    Reader additions(TRY(in.octets(max)));
    return additions.extensions();
}

Result<AccountSection> read_section(Reader& meta, Reader& data, const FrameLimits& limits,
                                    std::size_t& entries_left) {
    AccountSection section;
    section.account = TRY(meta.id<AccountIdTag>());
    section.epoch = TRY(read_epoch(meta));
    section.echo = TRY(read_epoch(meta));
    section.life.start = UnixMillis(static_cast<std::int64_t>(TRY(meta.varint(last_time))));
    section.life.random = TRY(meta.fixed64());
    section.first = EntryNumber(TRY(meta.varint(max_number)));
    section.lost = TRY(meta.boolean());
    auto parts = TRY(meta.varint(part_digests | part_compared));
    if (parts & part_digests) section.digests = TRY(read_digests(meta, limits));
    if (parts & part_compared) {
        auto& compared = section.compared.emplace();
        compared.digests = TRY(meta.varint(max_number));
        compared.differing = TRY(meta.varint(max_number));
    }
    section.acks = TRY(meta.numbers(limits.intervals));
    section.voids = TRY(meta.numbers(limits.intervals));
    std::uint64_t count = TRY(meta.varint());
    if (count > entries_left) return bad("too many entries");
    entries_left -= count;
    std::uint64_t before = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
        if (before == max_number) return bad("a number is out of range");
        before += 1 + TRY(meta.varint(max_number - before - 1));
        section.entries.push_back({EntryNumber(before), TRY(read_entry(meta, data))});
    }
    TRY(read_additions(meta, limits.meta_octets));
    return section;
}

// The metadata block: plain, or expanded into `expanded`.
Result<std::string_view> read_meta(Reader& in, const FrameLimits& limits, std::string& expanded) {
    std::uint8_t coding = TRY(in.byte());
    std::string_view block = TRY(in.octets(limits.meta_octets));
    switch (static_cast<Coding>(coding)) {
        case Coding::plain:
            return block;
        case Coding::zstd:
            expanded = TRY(zstd_decompress(block, limits.meta_octets));
            return expanded;
    }
    return fail(ErrorKind::refused,
                "frame: compressed in a way that this version does not know; update fwmail");
}

Error in_frame(Error error) {
    if (!error.text.starts_with("frame: ")) error.text.insert(0, "frame: ");
    return error;
}

Result<Frame> parse(std::string_view octets, const FrameLimits& limits) {
    if (octets.size() > limits.octets) return bad("too large");
    Reader in(octets);
    if (TRY(in.raw(magic.size())) != magic) return bad("not a frame");
    Frame frame;
    frame.version = TRY(in.varint());
    if (frame.version != frame_version)
        return fail(ErrorKind::refused,
                    "frame: of version " + std::to_string(frame.version) + "; update fwmail");
    frame.from = TRY(in.id<NodeIdTag>());
    frame.to = TRY(in.id<NodeIdTag>());
    frame.id = TRY(in.id<FrameIdTag>());
    frame.created = UnixMillis(static_cast<std::int64_t>(TRY(in.varint(last_time))));
    TRY(read_additions(in, limits.meta_octets));

    std::string expanded;
    Reader meta(TRY(read_meta(in, limits, expanded)));
    Reader data(TRY(in.octets(limits.octets)));
    if (!in.at_end()) return bad("octets follow it");

    std::uint64_t sections = TRY(meta.varint());
    if (sections > limits.sections) return bad("too many sections");
    std::size_t entries_left = limits.entries;
    for (std::uint64_t i = 0; i < sections; ++i)
        frame.sections.push_back(TRY(read_section(meta, data, limits, entries_left)));
    if (!meta.at_end() || !data.at_end()) return bad("octets follow its entries");
    TRY(validate_frame(frame, limits));
    return frame;
}

}  // namespace

Result<std::string> write_frame(const Frame& frame, const FrameLimits& limits, bool compress) {
    TRY(validate_frame(frame, limits));
    Writer meta, data;
    meta.varint(frame.sections.size());
    for (const auto& section : frame.sections)
        if (auto written = write_section(meta, data, section); !written)
            return fail(in_frame(written.error()));
    if (meta.size() > limits.meta_octets) return bad("too much metadata");

    Writer out;
    out.raw(magic);
    out.varint(frame.version);
    out.id(frame.from);
    out.id(frame.to);
    out.id(frame.id);
    out.varint(static_cast<std::uint64_t>(frame.created.value));
    out.octets({});  // additions of later versions
    std::string packed;
    if (compress && meta.size() >= least_to_compress) packed = zstd_compress(meta.text());
    bool pays = !packed.empty() && packed.size() < meta.size();
    out.byte(std::to_underlying(pays ? Coding::zstd : Coding::plain));
    out.octets(pays ? packed : meta.text());
    out.octets(data.text());
    if (out.size() > limits.octets) return bad("too large");
    return std::move(out).text();
}

Result<Frame> parse_frame(std::string_view octets, const FrameLimits& limits) {
    auto frame = parse(octets, limits);
    if (!frame) return fail(in_frame(std::move(frame).error()));
    return frame;
}

std::size_t section_overhead(const AccountSection& section) {
    Writer out;
    out.numbers(section.acks);
    out.numbers(section.voids);
    std::size_t digests = section.digests ? 2 * 9 + 7 + 3 + section.digests->list.size() * digest_octets : 0;
    std::size_t compared = section.compared ? 2 * 9 : 0;
    // Account, two epochs, life, first number, whether it is lost, which parts it has, number of entries,
    // additions.
    return out.size() + digests + compared + 16 + 2 * (9 + 8) + (7 + 8) + 9 + 1 + 1 + 3 + 1;
}

}  // namespace fwmail::sync
