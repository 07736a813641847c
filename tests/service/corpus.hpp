// The messages of tests/messages, made once a program, and what sealing them takes.
#pragma once

#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <string>

#include "crypto/support.hpp"
#include "service/sealed_mail.hpp"

namespace fwmail::service::test {

inline constexpr std::string_view canary = "CANARY";

const std::map<std::string, std::string>& corpus();

// User "a", as tests/crypto makes her.
inline const crypto::SecretKey& ann() {
    static const auto key = crypto::test_key('a');
    return key;
}

SealOrder order_of(char seed, OuterHeader outer = OuterHeader::ordinary);

struct Sealed {
    std::string packed;
    SealedInfo info;
};
// Fails the test where the message cannot be sealed.
Sealed sealed(std::string_view message, const SealOrder& order = order_of('s'));

struct Unpacked {
    Result<SealedInfo> info;
    std::string served;
    EmailId id;
};
// In slices of random sizes, or whole without `random`. After an error nothing more is fed.
Unpacked unpack(std::string_view packed, std::mt19937* random = nullptr);

// Decrypted octets in, the original out, in random slices if `random`.
Result<std::string> restore(std::string_view inner, std::mt19937* random = nullptr);
// What the user's client sees once it has decrypted the served octets.
std::string inner_of(std::string_view served);

// The packed form's outer header; the whole test fails where there is none.
std::string outer_of(std::string_view packed);
// The packed form with another outer header.
std::string with_outer(std::string_view packed, std::string_view outer);

}  // namespace fwmail::service::test
