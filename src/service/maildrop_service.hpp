// Answers what a POP3 session asks (pop3/server_session.hpp), from a user's INBOX. One a session.
//
// Nothing is locked: the maildrop is what INBOX held at login, and messages are named by UID from then on. So
// IMAP goes on meanwhile, and what has gone through it is refused here, or already removed.
#pragma once

#include <optional>

#include "pop3/server_session.hpp"
#include "service/object_reader.hpp"

namespace fwmail::service {

class MaildropService {
  public:
    MaildropService(Node& node, std::string peer) : node_(node), peer_(std::move(peer)) {}

    net::Task<pop3::Reply> execute(pop3::Request request);
    // Of the message that Open has opened: the next octets; empty: that was all.
    net::Task<Result<std::string>> next_piece();

  private:
    net::Task<Result<pop3::Reply>> on(pop3::Login request);
    net::Task<Result<pop3::Reply>> on(pop3::Open request);
    net::Task<Result<pop3::Reply>> on(pop3::Remove request);

    Node& node_;
    std::string peer_;
    std::optional<AccountId> account_;
    MailboxId inbox_;
    std::optional<ObjectReader> reader_;
};

}  // namespace fwmail::service
