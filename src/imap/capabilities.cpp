// What the server says that it can. src/imap/README.md tells each by its RFC; tests/lint/imap_table_test.py
// holds the two against each other.
#include "imap/session_core.hpp"
#include "sasl/mechanism.hpp"

namespace fwmail::imap {
namespace {

constexpr std::string_view offered_always[] = {"IMAP4rev1", "IMAP4rev2", "LITERAL+",
                                               "SASL-IR",   "ID",        "ENABLE"};
constexpr std::string_view offered_after_login[] = {
    "IDLE",
    "UIDPLUS",
    "SPECIAL-USE",
    "UNSELECT",
    "NAMESPACE",
    "CHILDREN",
    "MOVE",
    "ESEARCH",
    "SEARCHRES",
    "CONDSTORE",
    "QRESYNC",
    "LIST-EXTENDED",
    "LIST-STATUS",
    "STATUS=SIZE",
    "OBJECTID",
    "SAVEDATE",
    "WITHIN",
    "CREATE-SPECIAL-USE",
    "MULTIAPPEND",
    "BINARY",
    "UTF8=ACCEPT",
    "PREVIEW",
    "PARTIAL",
    "UIDONLY",
    "UIDBATCHES",
    "ACL",
    "RIGHTS=texk",
    "QUOTA",
    "QUOTA=RES-STORAGE",
    "QUOTA=RES-MESSAGE",
    "SORT",
    "SORT=DISPLAY",
    "ESORT",
    "THREAD=REFERENCES",
    "THREAD=ORDEREDSUBJECT",
    "COMPRESS=DEFLATE",
};

}  // namespace

std::string SessionCore::capabilities() const {
    std::string out;
    for (auto name : offered_always) out += (out.empty() ? "" : " ") + std::string(name);
    if (authenticated) {
        for (auto name : offered_after_login)
            if (!compressing || name != "COMPRESS=DEFLATE") out += ' ' + std::string(name);
        if (options.message_limit) out += " MESSAGELIMIT=" + std::to_string(options.message_limit);
        return out + " APPENDLIMIT=" + std::to_string(options.append_limit);
    }
    if (options.starttls_available && !options.tls_active) out += " STARTTLS";
    if (!login_allowed()) return out + " LOGINDISABLED";
    for (auto name : sasl::offered)
        if (sasl::is_offered(name, options.tls_active)) out += " AUTH=" + std::string(name);
    return out;
}

}  // namespace fwmail::imap
