#include "roles/demo_clients.hpp"

#include <charconv>

#include "mime/dot_stuffing.hpp"

namespace fwmail::roles {
namespace {

constexpr std::chrono::seconds patience(10);

// The N of a line that ends in {N}.
std::optional<std::size_t> literal_size(std::string_view line) {
    auto brace = line.rfind('{');
    if (!line.ends_with('}') || brace == std::string_view::npos) return std::nullopt;
    std::size_t size = 0;
    auto digits = line.substr(brace + 1, line.size() - brace - 2);
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), size);
    if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
    return size;
}

}  // namespace

// --- SMTP

Result<SmtpClient> SmtpClient::open(std::uint16_t port) {
    SmtpClient client(TRY(net::LineClient::connect_loopback(port, patience)));
    auto greeting = TRY(client.answer());
    if (greeting.code == 220) greeting = TRY(client.command("EHLO elsewhere.test"));
    if (greeting.code / 100 != 2) return fail(ErrorKind::refused, "SMTP does not begin: " + greeting.text);
    return client;
}

Result<SmtpAnswer> SmtpClient::answer() {
    while (true) {
        std::string line = TRY(line_.read_line());
        int code = 0;
        auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), code);
        if (error != std::errc{} || end != line.data() + 3)
            return fail(ErrorKind::protocol, "this is not SMTP: " + line);
        if (line.size() < 4 || line[3] != '-') return SmtpAnswer{code, line};
    }
}

Result<SmtpAnswer> SmtpClient::command(std::string_view line) {
    TRY(line_.write(std::string(line) + "\r\n"));
    return answer();
}

Result<SmtpAnswer> SmtpClient::send(std::string_view from, std::string_view to, std::string_view message) {
    auto said = TRY(command("MAIL FROM:<" + std::string(from) + "> BODY=8BITMIME"));
    if (said.code == 250) said = TRY(command("RCPT TO:<" + std::string(to) + ">"));
    if (said.code == 250) said = TRY(command("DATA"));
    if (said.code != 354) return said;
    mime::DotStuffer stuffer;
    TRY(line_.write(stuffer.add(message)));
    TRY(line_.write(stuffer.finish()));
    return answer();
}

// --- IMAP

Result<ImapClient> ImapClient::log_in(std::uint16_t port, std::string_view user, std::string_view password) {
    ImapClient client(TRY(net::LineClient::connect_loopback(port, patience)));
    auto greeting = TRY(client.read());
    if (!greeting.text.starts_with("* OK"))
        return fail(ErrorKind::refused, "IMAP does not begin: " + greeting.text);
    TRY(client.command("LOGIN " + std::string(user) + " \"" + std::string(password) + "\""));
    return client;
}

Result<ImapResponse> ImapClient::read() {
    ImapResponse response;
    while (true) {
        response.text += TRY(line_.read_line());
        auto size = literal_size(response.text);
        if (!size) return response;
        response.literals.push_back(TRY(line_.read_octets(*size)));
    }
}

Result<std::vector<ImapResponse>> ImapClient::until_tagged(const std::string& tag) {
    std::vector<ImapResponse> responses;
    while (true) {
        auto response = TRY(read());
        if (response.text.starts_with(tag + " OK")) return responses;
        if (response.text.starts_with(tag + " ") || response.text.starts_with("* BYE"))
            return fail(ErrorKind::refused, "IMAP says: " + response.text);
        responses.push_back(std::move(response));
    }
}

Result<std::vector<ImapResponse>> ImapClient::command(std::string_view text) {
    std::string tag = new_tag();
    TRY(line_.write(tag + " " + std::string(text) + "\r\n"));
    return until_tagged(tag);
}

Result<> ImapClient::append(std::string_view mailbox, std::string_view message) {
    std::string tag = new_tag();
    TRY(line_.write(tag + " APPEND " + std::string(mailbox) + " {" + std::to_string(message.size()) +
                    "}\r\n"));
    auto go_on = TRY(read());
    if (!go_on.text.starts_with("+")) return fail(ErrorKind::refused, "IMAP says: " + go_on.text);
    TRY(line_.write(message));
    TRY(line_.write("\r\n"));
    TRY(until_tagged(tag));
    return {};
}

Result<> ImapClient::begin_idle() {
    idle_tag_ = new_tag();
    TRY(line_.write(idle_tag_ + " IDLE\r\n"));
    auto go_on = TRY(read());
    if (!go_on.text.starts_with("+")) return fail(ErrorKind::refused, "IMAP says: " + go_on.text);
    return {};
}

Result<ImapResponse> ImapClient::next(std::chrono::milliseconds time) {
    line_.set_patience(time);
    auto response = read();
    line_.set_patience(patience);
    return response;
}

Result<> ImapClient::end_idle() {
    TRY(line_.write("DONE\r\n"));
    TRY(until_tagged(idle_tag_));
    return {};
}

std::optional<std::uint32_t> number_behind(std::string_view text, std::string_view label) {
    auto at = text.find(label);
    if (at == std::string_view::npos) return std::nullopt;
    text.remove_prefix(at + label.size());
    std::uint32_t number = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{}) return std::nullopt;
    return number;
}

std::string text_behind(std::string_view text, std::string_view label) {
    auto at = text.find(label);
    if (at == std::string_view::npos) return {};
    text.remove_prefix(at + label.size());
    return std::string(text.substr(0, text.find(')')));
}

}  // namespace fwmail::roles
