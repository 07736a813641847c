#include "base/compress.hpp"

#include <zstd.h>

#include <memory>
#include <new>

namespace fwmail {

std::string zstd_compress(std::string_view octets, int level) {
    // A context costs as much to make as a small message to compress.
    thread_local std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context(ZSTD_createCCtx(),
                                                                              ZSTD_freeCCtx);
    if (!context) throw std::bad_alloc();
    std::string out(ZSTD_compressBound(octets.size()), '\0');
    std::size_t size =
        ZSTD_compressCCtx(context.get(), out.data(), out.size(), octets.data(), octets.size(), level);
    if (ZSTD_isError(size)) throw std::bad_alloc();  // the bound holds, so only memory can be short
    out.resize(size);
    return out;
}

Result<std::string> zstd_decompress(std::string_view octets, std::size_t limit) {
    thread_local std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(ZSTD_createDCtx(),
                                                                              ZSTD_freeDCtx);
    if (!context) throw std::bad_alloc();
    ZSTD_DCtx_reset(context.get(), ZSTD_reset_session_only);
    std::string out;
    // What we have compressed says its size, and is done at once.
    auto size = ZSTD_getFrameContentSize(octets.data(), octets.size());
    bool known = size != ZSTD_CONTENTSIZE_UNKNOWN && size != ZSTD_CONTENTSIZE_ERROR;
    if (known && size <= limit &&
        ZSTD_findFrameCompressedSize(octets.data(), octets.size()) == octets.size()) {
        std::size_t made = 0;
        out.resize_and_overwrite(size, [&](char* to, std::size_t) {
            made = ZSTD_decompressDCtx(context.get(), to, size, octets.data(), octets.size());
            return ZSTD_isError(made) ? 0 : made;
        });
        if (ZSTD_isError(made) || made != size)
            return fail(ErrorKind::protocol, "compressed data is damaged");
        return out;
    }
    std::string block(ZSTD_DStreamOutSize(), '\0');
    ZSTD_inBuffer in{octets.data(), octets.size(), 0};
    for (;;) {
        ZSTD_outBuffer chunk{block.data(), block.size(), 0};
        std::size_t left = ZSTD_decompressStream(context.get(), &chunk, &in);
        if (ZSTD_isError(left)) return fail(ErrorKind::protocol, "compressed data is damaged");
        if (out.size() + chunk.pos > limit)
            return fail(ErrorKind::protocol, "compressed data expands beyond the limit");
        out.append(block.data(), chunk.pos);
        if (left == 0) break;
        if (in.pos == in.size && chunk.pos < chunk.size)
            return fail(ErrorKind::protocol, "compressed data is cut short");
    }
    if (in.pos != in.size) return fail(ErrorKind::protocol, "octets follow the compressed data");
    return out;
}

}  // namespace fwmail
