#include "mime/base_subject.hpp"

#include <catch2/catch.hpp>

using namespace fwmail::mime;

namespace {

std::string text(std::string_view subject) { return base_subject(subject).text; }
bool reply(std::string_view subject) { return base_subject(subject).reply; }

}  // namespace

TEST_CASE("base subject: leaders") {
    for (std::string_view subject :
         {"lunch", "Re: lunch", "RE:lunch", "re : lunch", "Fw: lunch", "FWD: lunch", "Re: Fwd: re: lunch",
          "Re[2]: lunch", "re [a b]  : lunch", "[list] lunch", "[list] Re: lunch",
          "[a][b] re: [c] fw[d]: lunch", "[a] [b] lunch", "  lunch ", "\tRe:\r\n lunch",
          "Re: [list] Re: [list] lunch", "[Re: x] lunch"})
        CHECK(text(subject) == "lunch");
    CHECK(text("Réponse: lunch") == "Réponse: lunch");
    CHECK(text("Rex: lunch") == "Rex: lunch");
    CHECK(text("Re lunch") == "Re lunch");
    CHECK(text("Fwdx: lunch") == "Fwdx: lunch");
    CHECK(text("[a[b] lunch") == "[a[b] lunch");
    CHECK(text("[a]b] lunch") == "b] lunch");
    CHECK(text("[ünï] lunch") == "lunch");
    CHECK(text("a  \t b") == "a b");
}

TEST_CASE("base subject: trailers") {
    for (std::string_view subject :
         {"lunch (fwd)", "lunch(FWD)", "lunch (fwd) (fwd)  ", "[fwd: lunch]", "[FWD: re: lunch (fwd)]",
          "Re: [fwd: [fwd: lunch]] (fwd)", "[fwd: [list] lunch]", "[fwd:lunch (fwd) ]"})
        CHECK(text(subject) == "lunch");
    CHECK(text("(fwd) lunch") == "(fwd) lunch");
    CHECK(text("lunch (fwd") == "lunch (fwd");
    CHECK(text("[fwd: lunch") == "[fwd: lunch");
    // A blob before something goes, whatever it says.
    CHECK(text("[fwd: this] lunch") == "lunch");
}

TEST_CASE("base subject: what would leave nothing stays") {
    CHECK(text("") == "");
    CHECK(text("Re:") == "");
    CHECK(text("(fwd)") == "");
    CHECK(text("[fwd:]") == "");
    CHECK(text("[list]") == "[list]");
    CHECK(text("[a] [list]") == "[list]");
    CHECK(text("Re: [a] [list] ") == "[list]");
    CHECK(text("[list] Re:") == "");
}

TEST_CASE("base subject: encoded words are undone first") {
    CHECK(text("=?utf-8?q?Re:_Gr=C3=BC=C3=9Fe?=") == "Grüße");
    CHECK(text("=?utf-8?b?UmU6IA==?= =?utf-8?q?Gr=C3=BC?= =?utf-8?q?=C3=9Fe_(fwd)?=") == "Grüße");
    CHECK(text("Re: =?iso-8859-1?q?[Liste]_Gr=FC=DFe?=") == "Grüße");
    CHECK(reply("=?utf-8?q?Re:_x?="));
}

TEST_CASE("base subject: replies and forwards") {
    for (std::string_view subject : {"Re: x", "[a] fwd: x", "x (fwd)", "[fwd: x]", "Re:"})
        CHECK(reply(subject));
    for (std::string_view subject : {"", "x", "[a] x", "[fwd: a] x", "(fwd) x", "  x  "})
        CHECK_FALSE(reply(subject));
}

TEST_CASE("base subject: hostile ones end soon") {
    std::string blobs, heads, replies, trailers;
    for (int i = 0; i < 100'000; ++i) {
        blobs += "[a]";
        heads += "[fwd:";
        replies += "re:";
        trailers += "(fwd)";
    }
    CHECK(text(blobs) == "[a]");
    CHECK(text(blobs + "re: x") == "x");
    CHECK(text(replies + "x" + trailers) == "x");
    CHECK(text(heads + "x" + std::string(100'000, ']')) == "x");
    CHECK(text(heads) == heads);
}
