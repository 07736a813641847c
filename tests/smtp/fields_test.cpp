// Trace fields, the stripper of FWMail- fields, notifications, the retry schedule.
#include <catch2/catch.hpp>
#include <random>

#include "smtp/backoff.hpp"
#include "smtp/bounce.hpp"
#include "smtp/header_stripper.hpp"
#include "smtp/received.hpp"
#include "support/transcript.hpp"

using namespace fwmail;
using namespace fwmail::smtp;

namespace {

std::string strip(std::string_view message, std::size_t split) {
    HeaderFieldStripper stripper;
    std::string out = stripper.add(message.substr(0, split)) + stripper.add(message.substr(split));
    return out + stripper.finish();
}

}  // namespace

TEST_CASE("FWMail fields are stripped, all else is left alone") {
    struct Case {
        std::string in, out;
    };
    const Case cases[] = {
        {"", ""},
        {"FWMail-Id: 1\r\n\r\nFWMail-Id: body\r\n", "\r\nFWMail-Id: body\r\n"},
        {"A: b\r\nfwmail-x: 1\r\n folded\r\n\ttoo\r\n \r\nC: d\r\n\r\nx", "A: b\r\nC: d\r\n\r\nx"},
        {"A: FWMail-Id: 1\r\n FWMail-Id: 2\r\nFWMai: 3\r\nFWMail: 4\r\nXFWMail-Id: 5\r\n\r\n",
         "A: FWMail-Id: 1\r\n FWMail-Id: 2\r\nFWMai: 3\r\nFWMail: 4\r\nXFWMail-Id: 5\r\n\r\n"},
        {"FWMail-Id: 1\nA: b\nFWMail-Id : 2\n\nFWMail-Id: 3\n", "A: b\n\nFWMail-Id: 3\n"},
        {"FWMail-Id", ""},
        {"FWMail", "FWMail"},
        {"A: b\r\nFWMail-Id: 1\r\nFWMail-Id: 2\r\n\r\n", "A: b\r\n\r\n"},
        {" FWMail-Id: a continuation of nothing\r\n\r\n", " FWMail-Id: a continuation of nothing\r\n\r\n"},
        {"\r\nFWMail-Id: body", "\r\nFWMail-Id: body"},
        // bare CRs: a name is looked for behind them, and they cannot shift the header's end
        {"A: b\rFWMail-Id: 1\r\nC: d\r\n\r\n", "A: b\rX-Removed:\r\nC: d\r\n\r\n"},
        {"A: b\rFWMail-Id: 1\r\n folded\r\n\nFWMail-Id: body", "A: b\rX-Removed:\r\n\nFWMail-Id: body"},
        {"FWMail-Id: 1\r\r\nA: b\r\n\r\n", "A: b\r\n\r\n"},
        {"A: b\r\r\nFWMail-Id: 1\r\n\r\n", "A: b\r\r\n\r\n"},
        {"A: b\r\n\rFWMail-Id: 1\nC: d\r\n\r\n", "A: b\r\n\rX-Removed:\r\nC: d\r\n\r\n"},
        {"A: b\r\rFWMail-Id: 1\rC: d\r\n\r\n", "A: b\r\rX-Removed:\r\nC: d\r\n\r\n"},
    };
    for (const Case& c : cases)
        for (std::size_t split = 0; split <= c.in.size(); ++split) {
            INFO(c.in << " at " << split);
            REQUIRE(strip(c.in, split) == c.out);
        }
}

