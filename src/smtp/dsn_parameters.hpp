// What MAIL and RCPT say about delivery status notifications (RFC 3461 4), and xtext.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace fwmail::smtp {

enum class DsnReturn { unsaid, full, headers };
// RFC 3461 4.1; none of them: not said, so failures, and perhaps delays.
enum DsnNotify : std::uint32_t { dsn_never = 1, dsn_success = 2, dsn_failure = 4, dsn_delay = 8 };

struct MailDsn {
    DsnReturn ret = DsnReturn::unsaid;
    std::string envid;  // xtext as given, at most 100 octets

    bool operator==(const MailDsn&) const = default;
    // " RET=HDRS ENVID=x", or nothing.
    std::string text() const;
};

struct RecipientDsn {
    std::uint32_t notify = 0;
    std::string orcpt;  // `rfc822;xtext` as given, at most 500 octets

    bool operator==(const RecipientDsn&) const = default;
    // " NOTIFY=FAILURE,DELAY ORCPT=rfc822;x", or nothing.
    std::string text() const;
};

// Values of the parameters; `protocol` errors.
Result<DsnReturn> parse_ret(std::string_view value);
Result<std::string> parse_envid(std::string_view value);
Result<std::uint32_t> parse_notify(std::string_view value);
Result<std::string> parse_orcpt(std::string_view value);

// RFC 3461 4: what xtext stands for, control characters and octets beyond ASCII made harmless.
std::string decode_xtext(std::string_view text);

}  // namespace fwmail::smtp
