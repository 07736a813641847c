// The table of commands.
#include <algorithm>

#include "imap/commands/command.hpp"
#include "imap/session_core.hpp"

namespace fwmail::imap {
namespace {

constexpr CommandSpec table[] = {
    {"APPEND", Allowed::after_login, parse_append},
    {"AUTHENTICATE", Allowed::before_login, parse_authenticate},
    {"CAPABILITY", Allowed::any, parse_capability},
    {"CHECK", Allowed::selected, parse_check},
    {"CLOSE", Allowed::selected, parse_close},
    {"COMPRESS", Allowed::after_login, parse_compress},
    {"COPY", Allowed::selected, parse_copy, false, true},
    {"CREATE", Allowed::after_login, parse_create},
    {"DELETE", Allowed::after_login, parse_delete},
    {"DELETEACL", Allowed::after_login, parse_deleteacl},
    {"ENABLE", Allowed::after_login, parse_enable},
    {"EXAMINE", Allowed::after_login, parse_examine},
    {"EXPUNGE", Allowed::selected, parse_expunge},
    {"FETCH", Allowed::selected, parse_fetch, false, true},
    {"GETACL", Allowed::after_login, parse_getacl},
    {"GETQUOTA", Allowed::after_login, parse_getquota},
    {"GETQUOTAROOT", Allowed::after_login, parse_getquotaroot},
    {"ID", Allowed::any, parse_id},
    {"IDLE", Allowed::after_login, parse_idle},
    {"LIST", Allowed::after_login, parse_list},
    {"LISTRIGHTS", Allowed::after_login, parse_listrights},
    {"LOGIN", Allowed::before_login, parse_login},
    {"LOGOUT", Allowed::any, parse_logout},
    {"LSUB", Allowed::after_login, parse_lsub},
    {"MOVE", Allowed::selected, parse_move, false, true},
    {"MYRIGHTS", Allowed::after_login, parse_myrights},
    {"NAMESPACE", Allowed::after_login, parse_namespace},
    {"NOOP", Allowed::any, parse_noop},
    {"RENAME", Allowed::after_login, parse_rename},
    {"SEARCH", Allowed::selected, parse_search, false, true},
    {"SELECT", Allowed::after_login, parse_select},
    {"SETACL", Allowed::after_login, parse_setacl},
    {"SORT", Allowed::selected, parse_sort, false, true},
    {"STARTTLS", Allowed::before_login, parse_starttls},
    {"STATUS", Allowed::after_login, parse_status},
    {"STORE", Allowed::selected, parse_store, false, true},
    {"SUBSCRIBE", Allowed::after_login, parse_subscribe},
    {"THREAD", Allowed::selected, parse_thread, false, true},
    {"UID COPY", Allowed::selected, parse_copy, true},
    {"UID EXPUNGE", Allowed::selected, parse_expunge, true},
    {"UID FETCH", Allowed::selected, parse_fetch, true},
    {"UID MOVE", Allowed::selected, parse_move, true},
    {"UID SEARCH", Allowed::selected, parse_search, true},
    {"UID SORT", Allowed::selected, parse_sort, true},
    {"UID STORE", Allowed::selected, parse_store, true},
    {"UID THREAD", Allowed::selected, parse_thread, true},
    {"UIDBATCHES", Allowed::selected, parse_uidbatches},
    {"UNSELECT", Allowed::selected, parse_unselect},
    {"UNSUBSCRIBE", Allowed::after_login, parse_unsubscribe},
};

}  // namespace

const CommandSpec* find_command(std::string_view name) {
    auto it = std::ranges::find(table, name, &CommandSpec::name);
    return it == std::end(table) ? nullptr : it;
}

void Command::on_reply(SessionCore& core, Reply& reply) { core.unexpected(reply); }
void Command::on_line(SessionCore& core, std::string&) { core.bad("unexpected line"); }
void Command::on_message_end(SessionCore& core, const MessageEnd&) { core.bad("unexpected message"); }

}  // namespace fwmail::imap
