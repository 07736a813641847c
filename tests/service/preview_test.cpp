// The beginning of a message's text.
#include "service/preview.hpp"

#include <catch2/catch.hpp>

#include "mime/charset.hpp"
#include "mime/structure.hpp"

using namespace fwmail;
using namespace fwmail::service;

namespace {

std::string preview(const std::string& message) {
    mime::StructureParser parser;
    parser.feed(message);
    std::optional<mime::Part> root = parser.finish();
    auto source = preview_source({}, root);
    return source.length ? preview_of(source, std::string_view(message).substr(source.offset, source.length))
                         : "";
}

}  // namespace

TEST_CASE("a preview is the text's beginning, on one line") {
    CHECK(preview("Subject: x\r\n\r\n Hello,\r\n\r\n  world \t\r\n") == "Hello, world");
    CHECK(preview("Subject: x\r\n\r\n") == "");
    CHECK(preview("Content-Type: image/png\r\n\r\nxyz") == "");
    CHECK(preview("Content-Type: text/plain; charset=iso-8859-1\r\n\r\ngr\xfc\xdf") == "grüß");
    CHECK(preview("Content-Type: text/plain; charset=x-none\r\n\r\ngr\xff") == "grÿ");
    CHECK(preview("Content-Transfer-Encoding: x-uue\r\n\r\nM9XYZ") == "");
    CHECK(preview("Content-Type: text/html\r\n\r\n<script>no</script><p>a&amp;b<br>c</p>") == "a&b c");
    CHECK(preview("Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nSGVsbG8=") ==
          "Hello");
}

TEST_CASE("a preview comes from the first text that is no attachment, plain before HTML") {
    std::string head = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
    std::string attached = "--b\r\nContent-Disposition: attachment\r\n\r\nattached\r\n";
    std::string html = "--b\r\nContent-Type: text/html\r\n\r\n<p>html</p>\r\n";
    std::string plain = "--b\r\n\r\nplain\r\n";
    CHECK(preview(head + attached + html + plain + "--b--\r\n") == "plain");
    CHECK(preview(head + attached + html + "--b--\r\n") == "html");
    CHECK(preview(head + attached + "--b--\r\n") == "");
}

TEST_CASE("a preview is short and valid UTF-8, whatever is in the message") {
    std::string text =
        preview("Content-Type: text/plain; charset=utf-8\r\n\r\n" + std::string(50'000, '\xc3'));
    CHECK(mime::is_valid_utf8(text));
    CHECK(text.size() <= 200 * 4);
    CHECK(preview("\r\n" + std::string(1000, 'x')).size() == 200);
    CHECK(preview("\r\n" + std::string(1'000'000, ' ') + "x").empty());
}
