// IMAP text from values (RFC 3501 9, RFC 9051 9). Strings with 8-bit octets, line ends or of great length
// become literals, so all output is valid for an IMAP4rev1 client that has enabled nothing.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/flags.hpp"
#include "base/ids.hpp"
#include "base/intervals.hpp"
#include "imap/section.hpp"
#include "mime/part.hpp"

namespace fwmail::imap {

// quoted or literal. NUL, which neither can hold, is left out.
std::string write_string(std::string_view text);
std::string write_nstring(const std::optional<std::string>& text);
// An atom where that is possible, else a string.
std::string write_astring(std::string_view text);
// A mailbox name in modified UTF-7, as astring.
std::string write_mailbox(std::string_view utf8_name);
// The same as UTF-8, for clients that have enabled that (RFC 9755 3, RFC 9051 5.1).
std::string write_utf8_mailbox(std::string_view utf8_name);

// These three are computed once, when a message is stored, and kept as text: what follows the item's name in
// FETCH.
std::string write_envelope(const mime::Envelope& envelope);
std::string write_body(const mime::Part& root);           // BODY
std::string write_bodystructure(const mime::Part& root);  // BODYSTRUCTURE, with extension data

// `BODY[1.2.HEADER.FIELDS (FROM)]<0>`
std::string write_section(const Section& section);
// "17-Jul-1996 02:44:25 +0000", with the quotes; always UTC.
std::string write_internal_date(UnixMillis when);
// In decimal.
void append_number(std::string& out, std::uint64_t number);
// `(\Seen $Junk)`
std::string write_flags(const FlagSet& flags, bool recent = false);
void append_flags(std::string& out, const FlagSet& flags, bool recent);
// `4,7:9`: in the order given, ascending runs joined. Never empty input.
std::string write_uid_set(const std::vector<Uid>& uids);
std::string write_uid_set(const UidSet& uids);
// Human-readable text of a status response: printable ASCII, one line, not empty, not beginning with '['.
std::string write_text(std::string_view text);

}  // namespace fwmail::imap
