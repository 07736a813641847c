// What the store keeps of a message beside its octets: computed once, when it arrives.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "mime/structure.hpp"
#include "store/types.hpp"

namespace fwmail::service {

// `header`: the root's, as it came; nothing: it is too large to be kept beside.
store::MessageTexts message_texts(const mime::Part& root, std::optional<std::string_view> header);
// Of a message that is in memory.
store::MessageTexts message_texts(std::string_view message);
// Of one that went through the parser: ends it.
store::MessageTexts message_texts(mime::StructureParser& parser);

// The header that is kept beside a message. `kept` is not empty.
Result<std::string> unpack_header(std::string_view kept);

}  // namespace fwmail::service
