// Reverse and forward paths (RFC 5321 4.1.2) and the arguments of MAIL and RCPT.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace fwmail::smtp {

// Whether addresses may go beyond ASCII (RFC 6531): the caller says so, or refuses them by is_ascii().
enum class Charset { ascii, utf8 };

// A mailbox; both parts empty = the null reverse path `<>`. Only `Postmaster` may stand without a domain.
struct Path {
    std::string local;   // unquoted, at most 64 octets; any printable ASCII and space, or UTF-8
    std::string domain;  // as given, at most 255 octets; an address literal keeps its brackets

    auto operator<=>(const Path&) const = default;
    bool is_ascii() const;
    bool is_null() const { return local.empty() && domain.empty(); }
    // `local@domain` without angle brackets, the local part quoted where it must be; "" for the null path.
    std::string text() const;
};

// `local@domain` alone, as it stands in a setting, a command line or the queue. At most 254 octets (RFC 5321
// 4.5.3.1.3). ErrorKind::protocol: bad syntax; ErrorKind::refused: it would need SMTPUTF8.
Result<Path> parse_address(std::string_view text, Charset charset = Charset::ascii);

using Parameters = std::vector<std::pair<std::string, std::optional<std::string>>>;  // keywords in upper case

struct PathArgument {
    Path path;
    Parameters parameters;
};

enum class PathKind {
    reverse,  // after MAIL FROM: ; `<>` is good
    forward,  // after RCPT TO: ; `<Postmaster>` is good
};
// What follows `FROM:` or `TO:`: `<path>` and parameters. A source route (`@a,@b:`) is read and dropped (RFC
// 5321 4.1.1.3). UTF-8 is taken: whether the mail may have it is known from its parameters only. QUIRK(old
// Windows senders): spaces before `<` are tolerated. Errors as in parse_address().
Result<PathArgument> parse_path_argument(std::string_view text, PathKind kind);

// A host name or address literal, as in HELO, in the loose form that is in use (underscores too).
bool is_plausible_host(std::string_view text);

}  // namespace fwmail::smtp
