// AUTHENTICATE (RFC 9051 6.2.2) PLAIN (RFC 4616) and LOGIN, with SASL-IR (RFC 4959).
#include "base/encoding.hpp"
#include "imap/session_core.hpp"

namespace fwmail::imap {
namespace {

constexpr std::size_t longest_response = 4096;

class AuthenticateCommand : public Command {
  public:
    enum class Mechanism { plain, login };
    AuthenticateCommand(Mechanism mechanism, std::optional<std::string> initial)
        : mechanism_(mechanism), initial_(std::move(initial)) {}
    ~AuthenticateCommand() override {
        if (initial_) wipe(*initial_);
    }

    void start(SessionCore& core) override {
        if (!core.login_allowed())
            return core.no({ErrorKind::refused, "PRIVACYREQUIRED",
                            "Login needs TLS here: use STARTTLS or the TLS port"});
        // "=" is an empty initial response (RFC 4959 3).
        if (initial_) return on_response(core, *initial_ == "=" ? "" : *initial_);
        prompt(core);
    }
    void on_line(SessionCore& core, std::string& line) override {
        if (line == "*") return core.bad("AUTHENTICATE cancelled");
        on_response(core, line);
    }
    void on_reply(SessionCore& core, Reply& reply) override {
        if (std::holds_alternative<Done>(reply)) return core.logged_in(std::move(user_));
        if (const auto* refusal = std::get_if<Refusal>(&reply)) return core.login_failed(*refusal);
        core.unexpected(reply);
    }

  private:
    void prompt(SessionCore& core) {
        if (mechanism_ == Mechanism::plain) return core.want_line("");
        core.want_line(base64_encode(user_known_ ? "Password:" : "Username:"));
    }
    void on_response(SessionCore& core, std::string_view text) {
        auto octets = text.size() > longest_response ? std::nullopt : base64_decode(text);
        if (!octets) return core.bad("invalid base64");
        if (mechanism_ == Mechanism::plain) {
            on_plain(core, *octets);
        } else if (!user_known_) {
            user_ = *octets;
            user_known_ = true;
            prompt(core);
        } else {
            ask(core, std::string(*octets));
        }
        wipe(*octets);
    }
    // message = [authzid] NUL authcid NUL passwd (RFC 4616 2). Nobody acts for another here.
    void on_plain(SessionCore& core, std::string_view message) {
        std::size_t first = message.find('\0');
        std::size_t second = first == std::string_view::npos ? first : message.find('\0', first + 1);
        if (second == std::string_view::npos) return core.bad("invalid PLAIN message");
        user_ = message.substr(first + 1, second - first - 1);
        if (first != 0 && message.substr(0, first) != user_)
            return core.login_failed({ErrorKind::refused, "AUTHORIZATIONFAILED", {}});
        ask(core, std::string(message.substr(second + 1)));
    }
    void ask(SessionCore& core, std::string password) {
        bool nul = user_.find('\0') != std::string::npos || password.find('\0') != std::string::npos;
        Secret secret(std::move(password));
        if (nul || user_.empty()) return core.login_failed({ErrorKind::refused, {}, {}});
        core.ask(Authenticate{user_, std::move(secret)});
    }

    Mechanism mechanism_;
    std::optional<std::string> initial_;
    std::string user_;
    bool user_known_ = false;
};

}  // namespace

CommandResult parse_authenticate(CommandInput& input) {
    using Mechanism = AuthenticateCommand::Mechanism;
    TRY(input.parser.space());
    std::string name = TRY(input.parser.word());
    std::optional<std::string> initial;
    if (input.parser.accept(' ')) initial = TRY(input.parser.astring());
    TRY(input.parser.end());
    if (name != "PLAIN" && name != "LOGIN") return fail(ErrorKind::refused, "mechanism not supported");
    return std::make_unique<AuthenticateCommand>(name == "PLAIN" ? Mechanism::plain : Mechanism::login,
                                                 std::move(initial));
}

}  // namespace fwmail::imap
