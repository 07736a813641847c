// Where import takes mail from: messages one by one, each in pieces.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/flags.hpp"
#include "mime/mbox.hpp"
#include "service/node.hpp"

namespace fwmail::service {

struct SourceMessage {
    std::string path;         // of its mailbox: UTF-8, '/' between levels, "INBOX"
    std::string special_use;  // of that, as `\Sent`; empty: none is known
    // Names the message in its mailbox for ever. Empty until all of it has been read; empty even then:
    // nothing does but its content.
    std::string item;
    FlagSet flags;
    UnixMillis date;
    int zone_minutes = 0;
};

class MailSource {
  public:
    virtual ~MailSource() = default;
    // The next message; nothing after the last. One that is not read to its end is passed over.
    virtual net::Task<Result<std::optional<SourceMessage>>> next() = 0;
    // Its next octets, lines ending in CRLF; empty: that was all.
    virtual net::Task<Result<std::string>> read() = 0;
    // Flags and dates as they are known once all of it has been read.
    virtual const SourceMessage& message() const = 0;
    // What could not be opened and was passed over: one sentence each, the first hundred.
    virtual std::vector<std::string> unreadable() const { return {}; }
    // The message was cut off in the midst, and next() gives it again.
    virtual bool goes_on() const { return false; }
};

// Whether the message need not be offered: it has been imported before.
using IsKnown = std::function<net::Task<Result<bool>>(SourceMessage)>;

Result<std::unique_ptr<MailSource>> open_maildir_source(Node& node, std::filesystem::path folder);
Result<std::unique_ptr<MailSource>> open_eml_source(Node& node, std::filesystem::path folder);
// A file, which is INBOX, or a folder of such files.
Result<std::unique_ptr<MailSource>> open_mbox_source(Node& node, std::filesystem::path path,
                                                     mime::MboxQuoting quoting);

}  // namespace fwmail::service
