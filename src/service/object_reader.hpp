// Reads a part of a stored body piece by piece, so that a large one costs no memory.
#pragma once

#include <algorithm>

#include "base/co_try.hpp"
#include "service/node.hpp"

namespace fwmail::service {

class ObjectReader {
  public:
    ObjectReader(Node& node, ObjectId object, std::uint64_t offset, std::uint64_t length)
        : node_(node), object_(object), offset_(offset), length_(length) {}

    // The next octets, at most store::chunk_size; empty: that was all.
    net::Task<Result<std::string>> next() {
        if (length_ == 0) co_return std::string();
        std::uint64_t want =
            std::min<std::uint64_t>(length_, store::chunk_size - offset_ % store::chunk_size);
        auto job = [object = object_, offset = offset_, want](store::SystemStore& system) {
            return system.read_object(object, offset, want);
        };
        std::string octets = CO_TRY(co_await node_.read(store::system_file, job));
        if (octets.size() != want)
            co_return fail(ErrorKind::internal, "a stored message is shorter than its size says");
        offset_ += want;
        length_ -= want;
        co_return octets;
    }

  private:
    Node& node_;
    ObjectId object_;
    std::uint64_t offset_, length_;
};

}  // namespace fwmail::service
