// The mbox format (RFC 4155 and what programs do): messages one behind the other, each begun by a line
// `From sender date` and ended by an empty line. In the mboxrd form every line `>*From ` of a message gets
// one `>` more; in the mboxo form only `From ` itself does, so that reading it back is a guess.
//
// Flags stand in the header, as `Status: RO`, `X-Status: AFTD` and `X-Keywords: a b`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/flags.hpp"
#include "base/ids.hpp"

namespace fwmail::mime {

enum class MboxQuoting { rd, o };

struct MboxBegin {
    UnixMillis date;  // of the `From ` line
};
struct MboxContent {
    std::string octets;  // unquoted, with the file's own line ends, without the fields that hold flags
};
struct MboxEnd {
    FlagSet flags;
};
using MboxEvent = std::variant<MboxBegin, MboxContent, MboxEnd>;

// File to messages, in pieces of any size. What stands before the first `From ` line is passed over.
class MboxReader {
  public:
    explicit MboxReader(MboxQuoting quoting = MboxQuoting::rd) : quoting_(quoting) {}

    std::vector<MboxEvent> add(std::string_view octets);
    std::vector<MboxEvent> finish();

  private:
    void on_line(std::string_view line, bool whole);
    void begin(UnixMillis date);
    void end();
    void content(std::string_view octets);
    bool take_flag_field(std::string_view line);

    MboxQuoting quoting_;
    std::vector<MboxEvent> events_;
    std::string buffer_;  // a line that is not whole yet
    bool in_message_ = false, in_header_ = false, mid_line_ = false;
    bool after_empty_ = true;  // the line before was empty, or there was none
    std::string held_;         // an empty line: the message's, unless a message begins behind it
    FlagSet flags_;
};

// Message to file: lines end in LF.
class MboxWriter {
  public:
    // The `From ` line comes first.
    MboxWriter(UnixMillis date, FlagSet flags) : date_(date), flags_(std::move(flags)) {}

    std::string add(std::string_view octets);  // of the message, with LF line ends
    std::string finish();

  private:
    std::string fields() const;

    UnixMillis date_;
    FlagSet flags_;
    bool begun_ = false, in_header_ = true, line_start_ = true;
    std::string held_;  // the begin of a line that may have to be quoted
};

// `From x@y Sat Nov 21 12:00:00 2026`, with a zone before or behind the year, or without seconds.
std::optional<UnixMillis> parse_mbox_separator(std::string_view line);

// Message octets for files and back. A file has LF, or CRLF where its first line ends so.
class LineEndsToCrlf {
  public:
    std::string add(std::string_view octets);

  private:
    std::optional<bool> convert_;
    bool after_cr_ = false;
};
// CRLF to LF; for messages that have no other line ends.
class LineEndsToLf {
  public:
    std::string add(std::string_view octets);
    std::string finish();

  private:
    bool after_cr_ = false;
};
// Whether every CR is followed by LF and every LF preceded by CR.
class LineEndsCheck {
  public:
    void add(std::string_view octets);
    bool all_crlf() const { return good_ && !after_cr_; }

  private:
    bool good_ = true, after_cr_ = false;
};

}  // namespace fwmail::mime
