// Sealed mail that a user's own program has made: PGP/MIME (RFC 3156) to the user's key. A remote takes it as
// it is, since nobody but the user can read it.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "crypto/openpgp_message.hpp"

namespace fwmail::service {

// Mail that clients append is held in memory until it is known what it is.
inline constexpr std::size_t largest_appended = 64u << 20;

// Whether this is sealed mail and nothing else: fields of a list, no subject, exactly two parts, in the
// second one armoured OpenPGP message to `allowed` keys only, nothing before, between or behind. The error,
// of kind refused, says what is wrong with it.
Result<> check_foreign_sealed(std::string_view mail, const std::vector<crypto::KeyId>& allowed);

}  // namespace fwmail::service
