#include "imap/session_core.hpp"

#include <algorithm>
#include <utility>

#include "base/encoding.hpp"
#include "imap/writer.hpp"

namespace fwmail::imap {
namespace {

constexpr int most_failed_logins = 3;
constexpr int most_bad_in_a_row = 20;
constexpr int most_before_login = 50;

// "[CODE] text": codes come from the service and are held to what a code may be (RFC 9051 9, resp-text-code).
std::string with_code(std::string_view code, std::string_view text) {
    std::string clean;
    for (char c : code)
        if (c >= 0x20 && c < 0x7f && c != ']') clean += c;
    return (clean.empty() ? "" : '[' + clean + "] ") + write_text(text);
}

}  // namespace

Refusal to_refusal(Error error) {
    Refusal refusal{error.kind, {}, std::move(error.text)};
    std::size_t end = refusal.text.starts_with('[') ? refusal.text.find("] ") : std::string::npos;
    if (end == std::string::npos) return refusal;
    refusal.code = refusal.text.substr(1, end - 1);
    refusal.text.erase(0, end + 2);
    return refusal;
}

std::string& SessionCore::output() {
    if (actions.empty() || !std::holds_alternative<Send>(actions.back())) actions.push_back(Send{});
    return std::get<Send>(actions.back()).octets;
}

void SessionCore::send(std::string_view text) { output() += text; }

void SessionCore::send_piece(const Piece& piece) {
    if (const auto* text = std::get_if<std::string>(&piece)) return send(*text);
    const auto& range = std::get<ObjectRange>(piece);
    if (range.octets()) actions.push_back(SendObject{range});
}

void SessionCore::ask(Request request) {
    pending = true;
    actions.push_back(Ask{std::move(request)});
}

void SessionCore::want_line(std::string_view prompt) {
    send("+ " + std::string(prompt) + "\r\n");
    framer.expect_line();
}

void SessionCore::ok(std::string_view text, News news, std::string_view code) {
    bad_in_a_row_ = 0;
    answer_.text = text;
    answer_.code = code;
    bool wanted = news == News::always || (news == News::if_changed && changed);
    if (selected && wanted) return poll(Polling::before_answer);
    finish_ok();
}

void SessionCore::ok_expunged(std::string_view text) {
    answer_.highest = enabled.qresync;
    ok(text, enabled.qresync ? News::always : News::if_changed);
}

bool SessionCore::limit(UidSet& uids) {
    if (options.message_limit) lowest_ = selected->keep_highest(uids, options.message_limit);
    return lowest_.has_value();
}

std::optional<Refusal> SessionCore::over_limit(UidSet uids) const {
    if (!options.message_limit) return std::nullopt;
    auto lowest = selected->keep_highest(uids, options.message_limit);
    if (!lowest) return std::nullopt;
    return Refusal{ErrorKind::refused, message_limit_code(lowest), "Too many messages for one command"};
}

std::string SessionCore::message_limit_code(std::optional<Uid> lowest) const {
    return "MESSAGELIMIT " + std::to_string(options.message_limit) +
           (lowest ? ' ' + std::to_string(lowest->value) : "");
}

void SessionCore::finish_ok() {
    Answer answer = std::exchange(answer_, {});
    if (answer.highest && selected)
        answer.code = "HIGHESTMODSEQ " + std::to_string(selected->highest_modseq().value);
    if (lowest_ && answer.code.empty())
        answer.code = message_limit_code(lowest_);
    else if (lowest_)  // the tagged response has room for one code only
        send("* NO [" + message_limit_code(lowest_) + "] This command worked on a part of the messages\r\n");
    finish(tag_ + " OK " + with_code(answer.code, answer.text) + "\r\n");
}

void SessionCore::no(const Refusal& refusal) {
    bad_in_a_row_ = 0;
    if (refusal.kind == ErrorKind::internal)
        return finish(tag_ + " NO [SERVERBUG] The server has an internal problem; its log tells more\r\n");
    bool temporary = refusal.kind == ErrorKind::temporary && refusal.code.empty();
    finish(tag_ + " NO " + with_code(temporary ? "UNAVAILABLE" : refusal.code, refusal.text) + "\r\n");
}

void SessionCore::bad(std::string_view text, std::string_view code) {
    count_bad();
    finish(tag_ + " BAD " + with_code(code, text) + "\r\n");
}

void SessionCore::refuse(const Error& error) {
    if (error.kind == ErrorKind::protocol) return bad(error.text);
    no(to_refusal(error));
}

void SessionCore::unexpected(const Reply& reply) {
    if (const auto* refusal = std::get_if<Refusal>(&reply)) return no(*refusal);
    no(Refusal{ErrorKind::internal, {}, {}});
}

void SessionCore::refuse_message(const MessageLiteral& message) {
    std::uint64_t most = authenticated ? options.append_limit : limits_before_login.swallow;
    if (!message.synchronising && message.size > most) doom_ = "message too large";
    framer.refuse_message();
}

void SessionCore::logged_in() {
    authenticated = true;
    framer.set_limits(FramerLimits{});
    ok("Logged in", News::never, "CAPABILITY " + capabilities());
}

void SessionCore::login_failed(const Refusal& refusal) {
    if (refusal.kind != ErrorKind::refused && refusal.kind != ErrorKind::protocol) return no(refusal);
    if (++failed_logins_ >= most_failed_logins) doom_ = "Too many failed logins";
    // One text for all causes: whether the user exists is not told.
    no(Refusal{ErrorKind::refused, refusal.code.empty() ? "AUTHENTICATIONFAILED" : refusal.code,
               "Login failed"});
}

void SessionCore::start_tls() {
    ok("Begin TLS now", News::never);
    // RFC 9051 6.2.1: nothing that came in clear behind STARTTLS may count.
    framer.discard();
    awaiting_tls = true;
    actions.push_back(StartTls{});
}

void SessionCore::start_compression() {
    ok("DEFLATE active", News::never);
    compressing = true;
    actions.push_back(StartCompression{});
}

void SessionCore::close() {
    if (closed) return;
    closed = true;
    pending = false;
    if (command_) answered_ = std::move(command_);
    framer.discard();
    actions.push_back(Close{});
}

void SessionCore::bye(std::string_view text, std::string_view code) {
    if (closed) return;
    send("* BYE " + with_code(code, text) + "\r\n");
    close();
}

void SessionCore::announce_expunged(const std::vector<Uid>& uids) {
    if (!selected) return;
    std::string out;
    if (enabled.qresync || enabled.uid_only) {
        // RFC 7162 3.2.10: UIDs take the place of numbers. Only those that the client knew.
        UidSet gone;
        for (Uid uid : uids) gone.add(uid.value);
        auto known = selected->known_in(gone);
        if (!known.empty()) out = "* VANISHED " + write_uid_set(known) + "\r\n";
        selected->expunge(uids);
    } else {
        for (SeqNum number : selected->expunge(uids))
            out += "* " + std::to_string(number.value) + " EXPUNGE\r\n";
    }
    if (!out.empty()) send(out);
}

void SessionCore::send_flags_line() {
    std::string out = "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft";
    for (const auto& keyword : selected->keywords()) out += ' ' + keyword;
    send(out + ")\r\n");
    // RFC 9051 7.1: what is not named here a client may take for something that is forgotten.
    if (selected->read_only()) return send("* OK [PERMANENTFLAGS ()] No flags can be changed\r\n");
    send("* OK [PERMANENTFLAGS " + out.substr(out.find('(')) + " \\*)] Flags\r\n");
}

void SessionCore::announce_keywords(const FlagSet& flags) {
    if (selected && selected->learn(flags)) send_flags_line();
}

void SessionCore::announce(const Changes& changes) {
    announce_expunged(changes.expunged);
    selected->learn_successors(changes.successors);
    std::vector<Uid> arrived;
    std::ranges::set_difference(changes.arrived, changes.expunged, std::back_inserter(arrived));
    if (selected->arrive(arrived, changes.first_recent)) {
        send("* " + std::to_string(selected->exists()) + " EXISTS\r\n");
        if (!enabled.rev2) send("* " + std::to_string(selected->recent()) + " RECENT\r\n");
    }
    for (const auto& row : changes.flags) send_flags_row(row, true);
    selected->told(changes.highest);
}

void SessionCore::write_fetch_head(std::string& out, Uid uid, SeqNum number, bool with_uid) const {
    out += "* ";
    append_number(out, enabled.uid_only ? uid.value : number.value);
    out += enabled.uid_only ? " UIDFETCH (" : " FETCH (";
    if (enabled.uid_only || !with_uid) return;
    out += "UID ";
    append_number(out, uid.value);
    out += ' ';
}

void SessionCore::send_flags_row(const FlagRow& row, bool with_uid, bool flags) {
    auto number = selected->seq_of(row.uid);
    if (!number) return;
    announce_keywords(row.flags);
    bool modseq = enabled.condstore && row.modseq.value;
    if (!flags && !modseq) return;
    std::string items = flags ? "FLAGS " + write_flags(row.flags, is_recent(row.uid)) : std::string();
    if (modseq) items += (flags ? " MODSEQ (" : "MODSEQ (") + std::to_string(row.modseq.value) + ')';
    std::string& out = output();
    write_fetch_head(out, row.uid, *number, with_uid);
    out += items + ")\r\n";
}

std::string SessionCore::mailbox_text(std::string_view name) const {
    return utf8_names() ? write_utf8_mailbox(name) : write_mailbox(name);
}

void SessionCore::run() {
    while (!closed && !pending && !awaiting_tls) {
        if (command_ && command_->idling() && changed && selected) {
            poll(Polling::idle);
            return;
        }
        auto event = framer.next();
        if (!event) return;
        on_event(std::move(*event));
    }
}

void SessionCore::on_event(FrameEvent event) {
    if (!std::holds_alternative<MessageData>(event)) ++progress;
    if (auto* framed = std::get_if<FramedCommand>(&event)) {
        dispatch(*framed);
    } else if (auto* line = std::get_if<FramedLine>(&event)) {
        if (command_) command_->on_line(*this, line->text);
        wipe(line->text);
    } else if (std::holds_alternative<ContinuationWanted>(event)) {
        send("+ OK\r\n");
    } else if (auto* data = std::get_if<MessageData>(&event)) {
        actions.push_back(AppendData{std::move(data->octets)});
    } else if (auto* message_end = std::get_if<MessageEnd>(&event)) {
        if (command_) command_->on_message_end(*this, *message_end);
    } else if (auto* too_large = std::get_if<TooLarge>(&event)) {
        tag_ = too_large->tag;
        bad(too_large->why);
    } else if (auto* end = std::get_if<Unrecoverable>(&event)) {
        bye(end->why);
    }
}

void SessionCore::dispatch(FramedCommand& framed) {
    on_command(framed);
    wipe(framed.text);
}

void SessionCore::on_command(const FramedCommand& framed) {
    if (!authenticated && ++before_login_ > most_before_login) doom_ = "Too many commands before the login";
    Parser parser(framed.text, utf8_names());
    if (enabled.utf8 && !enabled.rev2) parser.forbid_charset();
    auto refused = [&](const Error& error) {
        if (framed.message) refuse_message(*framed.message);
        refuse(error);
    };
    auto syntax = [&](std::string text) { refused(Error{ErrorKind::protocol, std::move(text)}); };
    tag_ = parser.tag().value_or("*");
    if (tag_ == "*" || !parser.accept(' ')) return syntax("expected a tag and a command");
    std::string name = parser.word().value_or("");
    if (name == "UID" && parser.accept(' ')) name += ' ' + parser.word().value_or("");
    const CommandSpec* spec = find_command(name);
    if (!spec) return syntax("unknown command");
    if (spec->allowed == Allowed::before_login && authenticated) return syntax("already logged in");
    if (spec->allowed == Allowed::after_login && !authenticated) return syntax("log in first");
    if (spec->allowed == Allowed::selected && !selected) return syntax("select a mailbox first");

    if (enabled.uid_only && spec->by_number) return bad("only UIDs are in use here", "UIDREQUIRED");
    CommandInput input{parser, spec->uid, framed.message};
    auto command = spec->parse(input);
    if (!command) return refused(command.error());
    command_ = std::move(*command);
    // By UID nothing hangs on sequence numbers: news first, so that what just came can be asked for.
    if (spec->uid && changed && selected) return poll(Polling::before_command);
    command_->start(*this);
}

void SessionCore::poll(Polling why) {
    polling_ = why;
    changed = false;
    ask(Poll{});
}

void SessionCore::on_reply(Reply reply) {
    if (!pending || closed) return;
    pending = false;
    if (polling_ != Polling::no)
        on_poll_reply(reply);
    else if (command_)
        command_->on_reply(*this, reply);
}

// News that cannot be had fail nothing that is done already: a repeated APPEND would double the message.
void SessionCore::on_poll_reply(Reply& reply) {
    const auto* changes = std::get_if<Changes>(&reply);
    if (changes && changes->uids_void && selected) {
        if (std::exchange(polling_, Polling::no) == Polling::before_answer) finish_ok();
        return bye("The mailbox has another UIDVALIDITY: select it again");
    }
    if (changes && selected) announce(*changes);
    switch (std::exchange(polling_, Polling::no)) {
        case Polling::before_command:
            command_->start(*this);
            break;
        case Polling::before_answer:
            finish_ok();
            break;
        case Polling::no:
        case Polling::idle:
            break;
    }
}

void SessionCore::count_bad() {
    if (++bad_in_a_row_ >= most_bad_in_a_row) doom_ = "Too many bad commands";
}

void SessionCore::finish(std::string line) {
    send(line);
    lowest_.reset();
    if (command_) answered_ = std::move(command_);
    if (doom_.empty()) return;
    abuse = doom_;
    bye(doom_);
}

}  // namespace fwmail::imap
