#include "smtp/client_driver.hpp"

#include <catch2/catch.hpp>

namespace fwmail::smtp::testing {

namespace {

std::string_view outcome_name(Outcome outcome) {
    switch (outcome) {
        case Outcome::delivered:
            return "delivered";
        case Outcome::temporary:
            return "temporary";
        case Outcome::permanent:
            return "permanent";
    }
    return "";
}

}  // namespace

void ClientDriver::handle(ClientActions actions) {
    for (auto& action : actions) {
        REQUIRE_FALSE(closed);  // nothing comes after Close
        if (auto* send = std::get_if<Send>(&action)) {
            trace.octets(send->octets);
        } else if (std::holds_alternative<StartTls>(action)) {
            trace.action("starttls");
        } else if (std::holds_alternative<WantMessage>(action)) {
            wants_message = true;
            trace.action("want");
        } else if (std::holds_alternative<Ready>(action)) {
            ready = true;
            trace.action("ready");
        } else if (auto* failed = std::get_if<Failed>(&action)) {
            trace.action("failed " + std::string(phase_name(failed->phase)) + ": " +
                         failed->reply.one_line());
        } else if (auto* done = std::get_if<Done>(&action)) {
            const TransactionResult& result = done->result;
            trace.action("done " + std::string(outcome_name(result.outcome())) + (result.tls ? " tls" : "") +
                         (result.unannounced_8bit ? " unannounced-8bit" : "") +
                         (result.added_line_ending ? " added-line-ending" : ""));
            for (const auto& r : result.recipients)
                trace.action("<" + r.recipient.text() + "> " + std::string(outcome_name(r.outcome)) + ' ' +
                             std::string(phase_name(r.phase)) + ": " + r.reply.one_line());
            results.push_back(result);
        } else {
            REQUIRE(std::holds_alternative<Close>(action));
            trace.action("close");
            closed = true;
        }
    }
}

}  // namespace fwmail::smtp::testing
