// Internal to crypto: decompression of OpenPGP compressed data packets (RFC 4880 5.6, 9.3).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "base/result.hpp"

namespace fwmail::crypto {

class Inflater {
  public:
    using Output = std::function<Result<>(std::string_view)>;  // an error stops the inflation and is returned

    // Algorithm 0 (none), 1 (ZIP, raw deflate) or 2 (ZLIB). More than `limit` octets out is an error.
    static Result<Inflater> start(std::uint8_t algorithm, std::uint64_t limit, Output output);
    Inflater(Inflater&&) noexcept;
    Inflater& operator=(Inflater&&) noexcept;
    ~Inflater();

    Result<> feed(std::string_view octets);
    // An error when the data is cut off.
    Result<> finish();

  private:
    struct State;
    explicit Inflater(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace fwmail::crypto
