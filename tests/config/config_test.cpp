#include "config/config.hpp"

#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>

#include "config/table.hpp"

using namespace fwmail;
using namespace fwmail::config;
using Catch::Matchers::Contains;

namespace {

std::string error_of(std::string_view text, std::vector<std::string> arguments = {},
                     RoleBits role = role_core) {
    auto config = Config::parse(role, text, "a.conf", arguments);
    return config ? "no error" : config.error().text;
}

const std::string minimal = "data-dir = /srv/mail\n";

}  // namespace

TEST_CASE("values of every type, fallbacks, lists and named sections") {
    auto config = Config::parse(role_core,
                                "# comment\n"
                                "data-dir = data   # relative\r\n"
                                "domain = a.example\ndomain = b.example\n"
                                "[imap]\nlisten = 127.0.0.1:143\nlisten = [::1]:1143\nmax-connections=7\n"
                                "[smtp]\nmax-message-size = 5M\n"
                                "[poll]\ninterval = 2m\n"
                                "[smarthost]\naddress = mail.example:587\ntls = required\n"
                                "[link.office]\nnext-hop = 10.0.0.1:25\n"
                                "[link.home]\n",
                                "/etc/fwmail/core.conf");
    if (!config) FAIL(config.error().text);
    CHECK(config->path("data-dir") == "/etc/fwmail/data");
    CHECK(config->list("domain") == std::vector<std::string>{"a.example", "b.example"});
    CHECK(config->host_ports("imap.listen") == std::vector<HostPort>{{"127.0.0.1", 143}, {"::1", 1143}});
    CHECK(config->host_ports("imap.listen-tls").empty());
    CHECK(config->count("imap.max-connections") == 7);
    CHECK(config->octets("smtp.max-message-size") == 5u << 20);
    CHECK(config->octets("replicate.max-mail-size") == 7u << 20);
    CHECK(config->duration("poll.interval") == std::chrono::minutes(2));
    CHECK(config->duration("smtp.queue-lifetime") == std::chrono::days(5));
    CHECK(config->host_port("smarthost.address") == HostPort{"mail.example", 587});
    CHECK(config->text("smarthost.tls") == "required");
    CHECK(config->text("log-level") == "info");
    CHECK(config->names("link") == std::vector<std::string>{"office", "home"});
    CHECK(config->text("link.office.tls") == "opportunistic");
    CHECK(config->host_port("link.home.next-hop") == HostPort{});
    CHECK(config->is_set("link.office.next-hop"));
    CHECK_FALSE(config->is_set("link.home.next-hop"));
    CHECK_THROWS_AS(config->text("no-such"), std::logic_error);
    CHECK_THROWS_AS(config->octets("data-dir"), std::logic_error);
    CHECK_THROWS_AS(config->text("domain"), std::logic_error);
}

TEST_CASE("the command line replaces the file") {
    auto config = Config::parse(role_core, minimal + "[imap]\nlisten = *:143\nlisten = *:144\n", "a.conf",
                                {"--imap.listen", "127.0.0.1:0", "--poll.interval=5s", "--link.x.tls", "none",
                                 "--tls.key", "here.pem", "--smarthost.user", ""});
    if (!config) FAIL(config.error().text);
    CHECK(config->host_ports("imap.listen") == std::vector<HostPort>{{"127.0.0.1", 0}});
    CHECK(config->duration("poll.interval") == std::chrono::seconds(5));
    CHECK(config->names("link") == std::vector<std::string>{"x"});
    CHECK(config->text("link.x.tls") == "none");
    CHECK(config->path("tls.key") == "here.pem");
    CHECK(Config::parse(role_core, "", {}, {"--data-dir", "/x"}).has_value());
}

