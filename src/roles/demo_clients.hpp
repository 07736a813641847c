// A mail program's side of SMTP and IMAP, as little as the demo needs. Not the sessions of src/smtp and
// src/imap: a mistake that both sides share would not show.
#pragma once

#include <optional>

#include "net/line_client.hpp"

namespace fwmail::roles {

struct SmtpAnswer {
    int code = 0;
    std::string text;  // the last line, with the code
};

class SmtpClient {
  public:
    static Result<SmtpClient> open(std::uint16_t port);
    Result<SmtpAnswer> command(std::string_view line);
    // One transaction: the first answer that says no, or the last. The message must have CRLF line ends; one
    // that does not end in CRLF gets it, since DATA knows no other way.
    Result<SmtpAnswer> send(std::string_view from, std::string_view to, std::string_view message);

  private:
    explicit SmtpClient(net::LineClient line) : line_(std::move(line)) {}
    Result<SmtpAnswer> answer();
    net::LineClient line_;
};

// One response: its text, a {N} where each literal was.
struct ImapResponse {
    std::string text;
    std::vector<std::string> literals;
};

class ImapClient {
  public:
    static Result<ImapClient> log_in(std::uint16_t port, std::string_view user, std::string_view password);
    // The untagged responses; an error if the tagged one is not OK.
    Result<std::vector<ImapResponse>> command(std::string_view text);
    // Octet for octet.
    Result<> append(std::string_view mailbox, std::string_view message);
    Result<> begin_idle();
    // The next response, within so long.
    Result<ImapResponse> next(std::chrono::milliseconds patience);
    Result<> end_idle();

  private:
    explicit ImapClient(net::LineClient line) : line_(std::move(line)) {}
    std::string new_tag() { return "d" + std::to_string(++tags_); }
    Result<ImapResponse> read();
    Result<std::vector<ImapResponse>> until_tagged(const std::string& tag);
    net::LineClient line_;
    unsigned tags_ = 0;
    std::string idle_tag_;
};

// The number behind the first `label` ("UID ").
std::optional<std::uint32_t> number_behind(std::string_view text, std::string_view label);
// What stands in parentheses behind the first `label` ("FLAGS (").
std::string text_behind(std::string_view text, std::string_view label);

}  // namespace fwmail::roles
