#include "service/message_texts.hpp"

#include "base/compress.hpp"
#include "imap/writer.hpp"
#include "mime/serialize.hpp"
#include "mime/sort_keys.hpp"

namespace fwmail::service {
namespace {

// The first octet says how the others are to be read.
constexpr char plain = 'p', packed = 'z';
constexpr std::size_t worth_packing = 1024;  // octets: smaller ones shrink little, and are read faster

std::string pack_header(std::string_view header) {
    if (header.size() >= worth_packing) {
        std::string small = zstd_compress(header);
        if (small.size() < header.size()) return packed + small;
    }
    return std::string(1, plain).append(header);
}

}  // namespace

store::MessageTexts message_texts(const mime::Part& root, std::optional<std::string_view> header) {
    mime::Envelope envelope = root.envelope.value_or(mime::Envelope{});
    return {imap::write_envelope(envelope),  imap::write_body(root),
            imap::write_bodystructure(root), mime::write_part(root),
            mime::write_sort_keys(envelope), header ? pack_header(*header) : std::string()};
}

store::MessageTexts message_texts(std::string_view message) {
    mime::StructureParser parser;
    parser.feed(message);
    return message_texts(parser);
}

store::MessageTexts message_texts(mime::StructureParser& parser) {
    mime::Part root = parser.finish();
    return message_texts(root, parser.header());
}

Result<std::string> unpack_header(std::string_view kept) {
    std::string_view octets = kept.substr(1);
    if (kept[0] == plain) return std::string(octets);
    if (kept[0] == packed)
        if (auto header = zstd_decompress(octets, mime::StructureParser::kept_header)) return header;
    return fail(ErrorKind::internal, "a header that is kept beside its message is damaged");
}

}  // namespace fwmail::service
