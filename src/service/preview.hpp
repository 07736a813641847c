// The beginning of a message's text, for lists (RFC 8970). Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/ids.hpp"
#include "mime/part.hpp"

namespace fwmail::service {

// The octets that a preview is made of. Length 0: there is no text.
struct PreviewSource {
    ObjectId object;
    std::uint64_t offset = 0, length = 0;
    std::string encoding, charset;
    bool html = false;
};
// The first text part that is no attachment, plain before HTML. Only its beginning is read.
PreviewSource preview_source(ObjectId object, const std::optional<mime::Part>& root);
// At most 200 characters, white space joined.
std::string preview_of(const PreviewSource& source, std::string_view octets);

}  // namespace fwmail::service
