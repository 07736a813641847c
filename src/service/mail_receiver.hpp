// Answers what an inbound SMTP or LMTP session asks: who logs in, who is local, who may relay, which mail is
// node mail. One a connection. A 250 to a message is said after its commit is on disk.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "crypto/hash.hpp"
#include "service/addresses.hpp"
#include "service/body_writer.hpp"
#include "service/intake.hpp"
#include "service/link_receiver.hpp"
#include "service/mail_limits.hpp"
#include "service/node.hpp"
#include "service/notices.hpp"
#include "service/sasl_login.hpp"
#include "smtp/header_stripper.hpp"
#include "smtp/server_session.hpp"
#include "smtp/submission_fields.hpp"

namespace fwmail::service {

// What a listener is for.
enum class MailService {
    transfer,    // mail from other servers; who is in smtp.relay-from may send to anybody
    submission,  // mail of users who log in (RFC 6409)
    delivery,    // LMTP: mail that is for this node
};

class MailReceiver {
  public:
    MailReceiver(Node& node, Intake& intake, LinkReceiver& links, MailLimits& limits, MailService service,
                 std::string peer)
        : node_(node),
          intake_(intake),
          links_(links),
          limits_(limits),
          service_(service),
          peer_(peer),
          sasl_(node, "submission", std::move(peer)) {}

    // Whenever TLS begins.
    void bind_to(const net::Stream& stream) { sasl_.bind_to(stream); }

    net::Task<smtp::Reply> log_in(smtp::AuthStart request);
    net::Task<smtp::Reply> log_in(smtp::AuthResponse request);
    // HELO name and protocol are for the Received field.
    net::Task<smtp::Reply> begin(smtp::MailFrom request);
    net::Task<smtp::Reply> recipient(smtp::RcptTo request);
    net::Task<smtp::Reply> data(std::string helo, std::string protocol);
    net::Task<> chunk(std::string octets);
    // One reply for each that the end of the message wants: in LMTP one for each recipient, in their order.
    net::Task<std::vector<smtp::Reply>> end(std::size_t replies);
    net::Task<> abort();

  private:
    // Whom an accepted RCPT has reached here.
    struct Recipient {
        std::string address;
        std::vector<AccountId> accounts;
        bool elsewhere = false;  // and others, at other servers
    };
    struct Transaction {
        smtp::Path sender;
        smtp::MailDsn dsn;
        bool utf8 = false;                                     // an address goes beyond ASCII
        std::vector<std::pair<AccountId, std::string>> local;  // and the address as given
        std::vector<store::QueueRecipient> relayed;
        std::vector<store::QueueRecipient> told;  // reached here, and the sender wants to hear of it
        std::vector<std::string> passed_on;       // aliases, as given, that lead elsewhere
        std::vector<Recipient> recipients;
        std::uint64_t size = 0;  // as declared; then of what has come
        std::optional<NodeId> link;
        EmailId email_id;
        UnixMillis arrived;
        std::optional<BodyWriter> body;
        smtp::HeaderFieldStripper stripper{};
        smtp::HeaderFieldStripper bcc{"Bcc:"};         // submission: not for the recipients to see
        std::optional<smtp::SubmissionFields> fields;  // submission
        std::size_t local_only = 0;                    // octets of Return-Path, which is not passed on
        crypto::Sha256 digest;
        std::string head;  // the first octets, for the loop guard
        std::string node_mail;
        NodeMailRoom::Share share{};
        bool node_mail_too_large = false, no_room = false;
    };

    smtp::Reply on_sasl(SaslLogin::Step step);
    bool may_relay() const;
    void take_recipients(smtp::RcptTo request, Reached reached);
    net::Task<Result<std::optional<smtp::Reply>>> no_room(Recipient recipient, std::uint64_t size);
    net::Task<Result<std::vector<std::optional<smtp::Reply>>>> refuse_full(Transaction& mail,
                                                                           std::size_t replies);
    net::Task<smtp::Reply> conclude(Transaction mail);
    Result<std::optional<Notice>> success_notice(const Transaction& mail) const;
    bool is_own_address(const smtp::Path& path) const;
    std::string filtered(Transaction& mail, std::string_view octets, bool last) const;
    net::Task<Result<>> store(Transaction& mail);

    Node& node_;
    Intake& intake_;
    LinkReceiver& links_;
    MailLimits& limits_;
    const MailService service_;
    std::string peer_;
    SaslLogin sasl_;
    std::shared_ptr<const UserRecord> user_;  // who has logged in
    std::optional<Transaction> transaction_;
};

}  // namespace fwmail::service