TEST_CASE("after stripping no reader finds an FWMail field, and the body is whole") {
    std::mt19937 random(3);
    const std::string_view words[] = {"FWMail-", "fwmail-Id: x", "A: b", "\r\n",  "\n", "\r",
                                      " ",       "\t",           "FW",   "Mail-", ":",  "\r\n\r\n"};
    for (int round = 0; round < 20000; ++round) {
        std::string in;
        for (unsigned i = random() % 14; i > 0; --i) in += words[random() % std::size(words)];
        std::string out = strip(in, random() % (in.size() + 1));
        INFO(testing::escape(in) << " -> " << testing::escape(out));
        REQUIRE(strip(out, 0) == out);
        // A reader that ends lines at LF, and one that ends them at a CR too. Where either sees the first
        // empty line is the end.
        auto forged = [&](bool at_cr) {
            std::size_t start = 0;
            for (std::size_t i = 0; i < out.size(); ++i) {
                bool lf = out[i] == '\n',
                     cr = at_cr && out[i] == '\r' && !(i + 1 < out.size() && out[i + 1] == '\n');
                if (!lf && !cr) continue;
                std::string_view line(out.data() + start, i - start);
                if (line.empty() || line == "\r") return false;
                start = i + 1;
                std::string name = out.substr(start, 7);
                for (char& c : name) c = static_cast<char>(std::tolower(c));
                if (name == "fwmail-") return true;
            }
            return false;
        };
        REQUIRE_FALSE(forged(false));
        REQUIRE_FALSE(forged(true));
        // What follows the first line that is empty for a reader of LFs is the body.
        auto body_of = [](const std::string& text) {
            for (std::size_t start = 0;;) {
                std::size_t end = text.find('\n', start);
                if (end == std::string::npos) return std::string("none");
                std::string_view line(text.data() + start, end - start);
                if (line.empty() || line == "\r") return text.substr(end + 1);
                start = end + 1;
            }
        };
        REQUIRE(body_of(in) == body_of(out));
    }
}

TEST_CASE("Received") {
    ReceivedInfo info{"client.example",
                      "192.0.2.1",
                      "mx.example.org",
                      "ESMTPS",
                      "42",
                      "b@example.org",
                      "Tue, 11 Jun 2024 10:00:00 +0000"};
    CHECK(write_received(info) ==
          "Received: from client.example ([192.0.2.1])\r\n\tby mx.example.org (fwmail) with ESMTPS id 42\r\n"
          "\tfor <b@example.org>;\r\n\tTue, 11 Jun 2024 10:00:00 +0000\r\n");
    info.helo = "evil)\r\nX: y";
    info.peer = "2001:db8::1";
    info.recipient.clear();
    std::string text = write_received(info);
    CHECK(text.starts_with("Received: from evil???X:?y ([IPv6:2001:db8::1])\r\n\tby"));
    CHECK(count_received(text + "\r\n") == 1);

    std::string header =
        "received : x\r\nReceived-SPF: y\r\nX: y\r\n Received: folded\r\n\r\nReceived: body\r\n";
    CHECK(count_received(header) == 1);
    std::string many;
    for (int i = 0; i < 50; ++i) many += "Received: x\n";
    CHECK_FALSE(is_mail_loop(many));
    CHECK(is_mail_loop(many + "RECEIVED:x"));
}

TEST_CASE("a bounce is well-formed and cannot be bent by what a server said") {
    DsnInput input;
    input.reporting_mta = "mx.example.org";
    input.from = "MAILER-DAEMON@example.org";
    input.to = {"alice", "example.com"};
    input.recipients.push_back({{"bob", "example.net"},
                                {550, {5, 1, 1}, "no such\nuser\r\n--BOUND\r\nX: y\xff"},
                                "mx.example.net",
                                ""});
    input.recipients.push_back(
        {{"a b", "example.net"}, {450, {}, "later"}, "", "Tue, 11 Jun 2024 10:00:00 +0000", ""});
    input.original_header = "Subject: caf\xc3\xa9 =\r\nFrom: alice@example.com\r\n\r\nsecret body\r\n";
    input.arrival_date = input.date = "Tue, 11 Jun 2024 10:00:00 +0000";
    input.message_id = "<1@mx.example.org>";
    input.boundary = "BOUND";
    std::string dsn = write_dsn(input);
    auto has = [&](std::string_view text) { return dsn.contains(text); };
    CHECK(dsn.starts_with(
        "From: Mail Delivery System <MAILER-DAEMON@example.org>\r\nTo: <alice@example.com>\r\n"));
    CHECK(has("Content-Type: multipart/report; report-type=delivery-status;"));
    CHECK(has("Auto-Submitted: auto-replied\r\n"));
    CHECK(
        has("Final-Recipient: rfc822; bob@example.net\r\nAction: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; "
            "mx.example.net\r\n"
            "Diagnostic-Code: smtp; 550 5.1.1 no such user? --BOUND? X: y?\r\n"));
    CHECK(
        has("Final-Recipient: rfc822; \"a b\"@example.net\r\nAction: failed\r\nStatus: "
            "5.0.0\r\nDiagnostic-Code: smtp; 450 later\r\n"));
    CHECK(
        has("Content-Transfer-Encoding: quoted-printable\r\n\r\nSubject: caf=C3=A9 =3D\r\nFrom: "
            "alice@example.com\r\n"));
    CHECK_FALSE(has("secret body"));
    CHECK(dsn.ends_with("\r\n--BOUND--\r\n"));
    std::size_t delimiters = 0;
    for (std::size_t at = dsn.find("\r\n--BOUND"); at != std::string::npos;
         at = dsn.find("\r\n--BOUND", at + 1))
        ++delimiters;
    CHECK(delimiters == 4);
    for (std::size_t i = 0; i < dsn.size(); ++i) {
        bool fine = static_cast<unsigned char>(dsn[i]) < 128 && (dsn[i] != '\n' || dsn[i - 1] == '\r') &&
                    (dsn[i] != '\r' || dsn[i + 1] == '\n');
        if (!fine) FAIL("octet " << i);
    }

    input.kind = DsnKind::delayed;
    input.retry_until = "Sun, 16 Jun 2024 10:00:00 +0000";
    input.original_header = std::string(300000, 'x');
    dsn = write_dsn(input);
    CHECK(has("Action: delayed\r\n"));
    CHECK(has("Will-Retry-Until: Sun, 16 Jun 2024 10:00:00 +0000\r\n"));
    CHECK(dsn.size() < 80000);
    for (std::size_t at = 0; at < dsn.size();) {
        std::size_t end = dsn.find("\r\n", at);
        REQUIRE(end - at <= 998);
        at = end + 2;
    }
}

