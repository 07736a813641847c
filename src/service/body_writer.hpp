// Writes one message body into the store while it arrives: small ones are kept until the end and committed
// with whatever makes them count, large ones go out in chunks, so that memory stays bounded.
#pragma once

#include <optional>
#include <string>

#include "mime/structure.hpp"
#include "service/node.hpp"

namespace fwmail::service {

class BodyWriter {
  public:
    explicit BodyWriter(Node& node) : node_(node), object_(make_object_id(node.clock())) {}

    // An error (the disk is full) stays: finish() gives it again.
    net::Task<Result<>> feed(std::string octets);

    struct Written {
        ObjectId object;
        std::uint64_t size = 0;
        store::MessageTexts texts;
        std::optional<std::string> content;  // still to be stored under `object`; absent: it lies there
    };
    // Ends the message. The writer is then spent.
    net::Task<Result<Written>> finish();

    // Instead of finish(), or after it when nothing came to hold the body: what lies on the disk goes.
    net::Task<> discard();

  private:
    net::Task<Result<>> flush_chunk(std::string chunk);

    Node& node_;
    ObjectId object_;
    mime::StructureParser parser_;
    std::string buffer_;
    std::uint64_t size_ = 0;
    std::uint32_t chunks_ = 0;
    Result<> failed_;
};

}  // namespace fwmail::service
