#include "imap/search.hpp"

#include <catch2/catch.hpp>

#include "imap/parser.hpp"
#include "mime/fold.hpp"

using namespace fwmail;
using namespace fwmail::imap;

namespace {

class Message : public Candidate {
  public:
    Uid uid() override { return Uid(7); }
    const FlagSet& flags() override { return flags_; }
    UnixMillis internal_date() override { return UnixMillis(8797 * 86'400'000ll + 5); }  // 1-Feb-1994
    std::uint64_t size() override { return 100; }
    ModSeq modseq() override { return ModSeq(500); }
    UnixMillis saved_at() override { return UnixMillis(8798 * 86'400'000ll + 5); }
    std::string email_id() override { return "77"; }
    std::optional<Day> sent_day() override { return 8796; }
    bool header_contains(std::string_view name, std::string_view needle) override {
        if (name == "from") return mime::contains(mime::fold("Jörg <joerg@example.org>"), needle);
        return name == "received" && (mime::contains("one", needle) || mime::contains("two", needle));
    }
    bool contains_in_body(std::string_view needle) override {
        ++bodies;
        return mime::contains(mime::fold("Grüße aus ÅBO"), needle);
    }
    bool contains_in_text(std::string_view needle) override { return contains_in_body(needle); }

    int bodies = 0;

  private:
    FlagSet flags_{FlagSet::seen, {"$Junk"}};
};

bool found(const char* keys) {
    Message message;
    auto key = Parser(keys).search_keys();
    INFO(keys);
    REQUIRE(key);
    return matches(*key, message);
}

}  // namespace

TEST_CASE("search keys find what they should") {
    for (const char* yes : {"ALL",
                            "SEEN",
                            "NOT UNSEEN",
                            "KEYWORD $junk",
                            "UNKEYWORD other",
                            "FROM \"JÖRG\"",
                            "from EXAMPLE.org",
                            "HEADER Received two",
                            "HEADER From \"\"",
                            "ON 1-Feb-1994",
                            "SINCE 1-Feb-1994",
                            "BEFORE 2-Feb-1994",
                            "SENTON 31-Jan-1994",
                            "SENTBEFORE 1-Feb-1994",
                            "SENTSINCE 31-Jan-1994",
                            "LARGER 99",
                            "SMALLER 101",
                            "BODY \"GRÜßE\"",
                            "OR UNSEEN SEEN",
                            "BODY \"åbo\"",
                            "TEXT aus",
                            "(SEEN LARGER 5)"}) {
        CHECK(found(yes));
    }
    for (const char* no :
         {"UNSEEN", "ANSWERED", "KEYWORD other", "FROM joergen", "TO x", "HEADER To \"\"", "ON 2-Feb-1994",
          "SINCE 2-Feb-1994", "BEFORE 1-Feb-1994", "SENTON 1-Feb-1994", "LARGER 100", "SMALLER 100",
          "BODY nothing", "OR UNSEEN FLAGGED", "SEEN FLAGGED", "NOT ALL", "RECENT", "1"})
        CHECK_FALSE(found(no));
}

TEST_CASE("a body is read only when all else fits") {
    Message message;
    auto key = Parser("BODY \"grüße\" UNSEEN OR TEXT x FLAGGED FLAGGED").search_keys();
    REQUIRE(key);
    CHECK_FALSE(matches(*key, message));
    CHECK(message.bodies == 0);
    CHECK(needs_body(*key));
    CHECK(needs_sealed_content(*key));
    CHECK_FALSE(needs_body(*Parser("FROM x SUBJECT y").search_keys()));
    CHECK(needs_sealed_content(*Parser("FROM x NOT SUBJECT y").search_keys()));
    CHECK_FALSE(needs_sealed_content(*Parser("FROM x UNSEEN").search_keys()));
}

TEST_CASE("texts come in any charset that is known") {
    CHECK(
        found("CHARSET windows-1252 BODY \"gr\xfc\xdf"
              "e\""));
    CHECK(found("CHARSET iso-8859-2 FROM \"J\xd6RG\""));
    CHECK(found("CHARSET UTF-8 BODY \"GRÜßE\""));
    CHECK(found("CHARSET us-ascii TEXT aus"));
    CHECK_FALSE(
        found("CHARSET koi8-r BODY \"gr\xfc\xdf"
              "e\""));
    CHECK_FALSE(Parser("CHARSET us-ascii BODY \"gr\xfc\"").search_keys());
    CHECK_FALSE(Parser("BODY \"gr\xfc\"").search_keys());
    auto unknown = Parser("CHARSET klingon TEXT x").search_keys();
    REQUIRE_FALSE(unknown);
    CHECK(unknown.error().kind == ErrorKind::refused);
    CHECK(unknown.error().text.starts_with("[BADCHARSET (UTF-8 "));
}
