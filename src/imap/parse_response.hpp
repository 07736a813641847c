// What the parts of the response grammar share. Internal to imap.
#pragma once

#include "imap/parser.hpp"
#include "imap/response.hpp"

namespace fwmail::imap::response {

std::unexpected<Error> bad(std::string_view what);
std::string ascii_upper(std::string_view text);
// Up to a space, parenthesis or bracket; may be empty.
std::string take_word(Parser& parser);
Result<FlagSet> take_flags(Parser& parser, bool* recent);
// After `* 12 FETCH`.
Result<Response> take_fetch(Parser& parser, SeqNum number);

}  // namespace fwmail::imap::response
