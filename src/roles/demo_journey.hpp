// The journey that the demo shows: every step is done on real processes, printed, and verified.
//
//   demo_journey.cpp   the pair: set up, linked, running, stopped
//   demo_mail.cpp      mail from core to the remote, sealed, opened
//   demo_changes.cpp   what happens to it afterwards, and who is turned away
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "roles/demo_children.hpp"
#include "roles/demo_clients.hpp"
#include "roles/demo_letters.hpp"

namespace fwmail::roles {

struct DemoNode {
    std::string role, host_name;
    std::filesystem::path config, data_dir, log;
    std::uint16_t imap_port = 0, smtp_port = 0;
    std::string password;     // ann's, here
    std::string fingerprint;  // of the node's key
    Child process;
};

// What a mail program sees of one message.
struct ShownMessage {
    std::string flags;
    std::uint32_t size = 0;
    std::string subject;
};
using Shown = std::map<std::uint32_t, ShownMessage>;  // by UID

class Journey {
  public:
    // Everything goes into `folder`.
    Journey(std::filesystem::path folder, HeldSignals& signals);
    ~Journey();
    Journey(const Journey&) = delete;

    // The error says which step failed, and why.
    Result<> run();
    void print_logs() const;
    void print_how_to_look() const;
    // Until a signal comes; an error if one of the two servers ends before.
    Result<> watch();
    // An error if one of them does not end as it should.
    Result<> stop();

  private:
    Result<> set_up();
    Result<> add_user_and_link();
    Result<> start_both();
    Result<> send_five();
    Result<> wait_for_five();
    Result<> search_remote();
    Result<> open_with_gpg();
    Result<> open_exactly();
    Result<> change_at_core();
    Result<> watch_idle();
    Result<> forge();
    Result<> show_status();

    Result<> init(DemoNode& node, const DemoNode& other);
    Result<> start(DemoNode& node);
    Result<> deliver(const Letter& letter);
    Result<> check_delivered(const std::vector<Letter>& letters);
    Result<> refuse(const std::string& what, const std::string& to, const std::string& message);
    // Polls until `condition` says that nothing is missing (an empty text); prints what is, as it changes.
    Result<> wait_until(const std::string& what, const std::function<Result<std::string>()>& condition);
    Result<> same_state(const std::string& what);

    std::filesystem::path folder_;
    HeldSignals& signals_;
    DemoNode core_, remote_;
    std::string answer_;                       // the token with which the remote accepted
    std::map<std::uint32_t, Letter> letters_;  // by the UID that core gave
    std::filesystem::path gpg_home_;           // empty: gpg has not been used
};

// What ann's INBOX holds at a node.
Result<Shown> look_at(const DemoNode& node);
// A number of the node's only link, as status --json names it.
Result<std::uint64_t> link_number(const DemoNode& node, const std::string& name);
// BODY[] of one message.
Result<std::string> fetch_octets(const DemoNode& node, std::uint32_t uid);

void say(const std::string& line);     // a line of the story
void detail(const std::string& line);  // what stands below it, cut to the width of a terminal
void excerpt(std::string_view octets, std::size_t lines);
// Fails, with what was expected, unless it holds.
Result<> verify(bool holds, const std::string& expected);

}  // namespace fwmail::roles
