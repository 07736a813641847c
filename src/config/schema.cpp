// The table of options. Order here is the order in written files and manual pages.
#include "config/schema.hpp"

namespace fwmail::config {
namespace {

using enum OptionType;

constexpr std::string_view tls_choices = "none|opportunistic|required|implicit";
constexpr std::string_view verify_choices = "yes|no|pin";
constexpr unsigned both = role_core | role_remote;

// section, key, type, fallback, help, roles, required, list, choices
constexpr Option table[] = {
    {"", "data-dir", path, "", "Folder in which everything of this server lies", both, true},
    {"", "witness", path, "",
     "A small file outside of data-dir and its backups, by which a restored backup is found out"},
    {"", "host-name", text, "localhost", "This server's name, as clients and other mail servers know it"},
    {"", "domain", text, "", "A mail domain whose addresses are local; may be repeated", both, false, true},
    {"", "log-level", choice, "info", "The least that is logged", both, false, false,
     "debug|info|warning|error"},
    {"", "log-file", path, "", "Where the log goes; empty is standard error"},
    {"", "dns-servers", text, "",
     "Name servers to ask, as 192.0.2.1:53,[2001:db8::1]:53; empty: those of /etc/resolv.conf"},
    {"", "threads", count, "0", "Threads that serve connections; 0 is one for each core of the machine"},

    {"imap", "listen", host_port, "", "Address for IMAP with STARTTLS, as *:143; may be repeated", both,
     false, true},
    {"imap", "listen-tls", host_port, "",
     "Address for IMAP under TLS from the start, as *:993; may be repeated", both, false, true},
    {"imap", "max-connections", count, "1000", "IMAP connections at one time"},
    {"imap", "max-connections-per-address", count, "50", "IMAP connections at one time from one address"},
    {"imap", "message-limit", count, "1000000", "Messages that one IMAP command works on; 0: no limit"},
    {"imap", "accept-plain", boolean, "no",
     "Whether clients may append mail that is not sealed; it is sealed in memory", role_remote},

    {"pop3", "listen", host_port, "", "Address for POP3 with STLS, as *:110; may be repeated", both, false,
     true},
    {"pop3", "listen-tls", host_port, "",
     "Address for POP3 under TLS from the start, as *:995; may be repeated", both, false, true},
    {"pop3", "max-connections", count, "200", "POP3 connections at one time"},
    {"pop3", "max-connections-per-address", count, "20", "POP3 connections at one time from one address"},

    {"smtp", "listen", host_port, "",
     "Address where mail from other servers comes in, as *:25; may be repeated", both, false, true},
    {"smtp", "max-connections", count, "200", "SMTP connections at one time"},
    {"smtp", "max-connections-per-address", count, "20", "SMTP connections at one time from one address"},
    {"smtp", "max-message-size", octets, "100M", "The largest message that is taken"},
    {"smtp", "max-recipients", count, "1000", "Recipients of one message"},
    {"smtp", "message-time", duration, "1h", "How long one message may take to come in"},
    {"smtp", "mails-per-hour", count, "0", "Mails within an hour from one address; 0: no limit", role_core},
    {"smtp", "plus", text, "+",
     "What parts a user's address from a word of the sender's, as in ann+lists@; empty: nothing", role_core},
    {"smtp", "postmaster", text, "",
     "User, or address, for mail to postmaster; empty: the user who was made first", role_core},
    {"smtp", "relay-from", text, "",
     "A numeric address whose mail to anybody is passed on to the smart host; may be repeated", role_core,
     false, true},
    {"smtp", "direct", boolean, "no",
     "Whether mail goes to the MX of each recipient's domain where no smart host is set"},
    {"smtp", "direct-port", count, "25", "Port of those servers"},
    {"smtp", "connections-per-hop", count, "4", "Connections at one time to one next hop, for sending"},
    {"smtp", "queue-lifetime", duration, "5d", "How long sending is tried before the sender is told"},

    {"submission", "listen", host_port, "",
     "Address where users' mail programs send mail, with STARTTLS, as *:587; may be repeated", role_core,
     false, true},
    {"submission", "listen-tls", host_port, "",
     "The same under TLS from the start, as *:465; may be repeated", role_core, false, true},
    {"submission", "max-connections", count, "200", "Submission connections at one time", role_core},
    {"submission", "max-connections-per-address", count, "20",
     "Submission connections at one time from one address", role_core},
    {"submission", "mails-per-hour", count, "1000", "Mails of one user within an hour; 0: no limit",
     role_core},
    {"submission", "recipients-per-hour", count, "5000",
     "Recipients of one user's mails within an hour; 0: no limit", role_core},

    {"lmtp", "listen", host_port, "",
     "Address where a mail server hands over mail by LMTP, as 127.0.0.1:24; may be repeated", role_core,
     false, true},
    {"lmtp", "listen-unix", path, "", "Unix socket where a mail server hands over mail by LMTP", role_core},
    {"lmtp", "unix-mode", text, "0600", "Who may connect there, as the file's mode in octal", role_core},
    {"lmtp", "unix-group", text, "", "Group of that file; empty: the server's own", role_core},
    {"lmtp", "max-connections", count, "200", "LMTP connections at one time", role_core},
    {"lmtp", "max-connections-per-address", count, "100", "LMTP connections at one time from one address",
     role_core},

    {"websocket", "listen", host_port, "",
     "Address where core dials in, under TLS, as *:443; may be repeated", role_remote, false, true},
    {"websocket", "max-connections", count, "100", "Connections there at one time", role_remote},
    {"websocket", "max-connections-per-address", count, "10",
     "Connections there at one time from one address", role_remote},

    {"tls", "certificate", path, "", "Certificate chain, PEM; empty: one is made in data-dir"},
    {"tls", "key", path, "", "Its private key, PEM; empty: made in data-dir"},

    {"smarthost", "address", host_port, "",
     "The mail server that takes all outgoing mail, as mail.example:587"},
    {"smarthost", "tls", choice, "opportunistic", "How the way to it is protected", both, false, false,
     tls_choices},
    {"smarthost", "user", text, "", "Name to log in with; empty: no login"},
    {"smarthost", "password-file", path, "", "File that holds the password"},
    {"smarthost", "verify", choice, "yes", "Whether its certificate is checked", both, false, false,
     verify_choices},
    {"smarthost", "ca-file", path, "", "Certificates to trust, PEM; empty: the system's"},
    {"smarthost", "pin", text, "", "SHA-256 of its certificate in hexadecimal, for verify = pin"},

    {"poll", "interval", duration, "60s", "How often mailboxes are looked at for changes to replicate",
     role_core},

    {"replicate", "max-mail-size", octets, "7M",
     "The largest mail sent to the other server; larger bodies go in parts"},
    {"replicate", "horizon", duration, "0", "How far back the first replication goes; 0 is all", role_core},
    {"replicate", "max-mails-per-hour", count, "1000", "Mails an hour to the other server"},
    {"replicate", "resend-after", duration, "10m",
     "How long an acknowledgement is waited for before a change is sent again"},
    {"replicate", "compare-after", duration, "1d",
     "How often core and remote see whether they have the same; 0: never", role_core},
    {"replicate", "stub-after", duration, "15m",
     "How long a body is waited for before a stub stands in its place", role_remote},
    {"replicate", "max-expunges-per-day", count, "1000",
     "Messages of a user that the remote may delete in a day; more waits for fwmail expunged", role_core},
    {"replicate", "batch-delay", duration, "1s", "How long changes are gathered before they are sent"},
    {"replicate", "outer", choice, "ordinary", "Header fields that a sealed message shows outside", role_core,
     false, false, "ordinary|minimal"},

    {"limits", "failed-logins", count, "20",
     "Failed logins after which an address is refused for a while; 0: no limit"},
    {"limits", "account-size", octets, "0", "Octets of all mail of one account; 0: no limit", role_core},
    {"limits", "account-messages", count, "0", "Messages of one account; 0: no limit", role_core},
    {"limits", "account-mailboxes", count, "10000", "Mailboxes of one account; 0: no limit", both},
    {"limits", "keep-expunged", duration, "10m",
     "How long an expunged message's octets stay, for whoever is reading it"},
    {"limits", "store-threads", count, "4", "Threads that work on the store"},

    {"link.*", "dial", host_port, "",
     "Where the remote listens for a dialled line; empty: the link goes by SMTP", role_core},
    {"link.*", "dialled", boolean, "no", "Whether core dials for this link, which then goes by that line",
     role_remote},
    {"link.*", "next-hop", host_port, "",
     "Mail server for this link's mail; empty: the smart host, or else the peer itself"},
    {"link.*", "tls", choice, "opportunistic", "How the way to the next hop is protected", both, false, false,
     tls_choices},
    {"link.*", "verify", choice, "yes", "Whether the next hop's certificate is checked", both, false, false,
     verify_choices},
    {"link.*", "ca-file", path, "", "Certificates to trust for it, PEM; empty: the system's"},
    {"link.*", "pin", text, "", "SHA-256 of its certificate in hexadecimal, for verify = pin"},
    {"link.*", "user", text, "", "Name to log in with; empty: no login"},
    {"link.*", "password-file", path, "", "File that holds the password"},
};

}  // namespace

std::span<const Option> all_options() { return table; }

}  // namespace fwmail::config
