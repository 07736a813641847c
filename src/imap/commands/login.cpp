// LOGIN (RFC 9051 6.2.3).
#include "imap/session_core.hpp"

namespace fwmail::imap {
namespace {

class Login : public Command {
  public:
    Login(std::string user, std::string password) : user_(std::move(user)), password_(std::move(password)) {}

    void start(SessionCore& core) override {
        if (!core.login_allowed())
            return core.no({ErrorKind::refused, "PRIVACYREQUIRED",
                            "Login needs TLS here: use STARTTLS or the TLS port"});
        core.ask(Authenticate{user_, std::move(password_)});
    }
    void on_reply(SessionCore& core, Reply& reply) override {
        if (std::holds_alternative<Done>(reply)) return core.logged_in();
        if (const auto* refusal = std::get_if<Refusal>(&reply)) return core.login_failed(*refusal);
        core.unexpected(reply);
    }

  private:
    std::string user_;
    Secret password_;
};

}  // namespace

CommandResult parse_login(CommandInput& input) {
    TRY(input.parser.space());
    std::string user = TRY(input.parser.astring());
    TRY(input.parser.space());
    std::string password = TRY(input.parser.astring());
    TRY(input.parser.end());
    return std::make_unique<Login>(std::move(user), std::move(password));
}

}  // namespace fwmail::imap
