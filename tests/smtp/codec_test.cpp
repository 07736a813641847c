// Replies, paths, transparency.
#include <catch2/catch.hpp>
#include <random>

#include "mime/dot_stuffing.hpp"
#include "smtp/path.hpp"
#include "smtp/reply.hpp"
#include "support/crlf.hpp"

using namespace fwmail;
using namespace fwmail::smtp;
using namespace fwmail::mime;

namespace {

struct Stuffed {
    std::string wire;
    bool added;
};

Stuffed stuff(std::string_view message, std::size_t split) {
    DotStuffer stuffer;
    std::string wire = stuffer.add(message.substr(0, split)) + stuffer.add(message.substr(split));
    wire += stuffer.finish();
    return {wire, stuffer.added_line_ending()};
}

struct Unstuffed {
    std::string message;
    std::size_t used;
    bool done, dangerous, bare;
    auto operator<=>(const Unstuffed&) const = default;
};

Unstuffed unstuff(std::string_view wire, std::size_t split) {
    DotUnstuffer unstuffer;
    std::string out;
    std::size_t used = unstuffer.add(wire.substr(0, split), out);
    if (used == split) used += unstuffer.add(wire.substr(split), out);
    return {out, used, unstuffer.done(), unstuffer.dangerous(), unstuffer.has_bare_ending()};
}

}  // namespace

TEST_CASE("unstuffing, split everywhere") {
    using namespace std::string_literals;
    struct Case {
        std::string wire, message;
        bool done, dangerous;
        std::size_t left = 0;
    };
    const Case cases[] = {
        {".\r\n", "", true, false},
        {".\r\nQUIT\r\n", "", true, false, 6},
        {"a\r\n.\r\n.\r\n", "a\r\n", true, false, 3},
        {"..\r\n.\r\n", ".\r\n", true, false},
        {"...a\r\n.b\r\n.\r\n", "..a\r\nb\r\n", true, false},
        {"a\r\r\n.\r\n", "a\r\r\n", true, false},
        {"a\0b\r\n.\r\n"s, "a\0b\r\n"s, true, false},
        // what some servers take for the end, and we must not
        {"a\n.\nb\r\n.\r\n", "a\n.\nb\r\n", true, true},
        {"a\n.\r\nb\r\n.\r\n", "a\n.\r\nb\r\n", true, true},
        {"a\r.\rb\r\n.\r\n", "a\r.\rb\r\n", true, true},
        {"a\r.\r\nb\r\n.\r\n", "a\r.\r\nb\r\n", true, true},
        {"a\r.\nb\r\n.\r\n", "a\r.\nb\r\n", true, true},
        {"a\n.\rb\r\n.\r\n", "a\n.\rb\r\n", true, true},
        {"a\r\n.\nb\r\n.\r\n", "a\r\n\nb\r\n", true, true},
        {"a\r\n.\rb\r\n.\r\n", "a\r\n\rb\r\n", true, true},
        {"a\r\n.\r\r\n.\r\n", "a\r\n\r\r\n", true, true},
        {".\n.\r\n", "\n.\r\n", false, true},
        // and what is only odd
        {"a\n.b\r\n.\r\n", "a\n.b\r\n", true, false},
        {"a\n..\r\n.\r\n", "a\n..\r\n", true, false},
        {"a\n\n\r\n.\r\n", "a\n\n\r\n", true, false},
        {"a\r\n\0.\r\n.\r\n"s, "a\r\n\0.\r\n"s, true, false},
        {"a\r\n.\r", "a\r\n", false, false},
    };
    for (const Case& c : cases)
        for (std::size_t split = 0; split <= c.wire.size(); ++split) {
            INFO(c.wire << " at " << split);
            Unstuffed result = unstuff(c.wire, split);
            REQUIRE(result.message == c.message);
            REQUIRE(result.done == c.done);
            REQUIRE(result.dangerous == c.dangerous);
            REQUIRE(result.used == c.wire.size() - c.left);
        }
}

