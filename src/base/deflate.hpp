// Raw DEFLATE (RFC 1951) as a stream, for RFC 4978.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace fwmail {

// Some 70 kB while it lives. As each add() ends on an octet, and what is made later never needs what a new
// one does not know, one may be dropped at any time and another go on in its place: the other side notices
// nothing.
class Deflater {
  public:
    Deflater();
    ~Deflater();

    // All of it, flushed: whoever reads this has everything that was given.
    std::string add(std::string_view octets);

  private:
    struct Stream;
    std::unique_ptr<Stream> stream_;
};

// 40 kB while it lives; what was given and did not come out yet besides, so give little. At rest it keeps the
// last 32 KiB that came out, or less.
class Inflater {
  public:
    Inflater();
    ~Inflater();

    void feed(std::string octets);
    // 0: more must be fed first. However much the input stands for, no more than fits is made of it.
    Result<std::size_t> read(std::span<char> into);
    // Frees what can be built again, if that is possible where it stands.
    void rest();

  private:
    struct Stream;
    Result<> wake();

    std::unique_ptr<Stream> stream_;
    std::string input_;
    std::size_t position_ = 0;
    bool full_ = false;   // there may be more to come out of what was taken in
    std::string window_;  // while it rests
};

}  // namespace fwmail
