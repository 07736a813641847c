// The table of roles and commands; no logic.
#include "roles/dispatch.hpp"

int main(int argc, char** argv) {
    using namespace fwmail::roles;
    static constexpr Command commands[] = {
        {"core", "--config FILE", "the mail server inside: keeps the mail, seals it, sends it to the remote",
         run_core},
        {"remote", "--config FILE", "the mail server outside: a sealed copy, read by IMAP", run_remote},
        {"init", "core|remote --config FILE [--KEY VALUE]...", "write a configuration and make the keys",
         run_init},
        {"user",
         "add NAME [--address A]... [--password-file F] | list [--json] | passwd NAME [--password-file F | "
         "--outside [--label L] [--revoke]] | remove NAME, all with --config FILE",
         "users and their passwords", run_user},
        {"key",
         "export NAME [--secret [--passphrase | --passphrase-file F]] [--all] | list NAME [--json] | "
         "rotate NAME [--reseal] [--json], all with --config FILE",
         "hand out a user's key, or replace it", run_key},
        {"link",
         "invite NAME | accept NAME [--token T] | list [--json] | remove NAME, all with --config FILE",
         "pair core and remote", run_link},
        {"alias",
         "add ADDRESS TARGET... | list [--json] | remove ADDRESS [TARGET]..., all with --config FILE",
         "addresses that stand for others", run_alias},
        {"queue",
         "list [--json] | show ID [--json] | retry [ID] | hold ID | release ID | remove ID, all with "
         "--config FILE",
         "mail that waits to be sent", run_queue},
        {"expunged",
         "list [--json] | release USER | reject USER | restore USER [--days N], all with --config FILE",
         "what was deleted at the remote: let it go, or put it back", run_expunged},
        {"import", "USER PLACE [--mailbox NAME] [--password-file F] [--ca-file F] [--pin HEX] --config FILE",
         "take mail in from a Maildir, mbox or .eml files, or another IMAP server", run_import},
        {"export", "USER PLACE [--layout fs] [--password-file F] [--ca-file F] [--pin HEX] --config FILE",
         "write a user's mail to a Maildir, mbox or .eml files, or another IMAP server", run_export},
        {"open", "[FILE] --key-file F [--passphrase-file F] [--inner] [--output F]",
         "open a sealed message to its exact octets", run_open},
        {"state", "USER [MAILBOX] [--compare FILE] --config FILE",
         "what this server knows of a user's mail, and how it differs from the other one", run_state},
        {"status", "--config FILE [--json]", "links, queue, users, and what to do", run_status},
        {"sync", "[USER] [--wait TIME] --config FILE",
         "synchronise with the other servers now, and wait until they have acknowledged it", run_sync},
        {"check", "--config FILE", "whether the configuration and the store of a stopped server are in order",
         run_check},
        {"demo", "[--once] [--keep]", "the whole journey on this machine", run_demo},
        {"help", "[TOPIC]", "the manual pages", run_help},
        {"version", "", "version and what was built in", run_version},
    };
    return dispatch(commands, Arguments(argv + (argc > 0 ? 1 : 0), argv + argc));
}
