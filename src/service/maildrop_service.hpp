// Answers what a POP3 session asks (pop3/server_session.hpp), from a user's INBOX. One a session.
//
// Nothing is locked: the maildrop is what INBOX held at login, and messages are named by UID from then on. So
// IMAP goes on meanwhile, and what has gone through it is refused here, or already removed.
#pragma once

#include <optional>

#include "pop3/server_session.hpp"
#include "service/object_reader.hpp"
#include "service/sasl_login.hpp"

namespace fwmail::service {

class MaildropService {
  public:
    MaildropService(Node& node, std::string peer)
        : node_(node), peer_(peer), sasl_(node, "pop3", std::move(peer)) {}

    // Whenever TLS begins.
    void bind_to(const net::Stream& stream) { sasl_.bind_to(stream); }

    net::Task<pop3::Reply> execute(pop3::Request request);
    // Of the message that Open has opened: the next octets; empty: that was all.
    net::Task<Result<std::string>> next_piece();

  private:
    net::Task<Result<pop3::Reply>> on(pop3::Login request);
    net::Task<Result<pop3::Reply>> on(pop3::AuthStart request);
    net::Task<Result<pop3::Reply>> on(pop3::AuthResponse request);
    net::Task<Result<pop3::Reply>> on(pop3::Open request);
    net::Task<Result<pop3::Reply>> on(pop3::Remove request);

    net::Task<Result<pop3::Reply>> open_drop(AccountId account);

    Node& node_;
    std::string peer_;
    SaslLogin sasl_;
    std::optional<AccountId> account_;
    MailboxId inbox_;
    std::optional<ObjectReader> reader_;
};

}  // namespace fwmail::service