TEST_CASE("mistakes are named with place and remedy") {
    CHECK_THAT(error_of(minimal + "[imap]\nlistn = *:143\n"),
               Contains("a.conf:3") && Contains("'imap.listn'") && Contains("did you mean 'imap.listen'?"));
    CHECK_THAT(error_of("data-dri = /x\n"), Contains("a.conf:1") && Contains("'data-dir'"));
    CHECK_THAT(error_of(minimal + "max-recipients = 5\n"), Contains("did you mean 'smtp.max-recipients'?"));
    CHECK_THAT(error_of(minimal + "[link.office]\nnexthop = a:1\n"),
               Contains("did you mean 'link.office.next-hop'?"));
    CHECK_THAT(error_of(minimal + "[imapp]\n"), Contains("a.conf:2") && Contains("[imap]"));
    CHECK_THAT(error_of(minimal + "[link]\n"), Contains("unknown section [link]"));
    CHECK_THAT(error_of(minimal + "[link.a b]\n"), Contains("unknown section"));
    CHECK_THAT(error_of(minimal + "[smtp]\nmax-message-size = 10X\n"),
               Contains("a.conf:3") && Contains("smtp.max-message-size") && Contains("'10X' is not a size"));
    CHECK_THAT(error_of(minimal + "[poll]\ninterval = 60\n"), Contains("a number and a unit"));
    CHECK_THAT(error_of(minimal + "[imap]\nlisten = ::1:143\n"), Contains("not host:port"));
    CHECK_THAT(error_of(minimal + "[imap]\nlisten = a:65536\n"), Contains("not host:port"));
    CHECK_THAT(error_of(minimal + "[smarthost]\ntls = maybe\n"),
               Contains("none opportunistic required implicit"));
    CHECK_THAT(error_of(minimal + "\n" + minimal), Contains("a.conf:3") && Contains("line 1"));
    CHECK_THAT(error_of("[imap]\n"), Contains("'data-dir' is missing"));
    CHECK_THAT(error_of("data-dir =\n"), Contains("a.conf:1") && Contains("missing"));
    CHECK_THAT(error_of(minimal + "words\n"), Contains("a.conf:2") && Contains("neither"));
    CHECK_THAT(error_of(minimal + "= x\n"), Contains("neither"));
    CHECK_THAT(error_of(minimal, {"--imap.listn", "x:1"}),
               Contains("--imap.listn") && Contains("imap.listen"));
    CHECK_THAT(error_of(minimal, {"stray"}), Contains("'stray' is not an option"));
    CHECK_THAT(error_of(minimal, {"--poll.interval", "1s", "--poll.interval", "2s"}), Contains("twice"));
    CHECK_THAT(error_of(minimal, {"--poll.interval"}), Contains("poll.interval"));
    CHECK_THAT(error_of(minimal + "[poll]\ninterval = 1s\n", {}, role_remote), Contains("[poll]"));
    CHECK_THAT(error_of(minimal + "[replicate]\nhorizon = 1d\n", {}, role_remote), Contains("one of core"));
    CHECK_THAT(error_of(minimal + "log-file = " + std::string(5000, 'x') + "\n"), Contains("too long"));
    CHECK_THAT(error_of(minimal + "host-name = a\x01b\n"), Contains("control character"));
    CHECK(error_of("\xEF\xBB\xBF" + minimal) == "no error");
}

TEST_CASE("single values") {
    CHECK(parse_octets("0") == 0u);
    CHECK(parse_octets("2G") == 2ull << 30);
    CHECK_FALSE(parse_octets("99999999999G"));
    CHECK_FALSE(parse_octets("-1"));
    CHECK_FALSE(parse_octets("k"));
    CHECK(parse_duration("0") == std::chrono::seconds(0));
    CHECK(parse_duration("12h") == std::chrono::hours(12));
    CHECK_FALSE(parse_duration("999999999d"));
    CHECK_FALSE(parse_duration("1.5h"));
    CHECK(parse_boolean("Yes") == true);
    CHECK_FALSE(parse_boolean("ja"));
    for (const char* text : {"mail.example:25", "[2001:db8::1]:25", "*:0"}) {
        auto parsed = parse_host_port(text);
        REQUIRE(parsed);
        CHECK(parsed->text() == text);
    }
    for (const char* text : {"", ":", ":25", "a", "a:", "a:x", "[::1:1", "[]:1", "**:1", "a b:1", "a:-1"})
        CHECK_FALSE(parse_host_port(text));
}

TEST_CASE("what is written reads back") {
    for (RoleBits role : {role_core, role_remote}) {
        Values values{{"data-dir", "/srv/mail"},
                      {"domain", "a.example"},
                      {"domain", "b.example"},
                      {"imap.listen", "*:1143"},
                      {"smarthost.address", "mail.example:25"},
                      {"link.office.next-hop", "10.0.0.1:25"}};
        std::string text = write_commented_config(role, values);
        auto config = Config::parse(role, text, "a.conf");
        if (!config) FAIL(config.error().text + "\n" + text);
        CHECK(config->list("domain").size() == 2);
        CHECK(config->host_ports("imap.listen").at(0).port == 1143);
        CHECK(config->names("link") == std::vector<std::string>{"office"});
        CHECK_FALSE(config->is_set("log-level"));
        for (const Option& option : all_options())
            if (option.roles & role) CHECK_THAT(text, Contains(std::string(option.help)));
        // Without its comment sign each commented line with a value is right too.
        std::string open;
        for (std::size_t i = 0; i < text.size(); ++i)
            if (!(text[i] == '#' && (i == 0 || text[i - 1] == '\n') && i + 1 < text.size() &&
                  text[i + 1] != ' '))
                open += text[i];
        auto all = Config::parse(role, open, "a.conf");
        if (!all) FAIL(all.error().text + "\n" + open);
        CHECK(all->is_set("log-level"));
    }
}

TEST_CASE("the table itself is sound") {
    std::vector<std::string> names;
    for (const Option& option : all_options()) {
        names.push_back(full_name(option));
        CHECK_FALSE(option.help.empty());
        CHECK(option.help.back() != '.');
        CHECK(option.choices.empty() == (option.type != OptionType::choice));
    }
    std::ranges::sort(names);
    CHECK(std::ranges::adjacent_find(names) == names.end());
}

TEST_CASE("a file is loaded from disk") {
    std::string path = "/tmp/fwmail-config-test-" + std::to_string(getpid());
    std::ofstream(path) << minimal;
    CHECK(Config::load(role_core, {"--config", path})->path("data-dir") == "/srv/mail");
    CHECK(Config::load(role_core, {"--config=" + path, "--data-dir", "/y"})->path("data-dir") == "/y");
    unlink(path.c_str());
    auto missing = Config::load(role_core, {"--config", path});
    REQUIRE_FALSE(missing);
    CHECK_THAT(missing.error().text, Contains(path) && Contains("cannot be read"));
    CHECK_FALSE(Config::load(role_core, {"--config"}));
}
