// Internal to crypto: Crypto++ sees bytes where the rest of the program sees characters. Only for .cpp files
// that include Crypto++.
#pragma once

#include <cryptopp/config.h>
#include <cryptopp/cryptlib.h>

#include <span>
#include <string>
#include <string_view>

#include "base/random.hpp"

namespace fwmail::crypto {

inline const CryptoPP::byte* bytes(std::string_view octets) {
    return reinterpret_cast<const CryptoPP::byte*>(octets.data());
}
inline CryptoPP::byte* bytes(std::string& octets) { return reinterpret_cast<CryptoPP::byte*>(octets.data()); }
inline CryptoPP::byte* bytes(char* octets) { return reinterpret_cast<CryptoPP::byte*>(octets); }

// Crypto++'s own pool opens /dev/urandom and throws in an empty chroot; this one asks getrandom(2).
class KernelRandom : public CryptoPP::RandomNumberGenerator {
  public:
    void GenerateBlock(CryptoPP::byte* output, std::size_t size) override {
        fill_random({reinterpret_cast<std::uint8_t*>(output), size});
    }
};

}  // namespace fwmail::crypto
