// Names of places and of what lies in a Maildir.
#include <catch2/catch.hpp>

#include "service/maildir_names.hpp"
#include "service/transfer_place.hpp"

using namespace fwmail;
using namespace fwmail::service;

TEST_CASE("places of import and export") {
    using Kind = TransferPlace::Kind;
    auto maildir = parse_transfer_place("maildir:/a b/c").value();
    CHECK(maildir.kind == Kind::maildir);
    CHECK(maildir.path == "/a b/c");
    CHECK(maildir.name() == "maildir:/a b/c");
    CHECK(parse_transfer_place("mboxo:x").value().kind == Kind::mboxo);
    auto server = parse_transfer_place("imaps://ann%40example.org@mail.example.org/").value();
    CHECK(server.user == "ann@example.org");
    CHECK(server.server == config::HostPort{"mail.example.org", 993});
    CHECK(parse_transfer_place("imap://a@b@h:1143").value().user == "a@b");
    CHECK(parse_transfer_place("imap://a@[::1]").value().server == config::HostPort{"::1", 143});
    CHECK(parse_transfer_place("imap://a@[::1]:99").value().server == config::HostPort{"::1", 99});
    for (auto text : {"", "maildir:", "/path", "imaps://host", "imaps://@host", "imaps://a@host/INBOX",
                      "imaps://a%4@h", "imaps://a@host:port", "pop3://a@b"})
        CHECK_FALSE(parse_transfer_place(text));
}

TEST_CASE("names in a Maildir") {
    MaildirKeywords keywords = parse_keywords("0 $Junk\n2 later\n99 no\nx\n");
    CHECK(keywords == MaildirKeywords{"$Junk", "", "later"});
    CHECK(flags_of_letters("FSac", keywords).text() == "\\Flagged \\Seen $Junk later");
    FlagSet flags = FlagSet::from_text("\\Seen \\Draft $Forwarded LATER new");
    CHECK(letters_of_flags(flags, keywords) == "DPScd");
    CHECK(keywords[3] == "new");
    CHECK(flags_of_letters("DPScd", keywords).text() == "\\Seen \\Draft $Forwarded later new");
    CHECK(flags_of_letters("abc", parse_keywords("0 a)\n1 a b\r\n2 good\n")).text() == "good");
    MaildirKeywords full(26, "x");
    CHECK(letters_of_flags(FlagSet::from_text("more"), full).empty());
    CHECK(maildir_base("1700000000.M1P2.host,S=5:2,FS") == "1700000000.M1P2.host,S=5");
    CHECK(maildir_letters("1700000000.M1P2.host:2,FS") == "FS");
    CHECK(maildir_letters("1700000000.M1P2.host").empty());
    for (std::string path : {"INBOX", "Sent", "Sent/2025", "R&D.x/y", "\xc3\x89t\xc3\xa9"})
        CHECK(path_of_maildir_folder(maildir_folder_of_path(path)) == path);
    CHECK(maildir_folder_of_path("Sent/2025") == ".Sent.2025");
    CHECK(path_of_maildir_folder(".&AMk-t&AOk-") == "\xc3\x89t\xc3\xa9");
    CHECK(path_of_maildir_folder(".100&") == "100&");  // no modified UTF-7
}
