// A connection to another IMAP server: carries octets and events between a stream and
// imap/client_session.hpp.
#pragma once

#include <array>
#include <deque>
#include <filesystem>

#include "config/host_port.hpp"
#include "imap/client_session.hpp"
#include "service/node.hpp"

namespace fwmail::service {

struct ImapServer {
    config::HostPort address;
    bool implicit_tls = true;  // else STARTTLS, which only a loopback address may lack
    std::string user;
    Secret password;
    std::filesystem::path ca_file;  // empty: the system's
    std::string pinned_sha256;      // 32 octets; empty: the certificate's name and CA are checked
};

class ImapClient {
  public:
    // Connected and logged in.
    static net::Task<Result<std::unique_ptr<ImapClient>>> connect(Node& node, ImapServer server);

    net::Task<Result<>> give(imap::client::Command command);
    // What the server brings next: rows, content, WantContent, an Answer.
    net::Task<Result<imap::client::Event>> next();
    // Gives the command and waits for its Answer; an error when that is no OK.
    net::Task<Result<imap::client::Answer>> run(imap::client::Command command);
    net::Task<Result<>> append_content(std::string octets);
    net::Task<> log_out();
    // What the server has turned down: `temporary` where the same may go well later.
    Error error_of(std::string_view text, std::string_view code, bool passing = false) const;

    const imap::client::Session& session() const { return session_; }

  private:
    ImapClient(ImapServer server, net::StreamPtr stream, std::shared_ptr<net::TlsClient> tls);
    net::Task<Result<>> perform(imap::client::Events events);
    net::Task<Result<>> read();

    std::string name_;
    net::StreamPtr stream_;
    std::shared_ptr<net::TlsClient> tls_;
    imap::client::Session session_;
    std::deque<imap::client::Event> events_;
    std::array<char, 64 * 1024> buffer_;
};

}  // namespace fwmail::service
