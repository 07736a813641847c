// A command that is one request, answered Done.
#pragma once

#include <string>

#include "imap/session_core.hpp"

namespace fwmail::imap {

class SimpleCommand : public Command {
  public:
    SimpleCommand(Request request, const char* text) : request_(std::move(request)), text_(text) {}
    void start(SessionCore& core) override { core.ask(std::move(request_)); }
    void on_reply(SessionCore& core, Reply& reply) override {
        if (std::holds_alternative<Done>(reply)) return core.ok(text_);
        core.unexpected(reply);
    }

  private:
    Request request_;
    const char* text_;
};

}  // namespace fwmail::imap
