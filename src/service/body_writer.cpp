#include "service/body_writer.hpp"

#include "base/co_try.hpp"
#include "service/message_texts.hpp"

namespace fwmail::service {

net::Task<Result<>> BodyWriter::feed(std::string octets) {
    if (!failed_) co_return failed_;
    parser_.feed(octets);
    size_ += octets.size();
    buffer_ += octets;
    while (buffer_.size() > store::chunk_size) {
        std::string chunk = buffer_.substr(0, store::chunk_size);
        buffer_.erase(0, store::chunk_size);
        failed_ = co_await flush_chunk(std::move(chunk));
        if (!failed_) co_return failed_;
    }
    co_return Result<>();
}

net::Task<Result<>> BodyWriter::flush_chunk(std::string chunk) {
    ObjectId object = object_;
    std::uint32_t index = chunks_++;
    UnixMillis now = node_.clock();
    std::size_t size = chunk.size();
    auto job = [object, index, now, chunk = std::move(chunk)](store::SystemStore& system) -> Result<> {
        if (index == 0) TRY(system.begin_object(object, now));
        return system.append_chunk(object, index, chunk);
    };
    co_return co_await node_.write(store::system_file, std::move(job), size);
}

net::Task<Result<BodyWriter::Written>> BodyWriter::finish() {
    if (!failed_) co_return std::unexpected(failed_.error());
    Written written{object_, size_, message_texts(parser_), std::nullopt};
    if (chunks_ == 0) {
        written.content = std::move(buffer_);
        co_return written;
    }
    if (!buffer_.empty()) CO_TRY(co_await flush_chunk(std::move(buffer_)));
    ObjectId object = object_;
    std::uint64_t size = size_;
    auto job = [object, size](store::SystemStore& system) -> Result<> {
        return system.finish_object(object, size);
    };
    CO_TRY(co_await node_.write(store::system_file, job));
    co_return written;
}

net::Task<> BodyWriter::discard() {
    if (chunks_ == 0) co_return;
    auto job = [object = object_](store::SystemStore& system) { return system.drop_object(object); };
    (void)co_await node_.write(store::system_file, job);  // else upkeep does it, in a day
}

}  // namespace fwmail::service
