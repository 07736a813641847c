// Internal to crypto: the pieces that certificates are made of, shared by making and reading them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "crypto/key_packet.hpp"
#include "crypto/signature.hpp"

namespace fwmail::crypto {

inline constexpr std::size_t certificate_limit = 256 << 10;
inline constexpr std::size_t certificate_packet_limit = 256;
inline constexpr std::size_t user_id_limit = 1000;

bool good_user_id(std::string_view user_id);
// Whole seconds since 1970 as OpenPGP counts them, 1 to 2^32 - 1.
Result<std::uint32_t> openpgp_seconds(UnixMillis time);

// The hash that a certification of a User ID, or a (subkey or primary) binding, is over.
Hash certification_hash(HashId id, std::string_view primary_body, std::string_view user_id);
Hash binding_hash(HashId id, std::string_view primary_body, std::string_view subkey_body);

}  // namespace fwmail::crypto
