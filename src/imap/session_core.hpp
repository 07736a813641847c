// The inside of a server session: what its commands see and do. Not for users of the session.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "imap/commands/command.hpp"
#include "imap/framer.hpp"
#include "imap/selected_mailbox.hpp"
#include "imap/server_session.hpp"

namespace fwmail::imap {

// Whether news of the mailbox (EXISTS, EXPUNGE, FETCH) are fetched and told before a command's tagged OK.
// RFC 9051 7.5.1: never for FETCH, STORE and SEARCH by sequence number.
enum class News { never, if_changed, always };

// What the client has asked for with ENABLE or a command that implies it. It stays until the connection ends.
struct Enabled {
    bool condstore = false, qresync = false;  // RFC 7162
    bool utf8 = false;                        // UTF8=ACCEPT (RFC 9755)
    bool rev2 = false;                        // IMAP4rev2 (RFC 9051)
    bool uid_only = false;                    // RFC 9586
};

struct SessionCore {
    explicit SessionCore(ServerOptions o) : options(std::move(o)), framer(limits_before_login) {}

    // ---- for commands
    void send(std::string_view text);
    // What is to go out next, to be written on to; good until the next call of a function here.
    std::string& output();
    void send_piece(const Piece& piece);
    void ask(Request request);
    // Sends a continuation request; the next line goes to the command's on_line().
    void want_line(std::string_view prompt);
    const std::string& tag() const { return tag_; }
    // Each of these ends the command. Texts are for people; `code` stands in brackets before.
    void ok(std::string_view text, News news = News::if_changed, std::string_view code = {});
    void no(const Refusal& refusal);
    void bad(std::string_view text, std::string_view code = {});
    // OK after something was expunged: under QRESYNC it tells HIGHESTMODSEQ, once all news have been told
    // (RFC 7162 3.2.7 to 3.2.9).
    void ok_expunged(std::string_view text);
    // Leaves no more messages than one command may work on, those with the highest UIDs. That is told with
    // the command's OK (RFC 9738 3.1). True: some were left out.
    bool limit(UidSet& uids);
    // Where a command is done whole or not at all: what it is refused with, when it names too many.
    std::optional<Refusal> over_limit(UidSet uids) const;
    std::string message_limit_code(std::optional<Uid> lowest = std::nullopt) const;
    // Of a parse: BAD or NO, as its kind says.
    void refuse(const Error& error);
    // The reply is none that fits.
    void unexpected(const Reply& reply);

    void accept_message() { framer.accept_message(); }
    void refuse_message(const MessageLiteral& message);

    void logged_in();
    void login_failed(const Refusal& refusal);
    void start_tls();
    void start_compression();
    void close();
    void bye(std::string_view text, std::string_view code = {});
    std::string capabilities() const;
    bool login_allowed() const { return options.tls_active || options.plaintext_login_allowed; }
    void announce_expunged(const std::vector<Uid>& uids);
    // `* FLAGS` anew when there is a keyword that the client has not been told.
    void announce_keywords(const FlagSet& flags);
    void send_flags_line();
    // `* 3 FETCH (UID 30 `, or `* 30 UIDFETCH (` (RFC 9586 3).
    void write_fetch_head(std::string& out, Uid uid, SeqNum number, bool with_uid) const;
    // Flags of one message, with MODSEQ when that is enabled; `flags` false leaves only the MODSEQ.
    void send_flags_row(const FlagRow& row, bool with_uid, bool flags = true);
    bool is_recent(Uid uid) const { return !enabled.rev2 && selected->is_recent(uid); }
    bool utf8_names() const { return enabled.utf8 || enabled.rev2; }
    std::string mailbox_text(std::string_view name) const;

    // ---- for the session
    void run();
    void on_reply(Reply reply);

    ServerOptions options;
    bool authenticated = false;
    std::optional<SelectedMailbox> selected;
    Enabled enabled;
    Framer framer;
    Actions actions;
    bool pending = false;  // a request is under way
    bool changed = false;  // the selected mailbox has news
    bool awaiting_tls = false;
    bool compressing = false;
    bool closed = false;
    std::uint64_t progress = 0;
    std::string abuse;

  private:
    enum class Polling { no, before_command, before_answer, idle };

    void on_event(FrameEvent event);
    void on_command(const FramedCommand& framed);
    void dispatch(FramedCommand& framed);
    void poll(Polling why);
    void on_poll_reply(Reply& reply);
    void announce(const Changes& changes);
    void finish_ok();
    void finish(std::string line);
    void count_bad();

    std::unique_ptr<Command> command_;
    std::unique_ptr<Command> answered_;  // it may still be on the stack
    std::string tag_;
    struct Answer {
        std::string text, code;
        bool highest = false;  // HIGHESTMODSEQ takes the code's place
    };
    Answer answer_;              // OK, perhaps waiting for a poll
    std::optional<Uid> lowest_;  // the command was cut short: the last message that it worked on
    std::string doom_;           // BYE after the tagged answer, when not empty
    Polling polling_ = Polling::no;
    int failed_logins_ = 0;
    int bad_in_a_row_ = 0;
    int before_login_ = 0;  // commands
};

}  // namespace fwmail::imap
