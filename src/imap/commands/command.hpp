// One command under way: parsed already, then started, then given replies and lines until it answers.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "imap/backend.hpp"
#include "imap/framer.hpp"
#include "imap/parser.hpp"

namespace fwmail::imap {

struct SessionCore;

class Command {
  public:
    virtual ~Command() = default;
    virtual void start(SessionCore& core) = 0;
    // To what start() or the last on_reply() asked. Refusals too.
    virtual void on_reply(SessionCore& core, Reply& reply);
    virtual void on_line(SessionCore& core, std::string& line);
    virtual void on_message_end(SessionCore& core, const MessageEnd& end);
    virtual bool idling() const { return false; }
};

// What a command is parsed from: the parser stands behind the command's name.
struct CommandInput {
    Parser& parser;
    bool uid = false;  // UID FETCH and its like
    std::optional<MessageLiteral> message;
};
using CommandResult = Result<std::unique_ptr<Command>>;

enum class Allowed { any, before_login, after_login, selected };

struct CommandSpec {
    std::string_view name;
    Allowed allowed;
    CommandResult (*parse)(CommandInput&);
    bool uid = false;
    bool by_number = false;  // its messages are named by sequence number
};
// Nothing for an unknown name (upper case).
const CommandSpec* find_command(std::string_view name);

// One for each file of this folder.
CommandResult parse_append(CommandInput&);
CommandResult parse_authenticate(CommandInput&);
CommandResult parse_capability(CommandInput&);
CommandResult parse_check(CommandInput&);
CommandResult parse_close(CommandInput&);
CommandResult parse_compress(CommandInput&);
CommandResult parse_copy(CommandInput&);
CommandResult parse_create(CommandInput&);
CommandResult parse_delete(CommandInput&);
CommandResult parse_enable(CommandInput&);
CommandResult parse_examine(CommandInput&);
CommandResult parse_expunge(CommandInput&);
CommandResult parse_fetch(CommandInput&);
CommandResult parse_deleteacl(CommandInput&);
CommandResult parse_getacl(CommandInput&);
CommandResult parse_getquota(CommandInput&);
CommandResult parse_getquotaroot(CommandInput&);
CommandResult parse_listrights(CommandInput&);
CommandResult parse_myrights(CommandInput&);
CommandResult parse_setacl(CommandInput&);
CommandResult parse_uidbatches(CommandInput&);
CommandResult parse_id(CommandInput&);
CommandResult parse_idle(CommandInput&);
CommandResult parse_list(CommandInput&);
CommandResult parse_login(CommandInput&);
CommandResult parse_logout(CommandInput&);
CommandResult parse_lsub(CommandInput&);
CommandResult parse_move(CommandInput&);
CommandResult parse_namespace(CommandInput&);
CommandResult parse_noop(CommandInput&);
CommandResult parse_rename(CommandInput&);
CommandResult parse_search(CommandInput&);
CommandResult parse_select(CommandInput&);
CommandResult parse_sort(CommandInput&);
CommandResult parse_starttls(CommandInput&);
CommandResult parse_status(CommandInput&);
CommandResult parse_store(CommandInput&);
CommandResult parse_subscribe(CommandInput&);
CommandResult parse_thread(CommandInput&);
CommandResult parse_unselect(CommandInput&);
CommandResult parse_unsubscribe(CommandInput&);

}  // namespace fwmail::imap
