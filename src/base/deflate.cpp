#include "base/deflate.hpp"

#include <zlib.h>

#include <new>
#include <utility>

namespace fwmail {
namespace {

// 2^13 octets back, and hash chains to match: about 64 KiB for text that repeats itself within some lines, as
// the answers of one command do. zlib's default would be 256 KiB for some hundredths less.
constexpr int window_bits = 13, memory_level = 6;
constexpr int any_window = 15;  // what the other side may use
constexpr std::size_t most_window = 1u << any_window;

Bytef* octets_of(std::string_view text) {
    return reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));  // zlib does not write there
}

}  // namespace

struct Deflater::Stream {
    z_stream z{};
    Stream() {
        if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -window_bits, memory_level,
                         Z_DEFAULT_STRATEGY) != Z_OK)
            throw std::bad_alloc();
    }
    ~Stream() { deflateEnd(&z); }
};

Deflater::Deflater() : stream_(std::make_unique<Stream>()) {}
Deflater::~Deflater() = default;

std::string Deflater::add(std::string_view octets) {
    std::string out;
    z_stream& z = stream_->z;
    z.next_in = octets_of(octets);
    z.avail_in = static_cast<uInt>(octets.size());
    do {
        std::size_t before = out.size();
        std::size_t room = octets.size() / 2 + 256;
        out.resize(before + room);
        z.next_out = reinterpret_cast<Bytef*>(out.data() + before);
        z.avail_out = static_cast<uInt>(room);
        deflate(&z, Z_SYNC_FLUSH);
        out.resize(before + room - z.avail_out);
    } while (z.avail_out == 0);
    return out;
}

struct Inflater::Stream {
    z_stream z{};
    Stream() {
        if (inflateInit2(&z, -any_window) != Z_OK) throw std::bad_alloc();
    }
    ~Stream() { inflateEnd(&z); }
};

Inflater::Inflater() = default;
Inflater::~Inflater() = default;

void Inflater::feed(std::string octets) {
    input_.erase(0, position_);
    position_ = 0;
    input_ += octets;
}

Result<> Inflater::wake() {
    if (stream_) return {};
    stream_ = std::make_unique<Stream>();
    std::string window = std::exchange(window_, {});
    if (!window.empty() &&
        inflateSetDictionary(&stream_->z, octets_of(window), static_cast<uInt>(window.size())) != Z_OK)
        return fail(ErrorKind::internal, "DEFLATE: the window cannot be put back");
    return {};
}

Result<std::size_t> Inflater::read(std::span<char> into) {
    if (into.empty()) return 0;
    std::size_t made = 0;
    while (made == 0 && (position_ < input_.size() || full_)) {
        TRY(wake());
        z_stream& z = stream_->z;
        z.next_in = octets_of(input_) + position_;
        z.avail_in = static_cast<uInt>(input_.size() - position_);
        z.next_out = reinterpret_cast<Bytef*>(into.data());
        z.avail_out = static_cast<uInt>(into.size());
        // Z_BLOCK stops between blocks, and says so: rest() wants to know.
        int result = inflate(&z, Z_BLOCK);
        position_ = input_.size() - z.avail_in;
        made = into.size() - z.avail_out;
        full_ = z.avail_out == 0;
        if (result == Z_MEM_ERROR) return fail(ErrorKind::temporary, "DEFLATE: no memory");
        // Z_BUF_ERROR: nothing to do without more input. An end of the stream has no place in RFC 4978.
        if (result != Z_OK && result != Z_BUF_ERROR) return fail(ErrorKind::protocol, "this is not DEFLATE");
    }
    if (position_ == input_.size()) {
        input_ = {};
        position_ = 0;
    }
    return made;
}

void Inflater::rest() {
    // Between two blocks, and on an octet's border: there is no state but the window (zlib.h, data_type).
    if (!stream_ || !input_.empty() || full_ || stream_->z.data_type != 128) return;
    std::string window(most_window, '\0');
    uInt size = 0;
    if (inflateGetDictionary(&stream_->z, octets_of(window), &size) != Z_OK) return;
    window.resize(size);
    window.shrink_to_fit();
    window_ = std::move(window);
    stream_.reset();
}

}  // namespace fwmail