TEST_CASE("a notice of success, with what the sender gave to know it by") {
    DsnInput input;
    input.kind = DsnKind::relayed;
    input.reporting_mta = "mx.example.org";
    input.to = parse_address("alice@example.com").value();
    input.boundary = "BOUND";
    input.envid = "QQ+2B1+0D+0AX";
    DsnRecipient row;
    row.recipient = parse_address("bob@example.net").value();
    row.reply = {250, {2, 6, 0}, "queued"};
    row.orcpt = "rfc822;b+2Bx@example.net";
    input.recipients.push_back(row);
    input.original_header = "Subject: x\r\n";
    std::string dsn = write_dsn(input);
    CHECK(dsn.contains("Original-Envelope-Id: QQ+1  X\r\nReporting-MTA: dns; mx.example.org\r\n"));
    CHECK(
        dsn.contains("Original-Recipient: rfc822; b+x@example.net\r\nFinal-Recipient: rfc822; "
                     "bob@example.net\r\nAction: relayed\r\nStatus: 2.6.0\r\n"));
    input.kind = DsnKind::failed;
    dsn = write_dsn(input);
    CHECK(dsn.contains("Action: failed\r\nStatus: 5.0.0\r\n"));
    CHECK(dsn.contains("Content-Type: text/rfc822-headers"));
    input.original = "Subject: x\r\n\r\nall of it\r\n";
    CHECK(write_dsn(input).contains("Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\nall of it\r\n"));
    input.original += "\xe4\r\n";  // would need another encoding
    CHECK(write_dsn(input).contains("Content-Type: text/rfc822-headers"));
}

TEST_CASE("the retry schedule") {
    RetrySchedule schedule;
    CHECK(schedule.wait_ms(1) == 60'000);
    CHECK(schedule.wait_ms(2) == 120'000);
    CHECK(schedule.wait_ms(6) == 1'920'000);
    CHECK(schedule.wait_ms(7) == 3'600'000);
    CHECK(schedule.wait_ms(4'000'000'000u) == 3'600'000);
    UnixMillis arrived(1'000'000), soon(1'100'000);
    CHECK(schedule.next_attempt(arrived, soon, 1, 0.5) == UnixMillis(1'160'000));
    CHECK(schedule.next_attempt(arrived, soon, 1, 0.0) == UnixMillis(1'145'000));
    CHECK(schedule.next_attempt(arrived, soon, 1, 0.999) < UnixMillis(1'175'001));
    UnixMillis expiry(arrived.value + schedule.expiry_ms);
    CHECK(schedule.next_attempt(arrived, UnixMillis(expiry.value - 1000), 99, 0.5) == expiry);
    CHECK_FALSE(schedule.next_attempt(arrived, expiry, 99, 0.5));
    CHECK_FALSE(schedule.warning_due(arrived, soon));
    CHECK(schedule.warning_due(arrived, UnixMillis(arrived.value + schedule.warn_after_ms)));
}
