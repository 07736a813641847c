// Address lists (RFC 5322 3.4, with the obsolete syntax of 4.4) and envelopes (RFC 9051 7.5.2).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "mime/header.hpp"
#include "mime/part.hpp"

namespace fwmail::mime {

// Reads a raw or unfolded field body. Never fails: what cannot be read is skipped or kept as a name. Linear
// in its size. Groups are written as part.hpp says; an address without a domain has host "" (so that it is no
// group). A comment after an address without a display name becomes its name. At most `limit` entries, group
// ends included.
std::vector<Address> parse_addresses(std::string_view value, std::size_t limit = 1000);

// `Name <local@host>, ...` in ASCII-safe quoting; names and local parts are written as they are (8-bit kept).
// Undoes parse_addresses() for anything that it returns, but for names that it cannot have written. No
// folding.
std::string write_addresses(const std::vector<Address>& addresses);
// local@host with the local part quoted where needed; just local without a host.
std::string write_addr_spec(const Address& address);

// sender and reply_to default to from. Of repeated fields the first counts. At most `max_addresses` a list.
Envelope parse_envelope(std::string_view header, std::size_t max_addresses = 1000);
Envelope parse_envelope(const HeaderView& header, std::size_t max_addresses = 1000);

// The message ids of Message-ID, In-Reply-To or References, with their angle brackets, white space and
// comments dropped (RFC 5322 3.6.4). At most `limit`, the first ones.
std::vector<std::string> parse_message_ids(std::string_view value, std::size_t limit = 1000);

}  // namespace fwmail::mime
