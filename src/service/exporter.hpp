// Puts an account's mail somewhere else: every message once, however often it is interrupted and begun anew.
#pragma once

#include "service/importer.hpp"
#include "service/mail_target.hpp"

namespace fwmail::service {

class Exporter {
  public:
    struct Options {
        AccountId account;
        std::string target;  // its name, for ever the same
    };
    Exporter(Node& node, Options options, TransferProgress progress)
        : node_(node), options_(std::move(options)), progress_(std::move(progress)) {}

    net::Task<Result<>> run(MailTarget& target);
    const TransferCounts& counts() const { return counts_; }
    // One sentence for each message that the target refused; the first hundred.
    const std::vector<std::string>& refused() const { return refused_; }

  private:
    net::Task<Result<>> put_mailbox(MailTarget& target, store::Mailbox mailbox);
    net::Task<Result<>> put(MailTarget& target, store::Mailbox mailbox, store::Message message);
    net::Task<Result<bool>> all_crlf(store::Message message);

    Node& node_;
    Options options_;
    TransferProgress progress_;
    TransferCounts counts_;
    std::vector<std::string> refused_;
    std::chrono::steady_clock::time_point told_{};
};

}  // namespace fwmail::service
