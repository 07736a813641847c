// Refusals with a response code (RFC 5530), as imap::to_refusal() reads them.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace fwmail::service {

inline Error coded(ErrorKind kind, std::string_view code, std::string_view text) {
    return {kind, "[" + std::string(code) + "] " + std::string(text)};
}

}  // namespace fwmail::service