TEST_CASE("what goes out has no bare CR and no bare LF, and ends where it ends") {
    // Every message of up to 6 octets over the alphabet that matters.
    constexpr std::string_view alphabet = ".\r\na";
    for (std::size_t length = 0; length <= 6; ++length) {
        std::size_t count = std::size_t(1) << (2 * length);
        for (std::size_t n = 0; n < count; ++n) {
            std::string message;
            for (std::size_t i = 0; i < length; ++i) message += alphabet[(n >> (2 * i)) & 3];
            Stuffed stuffed = stuff(message, length / 2);
            Unstuffed back = unstuff(stuffed.wire, stuffed.wire.size() / 2);
            bool same =
                back.done && back.used == stuffed.wire.size() && back.message == testing::crlf_only(message);
            bool harmless = !back.bare && !back.dangerous;
            bool ended = stuffed.added == !(message.empty() || message.ends_with("\n"));
            if (same && harmless && ended) continue;
            INFO(n << " of length " << length);
            REQUIRE(same);
            REQUIRE(harmless);
            REQUIRE(ended);
        }
    }
}

TEST_CASE("stuffing, split everywhere") {
    std::mt19937 random(7);
    for (int round = 0; round < 2000; ++round) {
        std::string message;
        for (unsigned i = random() % 12; i > 0; --i) message += ".\r\nab"[random() % 5];
        std::string once = stuff(message, message.size()).wire;
        for (std::size_t split = 0; split < message.size(); ++split)
            REQUIRE(stuff(message, split).wire == once);
    }
}

TEST_CASE("a bare CR makes no line") {
    CHECK(stuff("Subject: a\rBcc: b\r\n", 11).wire == "Subject: a Bcc: b\r\n.\r\n");
    CHECK(stuff("Subject: a\r\r\nTo: b\r\n", 11).wire == "Subject: a \r\nTo: b\r\n.\r\n");
    CHECK(stuff("a\n.\nb", 2).wire == "a\r\n..\r\nb\r\n.\r\n");
}

TEST_CASE("paths") {
    auto text = [](std::string_view in, PathKind kind = PathKind::reverse) -> std::string {
        auto parsed = parse_path_argument(in, kind);
        return parsed ? '<' + parsed->path.text() + '>'
                      : std::string(parsed.error().kind == ErrorKind::refused ? "8bit" : "bad");
    };
    CHECK(text("<a@b.example>") == "<a@b.example>");
    CHECK(text("  <a@b.example>") == "<a@b.example>");
    CHECK(text("<>") == "<>");
    CHECK(text("<>", PathKind::forward) == "bad");
    CHECK(text("<postMASTER>", PathKind::forward) == "<postMASTER>");
    CHECK(text("<postmaster>") == "bad");
    CHECK(text("<other>", PathKind::forward) == "bad");
    CHECK(text("<@a.example,@b.example:c@d.example>") == "<c@d.example>");
    CHECK(text("<@a.example,b.example:c@d.example>") == "bad");
    CHECK(text("<\"a b\"@c.example>") == "<\"a b\"@c.example>");
    CHECK(text("<\"ab\"@c.example>") == "<ab@c.example>");
    CHECK(text("<\"a\\\"\\\\\"@c.example>") == "<\"a\\\"\\\\\"@c.example>");
    CHECK(text("<\"a>\"@c.example>") == "<\"a>\"@c.example>");
    CHECK(text("<\"\"@c.example>") == "bad");
    CHECK(text("<a..b.@c.example>") == "<\"a..b.\"@c.example>");
    CHECK(text("<a@[IPv6:2001:db8::1]>") == "<a@[IPv6:2001:db8::1]>");
    CHECK(text("<a@[1.2.3.4>]>") == "bad");
    CHECK(text("<a@b.example.>") == "<a@b.example>");
    CHECK(text("<a@-b.example>") == "bad");
    CHECK(text("<a@b@c>") == "bad");
    CHECK(text("<a b@c>") == "bad");
    CHECK(text("<a@b>x") == "bad");
    CHECK(text("<a@b.example") == "bad");
    CHECK(text("") == "bad");
    CHECK(text("<\xc3\xa4@b.example>") == "<\xc3\xa4@b.example>");
    CHECK(text("<a@b\xc3\xa4.example>") == "<a@b\xc3\xa4.example>");
    CHECK(parse_address("\xc3\xa4@b.example").error().kind == ErrorKind::refused);
    CHECK(parse_address("\xc3\xa4@b.example", Charset::utf8).value().local == "\xc3\xa4");
    for (const char* no : {"<\xe4@b.example>", "<a@\xc3.example>", "<\xc2\x80@b.example>"})
        CHECK(text(no) == "bad");
    CHECK(text('<' + std::string(64, 'a') + "@b>") == '<' + std::string(64, 'a') + "@b>");
    CHECK(text('<' + std::string(65, 'a') + "@b>") == "bad");
    std::string label(63, 'd');
    CHECK(text("<a@" + label + '.' + label + '.' + label + ".com>").starts_with("<a@"));
    CHECK(text("<aaaaaaaa@" + label + '.' + label + '.' + label + '.' + label + ">") == "bad");
    CHECK(text("<a@" + label + "d.com>") == "bad");

    auto parsed = parse_path_argument("<a@b> SIZE=5  body=8BITMIME flag", PathKind::reverse);
    REQUIRE(parsed);
    CHECK(parsed->parameters == Parameters{{"SIZE", "5"}, {"BODY", "8BITMIME"}, {"FLAG", std::nullopt}});
    CHECK_FALSE(parse_path_argument("<a@b> SIZE=5 size=6", PathKind::reverse));
    CHECK_FALSE(parse_path_argument("<a@b> SIZE=", PathKind::reverse));
    CHECK_FALSE(parse_path_argument("<a@b> =5", PathKind::reverse));
    std::string many = "<a@b>";
    for (int i = 0; i < 33; ++i) many += " P" + std::to_string(i);
    CHECK_FALSE(parse_path_argument(many, PathKind::reverse));

    CHECK(parse_address("a@b.example").value() == Path{"a", "b.example"});
    CHECK_FALSE(parse_address("a@b.example "));
    CHECK_FALSE(parse_address("postmaster"));
    CHECK_FALSE(parse_address(""));
}

