// Answers what an inbound SMTP session asks: who is local, who may relay, which mail is node mail. One a
// connection. A 250 to a message is said after its commit is on disk.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "crypto/hash.hpp"
#include "service/body_writer.hpp"
#include "service/intake.hpp"
#include "service/link_receiver.hpp"
#include "service/node.hpp"
#include "smtp/header_stripper.hpp"
#include "smtp/server_session.hpp"

namespace fwmail::service {

class MailReceiver {
  public:
    MailReceiver(Node& node, Intake& intake, LinkReceiver& links, std::string peer)
        : node_(node), intake_(intake), links_(links), peer_(std::move(peer)) {}

    // HELO name and protocol are for the Received field.
    net::Task<smtp::Reply> begin(smtp::MailFrom request);
    net::Task<smtp::Reply> recipient(smtp::RcptTo request);
    net::Task<smtp::Reply> data(std::string helo, std::string protocol);
    net::Task<> chunk(std::string octets);
    net::Task<smtp::Reply> end();
    net::Task<> abort();

  private:
    struct Transaction {
        smtp::Path sender;
        std::vector<std::pair<AccountId, std::string>> local;  // and the address as given
        std::vector<std::string> relayed;
        std::optional<NodeId> link;
        EmailId email_id;
        UnixMillis arrived;
        std::optional<BodyWriter> body;
        smtp::HeaderFieldStripper stripper{};
        crypto::Sha256 digest;
        std::string head;  // the first octets, for the loop guard
        std::string node_mail;
        NodeMailRoom::Share share{};
        bool node_mail_too_large = false, no_room = false;
    };

    bool may_relay() const;
    net::Task<Result<>> store(Transaction& mail);

    Node& node_;
    Intake& intake_;
    LinkReceiver& links_;
    std::string peer_;
    std::optional<Transaction> transaction_;
};

}  // namespace fwmail::service
