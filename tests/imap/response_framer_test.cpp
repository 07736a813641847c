// What a server says, framed for the client: which literals are a message's content, and which are not.
#include "imap/response_framer.hpp"

#include <catch2/catch.hpp>

using namespace fwmail::imap;

namespace {

// The events of these octets, one word each.
std::string frame(std::string_view octets) {
    ResponseFramer framer;
    framer.feed(octets);
    std::string out;
    while (auto event = framer.next()) {
        if (auto* response = std::get_if<FramedResponse>(&*event))
            out += "response(" + response->text + ") ";
        else if (std::holds_alternative<StreamBegin>(*event))
            out += "begin ";
        else if (auto* data = std::get_if<StreamData>(&*event))
            out += "data(" + data->octets + ") ";
        else
            out += "broken ";
    }
    return out + (framer.has_leftover() ? "and more" : "");
}

}  // namespace

TEST_CASE("a literal behind one that looks like a section is not a message's content") {
    for (std::string_view end : {">", "]", " RFC822", "(RFC822.TEXT"}) {
        CAPTURE(end);
        std::string first = "{" + std::to_string(end.size()) + "}\r\n" + std::string(end);
        std::string text = "* 1 FETCH (ENVELOPE (" + first + " {1}\r\nx NIL))";
        CHECK(frame(text + "\r\n") == "response(" + text + ") ");
    }
}

TEST_CASE("a section's own literals hide no content") {
    CHECK(frame("* 1 FETCH (BODY[HEADER.FIELDS ({4}\r\nDate)] {3}\r\nabc)\r\n") ==
          "begin data(abc) response(* 1 FETCH (BODY[HEADER.FIELDS ({4}\r\nDate)] {~3}\r\n)) ");
    CHECK(frame("* 1 FETCH (BODY[1] {1}\r\na BODY[2]<0> {1}\r\nb)\r\n") ==
          "begin data(a) begin data(b) response(* 1 FETCH (BODY[1] {~1}\r\n BODY[2]<0> {~1}\r\n)) ");
}
