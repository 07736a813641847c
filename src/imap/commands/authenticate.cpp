// AUTHENTICATE (RFC 9051 6.2.2), with SASL-IR (RFC 4959). The mechanisms stand in sasl/.
#include "base/encoding.hpp"
#include "imap/session_core.hpp"
#include "sasl/mechanism.hpp"

namespace fwmail::imap {
namespace {

constexpr std::size_t longest_response = 4096;

class AuthenticateCommand : public Command {
  public:
    AuthenticateCommand(std::string mechanism, std::optional<Secret> initial)
        : mechanism_(std::move(mechanism)), initial_(std::move(initial)) {}

    void start(SessionCore& core) override {
        if (!core.login_allowed())
            return core.no({ErrorKind::refused, "PRIVACYREQUIRED",
                            "Login needs TLS here: use STARTTLS or the TLS port"});
        if (!sasl::is_offered(mechanism_, core.options.tls_active))
            return core.no({ErrorKind::refused, {}, "mechanism not supported"});
        AuthStart request{mechanism_, std::nullopt};
        if (initial_) {
            // "=" is an empty initial response (RFC 4959 3).
            auto octets = decode(initial_->view() == "=" ? "" : initial_->view());
            if (!octets) return core.bad("invalid base64");
            request.initial = std::move(*octets);
        }
        core.ask(std::move(request));
    }
    void on_line(SessionCore& core, std::string& line) override {
        if (line == "*") return core.bad("AUTHENTICATE cancelled");
        auto octets = decode(line);
        if (!octets) return core.bad("invalid base64");
        core.ask(AuthResponse{std::move(*octets)});
    }
    void on_reply(SessionCore& core, Reply& reply) override {
        if (std::holds_alternative<Done>(reply)) return core.logged_in();
        if (const auto* challenge = std::get_if<AuthChallenge>(&reply))
            return core.want_line(base64_encode(challenge->octets));
        const auto* refusal = std::get_if<Refusal>(&reply);
        if (!refusal) return core.unexpected(reply);
        if (refusal->kind == ErrorKind::protocol) return core.bad(refusal->text);
        core.login_failed(*refusal);
    }

  private:
    static std::optional<Secret> decode(std::string_view text) {
        auto octets = text.size() > longest_response ? std::nullopt : base64_decode(text);
        if (!octets) return std::nullopt;
        return Secret(std::move(*octets));
    }

    std::string mechanism_;
    std::optional<Secret> initial_;
};

}  // namespace

CommandResult parse_authenticate(CommandInput& input) {
    TRY(input.parser.space());
    std::string name = TRY(input.parser.word());
    std::optional<Secret> initial;
    if (input.parser.accept(' ')) initial = Secret(TRY(input.parser.astring()));
    TRY(input.parser.end());
    return std::make_unique<AuthenticateCommand>(std::move(name), std::move(initial));
}

}  // namespace fwmail::imap
