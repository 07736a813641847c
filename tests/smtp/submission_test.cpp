// The fields that submission completes.
#include <catch2/catch.hpp>

#include "smtp/submission_fields.hpp"

using namespace fwmail;
using namespace fwmail::smtp;

namespace {

std::string complete(std::string_view message, std::size_t step) {
    SubmissionFields fields("D", "<m>");
    std::string out;
    for (; !message.empty(); message.remove_prefix(std::min(step, message.size())))
        out += fields.add(message.substr(0, step));
    return out + fields.finish();
}

}  // namespace

TEST_CASE("Date and Message-ID are added where they are missing, and nothing else is touched") {
    constexpr std::pair<const char*, const char*> cases[] = {
        {"Date: x\r\nMessage-ID: y\r\n\r\nhi\r\n", "Date: x\r\nMessage-ID: y\r\n\r\nhi\r\n"},
        {"Subject: s\r\n\r\nDate: body\r\n",
         "Subject: s\r\nDate: D\r\nMessage-ID: <m>\r\n\r\nDate: body\r\n"},
        {"dAtE : x\r\nSubject: a\r\n Message-ID: folded\r\n\r\n",
         "dAtE : x\r\nSubject: a\r\n Message-ID: folded\r\nMessage-ID: <m>\r\n\r\n"},
        {"Resent-Date: x\r\nMessage-IDs: y\r\n",
         "Resent-Date: x\r\nMessage-IDs: y\r\nDate: D\r\nMessage-ID: <m>\r\n"},
        {"\r\nbody only\r\n", "Date: D\r\nMessage-ID: <m>\r\n\r\nbody only\r\n"},
        {"no field at all\r\nDate: late\r\n",
         "Date: D\r\nMessage-ID: <m>\r\n\r\nno field at all\r\nDate: late\r\n"},
        {"Subject: x\r\nbroken\r\n\r\nb", "Subject: x\r\nDate: D\r\nMessage-ID: <m>\r\n\r\nbroken\r\n\r\nb"},
        {" not folded\r\n", "Date: D\r\nMessage-ID: <m>\r\n\r\n not folded\r\n"},
        {"Subject: lf\n\nbody\n", "Subject: lf\nDate: D\r\nMessage-ID: <m>\r\n\nbody\n"},
        {"", "Date: D\r\nMessage-ID: <m>\r\n"},
        {"Subj", "Date: D\r\nMessage-ID: <m>\r\n\r\nSubj"},
        {"Date: x\r\nSubject: cut", "Date: x\r\nSubject: cut\r\nMessage-ID: <m>\r\n"},
    };
    for (auto [given, expected] : cases) {
        INFO(given);
        CHECK(complete(given, 1000) == expected);
        for (std::size_t step = 1; step < 8; ++step) CHECK(complete(given, step) == expected);
    }
    std::string endless(5000, 'x');
    CHECK(complete(endless, 100) == "Date: D\r\nMessage-ID: <m>\r\n\r\n" + endless);
}
