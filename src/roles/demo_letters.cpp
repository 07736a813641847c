#include "roles/demo_letters.hpp"

#include "base/encoding.hpp"
#include "base/random.hpp"
#include "mime/date.hpp"
#include "mime/encoded_word.hpp"

namespace fwmail::roles {
namespace {

constexpr std::size_t attachment_size = 300 * 1024;

// `subject` as it stands in the field.
std::string header(std::string_view from, std::string_view subject) {
    UnixMillis now = system_clock()();
    return "From: " + std::string(from) +
           "\r\nTo: Ann <ann@example.test>\r\nSubject: " + std::string(subject) +
           "\r\nDate: " + mime::write_date({now.value / 1000, 0}) + "\r\nMessage-ID: <" +
           make_email_id(now).hex() + "@elsewhere.test>\r\nMIME-Version: 1.0\r\n";
}

Letter plain() {
    std::string subject = std::string(telling_word) + ": the offer";
    return {"plain text", subject,
            header("Bob <bob@elsewhere.test>", subject) + "Content-Type: text/plain\r\n\r\nThe offer for " +
                telling_word + " is 4,200,000.\r\nNot a word to anybody.\r\n\r\n.\r\n..Bob\r\n"};
}

Letter umlauts() {
    std::string subject = "Grüße aus Köln";
    std::string text = "Schöne Grüße, und süße Träume!";
    return {
        "HTML and text, UTF-8", subject,
        header("=?UTF-8?Q?J=C3=BCrgen?= <juergen@elsewhere.test>", mime::encode_header(subject)) +
            "Content-Type: multipart/alternative; boundary=\"either\"\r\n\r\n"
            "--either\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" +
            text +
            "\r\n\r\n--either\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: "
            "8bit\r\n\r\n<p>"
            "<b>" +
            text + "</b></p>\r\n\r\n--either--\r\n"};
}

Letter attachment() {
    std::string subject = "The drawings";
    return {"300 KB attached", subject,
            header("Carol <carol@elsewhere.test>", subject) +
                "Content-Type: multipart/mixed; boundary=\"more\"\r\n\r\n"
                "--more\r\nContent-Type: text/plain\r\n\r\nHere they are.\r\n\r\n"
                "--more\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"
                "Content-Disposition: attachment; filename=\"drawings.bin\"\r\n\r\n" +
                base64_encode_mime(random_octets(attachment_size)) + "--more--\r\n"};
}

Letter eight_bit_header() {
    // ISO 8859-1 without a word about it, as old programs write it. Nobody may repair it on the way.
    return {"8-bit header", "Café um vier",
            header("Dan <dan@elsewhere.test>", "Caf\xe9 um vier") +
                "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
                "Bis sp\xe4ter.\r\n"};
}

Letter no_last_newline() {
    std::string subject = "The end is missing";
    return {"no last line end", subject,
            header("Eve <eve@elsewhere.test>", subject) + "Content-Type: text/plain\r\n\r\nand so on, and",
            true};
}

}  // namespace

std::vector<Letter> demo_letters() {
    return {plain(), umlauts(), attachment(), eight_bit_header(), no_last_newline()};
}

Letter late_letter() {
    std::string subject = "One more";
    return {"plain text", subject,
            header("Bob <bob@elsewhere.test>", subject) + "\r\nWhile you were watching.\r\n"};
}

}  // namespace fwmail::roles
