// Where export puts mail: mailboxes one by one, their messages one by one, each in pieces.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "base/flags.hpp"
#include "service/node.hpp"

namespace fwmail::service {

struct ExportMessage {
    UidValidity uidvalidity;
    Uid uid;
    FlagSet flags;
    UnixMillis date;
    std::uint64_t size = 0;
    bool all_crlf = false;  // every line ends in CRLF; told where wants_line_ends()
};

class MailTarget {
  public:
    virtual ~MailTarget() = default;
    // UTF-8, '/' between levels, "INBOX".
    virtual net::Task<Result<>> begin_mailbox(std::string path, std::string special_use) = 0;
    // False: it is there already. `refused`: this message cannot be put there, others may.
    virtual net::Task<Result<bool>> begin(ExportMessage message) = 0;
    virtual net::Task<Result<>> write(std::string octets) = 0;
    virtual net::Task<Result<>> end() = 0;
    virtual net::Task<Result<>> end_mailbox() = 0;
    virtual net::Task<> finish() = 0;
    virtual bool wants_line_ends() const { return false; }
    // Whether the account has to remember what was put there; else the target shows it.
    virtual bool forgets() const { return false; }
};

enum class MaildirLayout { plus_plus, nested };

// These three write into a folder that is empty, new, or one of their own from before. Opened on a store
// thread.
Result<std::unique_ptr<MailTarget>> open_maildir_target(Node& node, std::filesystem::path folder,
                                                        AccountId account, MaildirLayout layout);
Result<std::unique_ptr<MailTarget>> open_mbox_target(Node& node, std::filesystem::path folder,
                                                     AccountId account);
Result<std::unique_ptr<MailTarget>> open_eml_target(Node& node, std::filesystem::path folder,
                                                    AccountId account);

}  // namespace fwmail::service