TEST_CASE("replies, split everywhere") {
    std::string wire =
        "250-2.1.0 one\r\n250-2.1.0 two\n250 \r\n354\r\n550 5.1.1 no\r\n250 5.1.1 not a status here\r\n";
    std::vector<Reply> expected = {{250, {2, 1, 0}, "one\ntwo\n"},
                                   {354, {}, ""},
                                   {550, {5, 1, 1}, "no"},
                                   {250, {}, "5.1.1 not a status here"}};
    for (std::size_t split = 0; split <= wire.size(); ++split) {
        ReplyParser parser;
        std::vector<Reply> found;
        for (auto part : {std::string_view(wire).substr(0, split), std::string_view(wire).substr(split)}) {
            parser.add(part);
            for (auto reply = parser.next(); *reply; reply = parser.next()) found.push_back(**reply);
        }
        REQUIRE(found == expected);
        REQUIRE_FALSE(parser.has_leftover());
    }
}

TEST_CASE("what is no reply is refused, and endless ones are bounded") {
    auto fails = [](std::string_view wire) {
        ReplyParser parser;
        parser.add(wire);
        auto reply = parser.next();
        return !reply && !parser.next();
    };
    CHECK(fails("hello\r\n"));
    CHECK(fails("\r\n"));
    CHECK(fails("25 x\r\n"));
    CHECK(fails("250x\r\n"));
    CHECK(fails("199 x\r\n"));
    CHECK(fails("699 x\r\n"));
    CHECK(fails("250-a\r\n251 b\r\n"));
    CHECK(fails("250 " + std::string(5000, 'x')));
    std::string endless, large;
    for (int i = 0; i < 101; ++i) endless += "250-x\r\n";
    CHECK(fails(endless));
    for (int i = 0; i < 20; ++i) large += "250-" + std::string(4000, 'x') + "\r\n";
    CHECK(fails(large));
    CHECK_FALSE(fails("250-a\r\n250 b\r\n"));
}

TEST_CASE("replies written") {
    CHECK(write_reply({250, {2, 0, 0}, "ok"}) == "250 2.0.0 ok\r\n");
    CHECK(write_reply({250, {}, "a\nb\nc"}) == "250-a\r\n250-b\r\n250 c\r\n");
    CHECK(write_reply({550, {5, 7, 1}, "evil\r250 ok\tand\xff"}) == "550 5.7.1 evil?250 ok?and?\r\n");
    CHECK(write_reply({250, {}, std::string(2000, 'x')}).size() < 512);
}
