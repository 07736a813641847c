// What the tests of crypto share.
#pragma once

#include <catch2/catch.hpp>
#include <random>
#include <string>

#include "crypto/openpgp_message.hpp"

namespace fwmail::crypto {

inline constexpr UnixMillis test_time(1700000000123);

inline Secret seed_of(char fill) { return Secret(std::string(32, fill)); }

// A fixed key for each letter.
inline SecretKey test_key(char letter) {
    auto key = key_from_seeds(std::string("Test ") + letter + " <" + letter + "@example.org>", test_time,
                              seed_of(letter), seed_of(static_cast<char>(letter + 64)));
    REQUIRE(key);
    return *key;
}

inline SealOptions options_of(char seed, const SecretKey* signer = nullptr) {
    SealOptions options;
    options.seed = seed_of(seed);
    options.date = test_time;
    options.signer = signer;
    return options;
}

inline std::string noise(std::mt19937& random, std::size_t size) {
    std::string out(size, '\0');
    for (char& c : out) c = static_cast<char>(random());
    return out;
}

// Feeds in slices of random sizes, now and then empty.
template <class Feed>
void feed_slices(std::mt19937& random, std::string_view octets, Feed feed) {
    std::size_t most = std::max<std::size_t>(40, octets.size() / 20);
    while (!octets.empty()) {
        std::size_t take = std::min<std::size_t>(random() % (most + 1), octets.size());
        feed(octets.substr(0, take));
        octets.remove_prefix(take);
    }
}

}  // namespace fwmail::crypto
