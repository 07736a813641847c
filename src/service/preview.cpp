#include "service/preview.hpp"

#include <algorithm>
#include <utility>

#include "mime/charset.hpp"
#include "mime/html_text.hpp"
#include "mime/transfer.hpp"

namespace fwmail::service {
namespace {

constexpr std::uint64_t most_read = 16 * 1024;
constexpr std::size_t most_characters = 200;  // RFC 8970 3.2: not more than 256
constexpr int deepest = 100;

bool readable(const mime::Part& part) {
    return mime::transfer_encoding(part.encoding) != mime::TransferEncoding::identity ||
           part.encoding == "7bit" || part.encoding == "8bit" || part.encoding == "binary";
}

const mime::Part* find_text(const mime::Part& part, std::string_view subtype, int depth) {
    if (part.disposition == "attachment" || depth > deepest) return nullptr;
    if (part.type == "text" && part.subtype == subtype && part.body.length && readable(part)) return &part;
    if (!part.is_multipart()) return nullptr;
    for (const auto& child : part.children)
        if (const auto* found = find_text(child, subtype, depth + 1)) return found;
    return nullptr;
}

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\0'; }

}  // namespace

PreviewSource preview_source(ObjectId object, const std::optional<mime::Part>& root) {
    PreviewSource source;
    if (!root) return source;
    const auto* part = find_text(*root, "plain", 0);
    if (!part) part = find_text(*root, "html", 0);
    if (!part) return source;
    source = {object, part->body.offset,      std::min(part->body.length, most_read), part->encoding,
              "",     part->subtype == "html"};
    for (const auto& [name, value] : part->parameters)
        if (name == "charset") source.charset = value;
    return source;
}

std::string preview_of(const PreviewSource& source, std::string_view octets) {
    std::string decoded = mime::decode_transfer(mime::transfer_encoding(source.encoding), octets);
    std::string text = mime::to_utf8(source.charset, decoded).value_or(mime::guess_utf8(decoded));
    if (source.html) {
        mime::HtmlText html;
        std::string plain;
        html.feed(text, plain);
        html.finish(plain);
        text = std::move(plain);
    }
    std::string out;
    bool space = false;
    std::size_t characters = 0;
    for (std::string_view rest = text; !rest.empty() && characters < most_characters;) {
        if (is_space(rest.front())) {
            space = !out.empty();
            rest.remove_prefix(1);
            continue;
        }
        if (std::exchange(space, false)) {
            out += ' ';
            if (++characters == most_characters) break;
        }
        mime::append_utf8(out, mime::take_utf8(rest));
        ++characters;
    }
    return out;
}

}  // namespace fwmail::service
