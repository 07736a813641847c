// The corpus of tests/messages: every message gives the same structure however it is cut, ranges nest, and
// nothing in it, nor in 20,000 mutations of it, breaks any reader of this folder.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>

#include "mime/address.hpp"
#include "mime/charset.hpp"
#include "mime/date.hpp"
#include "mime/encoded_word.hpp"
#include "mime/fields.hpp"
#include "mime/header.hpp"
#include "mime/serialize.hpp"
#include "mime/structure.hpp"
#include "mime/transfer.hpp"
#include "support/source_dir.hpp"

using namespace fwmail::mime;

namespace {

const std::map<std::string, std::string>& corpus() {
    static const std::map<std::string, std::string> messages = [] {
        namespace fs = std::filesystem;
        std::string dir = (fs::temp_directory_path() / "fwmail-messages-XXXXXX").string();
        REQUIRE(mkdtemp(dir.data()) != nullptr);
        std::string command =
            "python3 " + fwmail::test::source_dir() + "/tests/messages/generate.py --canary CANARY " + dir;
        REQUIRE(std::system(command.c_str()) == 0);
        std::map<std::string, std::string> out;
        for (const auto& entry : fs::directory_iterator(dir)) {
            std::ifstream file(entry.path(), std::ios::binary);
            out[entry.path().stem().string()] = std::string(std::istreambuf_iterator<char>(file), {});
        }
        fs::remove_all(dir);
        return out;
    }();
    return messages;
}

void check_part(const std::string& message, const Part& part, Range within) {
    std::uint64_t end = within.offset + within.length;
    REQUIRE(part.header.offset >= within.offset);
    REQUIRE(part.header.offset + part.header.length == part.body.offset);
    REQUIRE(part.body.offset + part.body.length <= end);
    std::string_view body = std::string_view(message).substr(part.body.offset, part.body.length);
    auto lines = static_cast<std::uint64_t>(std::ranges::count(body, '\n'));
    REQUIRE(part.body_lines == lines + (!body.empty() && body.back() != '\n' ? 1 : 0));
    std::string_view header = std::string_view(message).substr(part.header.offset, part.header.length);
    if (part.body.length > 0)
        REQUIRE((header.empty() || header == "\n" || header == "\r\n" || header.ends_with("\n\n") ||
                 header.ends_with("\n\r\n")));
    std::uint64_t at = part.body.offset;
    for (const auto& child : part.children) {  // in order, and apart
        REQUIRE(child.header.offset >= at);
        check_part(message, child, part.body);
        at = child.body.offset + child.body.length;
    }
    if (part.type == "message" && !part.children.empty()) {
        REQUIRE(part.children.size() == 1);
        REQUIRE(part.children[0].header.offset == part.body.offset);
        REQUIRE(at == part.body.offset + part.body.length);
        REQUIRE(part.children[0].envelope);
    }
}

Part fed(const std::string& message, auto next_size) {
    StructureParser parser;
    for (std::size_t at = 0; at < message.size();) {
        std::size_t n = std::min<std::size_t>(next_size(), message.size() - at);
        parser.feed(std::string(message, at, n));  // a copy, so that nothing can look beyond it
        at += n;
    }
    return parser.finish();
}

// Everything that is done with a message, on any octets.
void use(const std::string& message, const Part& part) {
    std::string header = message.substr(part.header.offset, part.header.length);
    HeaderView view(header);
    std::size_t at = 0;
    for (const auto& field : view) {
        REQUIRE(field.whole.offset == at);  // fields tile the header
        at += field.whole.length;
        REQUIRE(header.substr(field.value_range.offset, field.value_range.length) == field.value);
        REQUIRE(unfold(field.value).find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos);
        REQUIRE(is_valid_utf8(decode_header(unfold(field.value))));
        auto list = parse_addresses(field.value);
        REQUIRE(list.size() <= 1000);
        for (std::string_view name : {"From", "References", "Date", "Subject"}) {
            std::string safe = sanitize_field(name, field.value);
            if (safe.empty()) continue;
            REQUIRE(safe.ends_with("\r\n"));
            REQUIRE(HeaderView(safe).fields().size() == 1);
            REQUIRE(std::ranges::all_of(
                safe, [](char c) { return c == '\r' || c == '\n' || c == '\t' || (c >= 32 && c < 127); }));
        }
        parse_date(field.value);
        parse_message_ids(field.value);
    }
    for (const auto& [name, value] : part.parameters) decode_parameter(part.parameters, name);
    decode_transfer(transfer_encoding(part.encoding),
                    std::string_view(message).substr(part.body.offset,
                                                     std::min<std::uint64_t>(part.body.length, 100'000)));
    for (const auto& child : part.children) use(message, child);
}

}  // namespace

TEST_CASE("the corpus is what it says") {
    REQUIRE(corpus().size() >= 60);
    for (const auto& [name, message] : corpus())
        if (name != "zero_octets" && name != "only_newlines")
            CHECK(message.find("CANARY") != std::string::npos);
    CHECK(corpus().at("attachment_25mb").size() > 25'000'000);
    CHECK(corpus().at("zero_octets").empty());

    auto structure = [](const char* name) { return parse_structure(corpus().at(name)); };
    CHECK(structure("bounce").children.size() == 3);
    CHECK(structure("bounce").children[1].subtype == "delivery-status");
    CHECK(structure("newsletter").children.at(1).children.size() == 2);
    CHECK(structure("boundary_missing").type == "text");
    CHECK(structure("boundary_prefix").children.size() == 2);
    CHECK(structure("boundary_padding").children.size() == 2);
    CHECK(structure("boundary_not_final").children.size() == 2);
    CHECK(structure("rfc2231").children.at(0).subtype == "pdf");
    CHECK(structure("giant_header").subtype == "html");
    CHECK(structure("huge_header").type == "text");
    CHECK(structure("no_header").header.length == 0);
    CHECK(structure("multipart_empty").type == "multipart");
    CHECK(structure("many_parts").children.size() == 9'999);
    CHECK(structure("trailing_garbage").children.size() == 2);
    Part p = structure("nested_messages");
    const Part* at = &p;
    for (int i = 0; i < 5; ++i) at = &at->children.at(1).children.at(0);
    CHECK(at->envelope->subject == "CANARY innermost");
    int levels = 0;
    p = structure("multipart_20_levels");
    for (at = &p; at->is_multipart(); at = &at->children.at(0)) ++levels;
    CHECK(levels == 20);
}

TEST_CASE("ranges nest and tile, structures survive the store") {
    for (const auto& [name, message] : corpus()) {
        INFO(name);
        Part part = parse_structure(message);
        check_part(message, part, {0, message.size()});
        REQUIRE(part.header.offset == 0);
        REQUIRE(part.body.offset + part.body.length == message.size());
        auto back = parse_part(write_part(part));
        REQUIRE(back);
        REQUIRE(*back == part);
        use(message, part);
    }
}

TEST_CASE("a structure does not depend on how the octets come") {
    std::mt19937 random(4711);
    for (const auto& [name, message] : corpus()) {
        INFO(name);
        Part whole = parse_structure(message);
        if (message.size() < 3'000'000) REQUIRE(fed(message, [] { return std::size_t{1}; }) == whole);
        for (std::size_t most : {3u, 50u, 700u, 60'000u}) {
            if (message.size() / most > 3'000'000) continue;
            REQUIRE(fed(message, [&] { return 1 + random() % most; }) == whole);
        }
    }
}

TEST_CASE("mutations of the corpus break nothing") {
    std::vector<std::string> seeds;
    for (const auto& [name, message] : corpus())
        if (message.size() < 20'000) seeds.push_back(message);
    REQUIRE(seeds.size() > 50);
    constexpr unsigned seed = 20260301;
    INFO("seed " << seed);
    std::mt19937 random(seed);
    const std::string special = std::string("\r\n\0\t -=?\"\\()<>@,:;/%*'\xff\xc3", 24);
    for (int i = 0; i < 20'000; ++i) {
        std::string m = seeds[random() % seeds.size()];
        for (unsigned n = 1 + random() % 8; n > 0 && !m.empty(); --n) {
            std::size_t at = random() % m.size(), length = random() % 40;
            switch (random() % 6) {
                case 0:
                    m[at] = static_cast<char>(random());
                    break;
                case 1:
                    m[at] = special[random() % special.size()];
                    break;
                case 2:
                    m.erase(at, length);
                    break;
                case 3:
                    m.insert(random() % m.size(), m.substr(at, length));
                    break;
                case 4:
                    m.insert(at, length, special[random() % special.size()]);
                    break;
                case 5:
                    m.resize(at);
                    break;
            }
        }
        Part part = parse_structure(m);
        check_part(m, part, {0, m.size()});
        if (i % 4 == 0) REQUIRE(fed(m, [&] { return 1 + random() % 30; }) == part);
        if (i % 10 == 0) use(m, part);
        std::string stored = write_part(part);
        if (i % 4 == 1) {  // damaged in the store: an error or another tree, never a crash
            stored[random() % stored.size()] = static_cast<char>(random());
            if (random() % 2) stored.resize(random() % stored.size());
            auto back = parse_part(stored);
            if (back) REQUIRE(parse_part(write_part(*back)) == *back);
        } else {
            REQUIRE(parse_part(stored) == part);
        }
    }
}
