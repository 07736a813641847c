// Takes the messages of a source into an account, each once, however often it is interrupted and begun anew.
#pragma once

#include <functional>
#include <map>

#include "service/body_writer.hpp"
#include "service/mail_source.hpp"

namespace fwmail::service {

struct TransferCounts {
    std::uint64_t done = 0, known = 0, octets = 0;
};
// Told now and then, with the mailbox at hand. An error ends the work.
using TransferProgress = std::function<net::Task<Result<>>(std::string path, TransferCounts counts)>;

// Names a message at the other end: 16 octets.
std::string transfer_key(std::string_view end, std::string_view path, std::string_view item);

class Importer {
  public:
    struct Options {
        AccountId account;
        std::string source;  // its name, for ever the same
        std::string below;   // a mailbox into which all goes; empty: each under its own name
    };
    Importer(Node& node, Options options, TransferProgress progress)
        : node_(node), options_(std::move(options)), progress_(std::move(progress)) {}

    net::Task<Result<bool>> is_known(SourceMessage message);
    // What could be taken stays when this fails.
    net::Task<Result<>> run(MailSource& source);
    const TransferCounts& counts() const { return counts_; }

  private:
    struct Item {
        store::NewMessage message;
        std::optional<std::string> content;
        std::string key;
    };
    net::Task<Result<>> take(MailSource& source);
    net::Task<Result<>> flush();
    net::Task<Result<MailboxId>> mailbox_of(SourceMessage message);
    std::string target_path(const SourceMessage& message) const;

    Node& node_;
    Options options_;
    TransferProgress progress_;
    TransferCounts counts_;
    std::map<std::string, MailboxId> mailboxes_;              // by the source's path
    std::map<std::string, std::uint64_t, std::less<>> seen_;  // how often a content came in this run
    std::vector<Item> batch_;
    std::size_t batch_octets_ = 0;
    std::chrono::steady_clock::time_point told_{};
};

}  // namespace fwmail::service
