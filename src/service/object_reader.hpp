// Reads a part of a stored body piece by piece, so that a large one costs no memory: one piece is with the
// owner, the next one is being read.
#pragma once

#include <algorithm>

#include "base/co_try.hpp"
#include "service/node.hpp"
#include "service/read_ahead.hpp"

namespace fwmail::service {

class ObjectReader {
  public:
    ObjectReader(Node& node, ObjectId object, std::uint64_t offset, std::uint64_t length)
        : node_(node), object_(object), offset_(offset), length_(length) {}

    // The next octets, at most store::chunk_size; empty: that was all.
    net::Task<Result<std::string>> next() {
        if (length_ == 0) co_return std::string();
        std::uint64_t want = wanted();
        std::string octets;
        if (ahead_)
            octets = CO_TRY(co_await ahead_.take());
        else
            octets = CO_TRY(co_await read(node_, object_, offset_, want));
        if (octets.size() != want)
            co_return fail(ErrorKind::internal, "a stored message is shorter than its size says");
        offset_ += want;
        length_ -= want;
        if (length_ > 0) {
            auto here = co_await boost::asio::this_coro::executor;
            ahead_.start(node_, here, read(node_, object_, offset_, wanted()));
        }
        co_return octets;
    }

  private:
    std::uint64_t wanted() const {
        return std::min<std::uint64_t>(length_, store::chunk_size - offset_ % store::chunk_size);
    }
    static net::Task<Result<std::string>> read(Node& node, ObjectId object, std::uint64_t offset,
                                               std::uint64_t length) {
        auto job = [object, offset, length](store::SystemStore& system) {
            return system.read_object(object, offset, length);
        };
        co_return co_await node.read(store::system_file, job);
    }

    Node& node_;
    ObjectId object_;
    std::uint64_t offset_, length_;
    ReadAhead<Result<std::string>> ahead_;
};

}  // namespace fwmail::service
