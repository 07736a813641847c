// The commands of the client session: their lines (RFC 9051 6) and their steps.
#include <algorithm>

#include "base/keyword.hpp"
#include "imap/client_session.hpp"
#include "imap/client_text.hpp"
#include "imap/parser.hpp"
#include "imap/writer.hpp"

namespace fwmail::imap::client {

namespace {

template <class... Ts>
struct Overloaded : Ts... {
    using Ts::operator()...;
};

constexpr std::size_t longest_line = 7000;  // RFC 7162 4: 8192 octets are taken everywhere

// INBOX at its beginning is one name in any case.
bool has_prefix(std::string_view name, std::string_view prefix) {
    return equal_ignoring_case(name.substr(0, prefix.size()), prefix);
}

// Keywords come from files and from other servers. One that is no atom (RFC 9051 9) cannot be said: it would
// end the line, or be two.
std::string flags_text(FlagSet flags) {
    std::erase_if(flags.keywords, [](const auto& word) { return !is_keyword(word); });
    return flags.text();
}

std::unexpected<Error> refused(std::string text) { return fail(ErrorKind::refused, std::move(text)); }

}  // namespace

Events Session::command(Command command) {
    if (state_ == State::closed) return {};
    waiting_.emplace_back(++last_id_, std::move(command));
    if (running_ && std::holds_alternative<Idle>(running_->command)) return done();
    if (state_ == State::ready && !running_) send_next();
    return take_events();
}

Events Session::done() {
    bool idle = state_ == State::ready && running_ && std::holds_alternative<Idle>(running_->command);
    if (idle && has_capability("IDLE")) {
        if (std::exchange(idling_, false)) {
            emit("DONE\r\n");
            running_->step = 1;
        } else if (running_->step == 0) {
            done_wanted_ = true;
        }
    }
    return take_events();
}

void Session::send_next() {
    while (state_ == State::ready && !running_ && !waiting_.empty()) {
        running_ = Running{waiting_.front().first, std::move(waiting_.front().second), 0, {}, {}};
        waiting_.pop_front();
        send_step();
    }
}

// What cannot be given to this server is answered here.
void Session::send_step() {
    auto line = line_of(running_->command, running_->step);
    if (line && line->size() > longest_line) line = refused("the command would be too long");
    if (!line) return finish_command(false, line.error().text);
    if (std::holds_alternative<Select>(running_->command)) selected_ = {};
    if (const auto* append = std::get_if<Append>(&running_->command)) {
        append_left_ = append->size;
        append_waits_ = !line->ends_with("+}");
        send_line(std::move(*line));
        return append_waits_ ? void() : want_content();
    }
    send_line(std::move(*line));
    // A server that has been asked to idle is told at once what came meanwhile.
    done_wanted_ = std::holds_alternative<Idle>(running_->command) && !waiting_.empty();
}

void Session::finish_command(bool ok, std::string_view text) {
    Running done = std::move(*running_);
    running_.reset();
    idling_ = append_waits_ = done_wanted_ = false;
    append_left_ = 0;
    if (ok && std::holds_alternative<Select>(done.command)) {
        selected_.read_only = done.code == "READ-ONLY";
        events_.push_back(selected_);
    }
    events_.push_back(
        Answer{done.id, ok, std::move(done.code), std::move(done.arguments), std::string(text)});
    if (ok && std::holds_alternative<Logout>(done.command)) {
        state_ = State::closed;
        events_.push_back(Close{});
        return;
    }
    send_next();
}

// --- APPEND

void Session::want_content() {
    append_waits_ = false;
    events_.push_back(WantContent{});
    if (append_left_ == 0) emit("\r\n");
}

Events Session::append_content(std::string_view octets) {
    if (append_left_ == 0 || append_waits_) return {};
    octets = octets.substr(0, append_left_);
    append_left_ -= octets.size();
    emit(std::string(octets));
    if (append_left_ == 0) emit("\r\n");
    return take_events();
}

Events Session::append_failed() {
    if (state_ != State::closed && append_left_ > 0) give_up(false, "the message to append cannot be read");
    return take_events();
}

Result<std::string> Session::append_line(const Append& append) {
    for (const auto& capability : capabilities_)
        if (capability.starts_with("APPENDLIMIT=") && append.size > parse_decimal(capability.substr(12)))
            return refused("the message is larger than the server takes");
    std::string line = "APPEND " + quote(append.mailbox);
    if (std::string flags = flags_text(append.flags); !flags.empty()) line += " (" + flags + ')';
    if (append.internal_date) line += ' ' + write_internal_date(*append.internal_date);
    bool at_once = has_capability("LITERAL+") || (has_capability("LITERAL-") && append.size <= 4096);
    return line + " {" + std::to_string(append.size) + (at_once ? "+}" : "}");
}

// --- FETCH

Result<std::string> Session::fetch_line(const FetchUids& fetch) {
    bool condstore = has_capability("CONDSTORE") || has_capability("QRESYNC");
    std::string line = "UID FETCH " + set_text(fetch.uids) + " (UID";
    if (fetch.flags) line += " FLAGS";
    if (fetch.internal_date) line += " INTERNALDATE";
    if (fetch.size) line += " RFC822.SIZE";
    if (fetch.modseq && condstore) line += " MODSEQ";
    if (fetch.email_id && has_capability("OBJECTID")) line += " EMAILID";
    if (fetch.header) line += " BODY.PEEK[HEADER]";
    if (fetch.content) line += " BODY.PEEK[]";
    line += ')';
    if (fetch.changed_since) {
        if (!condstore) return refused("the server does not tell what has changed");
        line += " (CHANGEDSINCE " + std::to_string(fetch.changed_since->value);
        if (fetch.vanished && !qresync_) return refused("the server does not tell what has vanished");
        line += fetch.vanished ? " VANISHED)" : ")";
    }
    return line;
}

// --- the others

bool Session::has_next_step() const {
    if (!std::holds_alternative<MoveTo>(running_->command) || has_capability("MOVE")) return false;
    return running_->step < (has_capability("UIDPLUS") ? 2 : 1);
}

Result<std::string> Session::line_of(const Command& command, unsigned step) {
    bool condstore = has_capability("CONDSTORE") || has_capability("QRESYNC");
    auto named = [](std::string_view verb, const std::string& mailbox) -> Result<std::string> {
        if (!quotable(mailbox)) return refused("there can be no mailbox of that name");
        return std::string(verb) + ' ' + quote(mailbox);
    };
    auto with = [&](const UidSet& uids, std::string text) -> Result<std::string> {
        if (uids.empty()) return refused("no messages were named");
        return text;
    };
    return std::visit(
        Overloaded{
            [&](const ListMailboxes& list) -> Result<std::string> {
                return named("LIST \"\"", list.pattern);
            },
            [&](const StatusOf& status) -> Result<std::string> {
                return TRY(named("STATUS", status.mailbox)) + " (MESSAGES UIDNEXT UIDVALIDITY UNSEEN" +
                       (condstore ? " HIGHESTMODSEQ)" : ")");
            },
            [&](const Select& select) -> Result<std::string> {
                std::string line = TRY(named(select.read_only ? "EXAMINE" : "SELECT", select.mailbox));
                if (select.known && qresync_)
                    return line + " (QRESYNC (" + std::to_string(select.known->uidvalidity.value) + ' ' +
                           std::to_string(select.known->modseq.value) + "))";
                return condstore ? line + " (CONDSTORE)" : line;
            },
            [&](const Unselect&) -> Result<std::string> {
                if (has_capability("UNSELECT") || has_capability("IMAP4REV2")) return "UNSELECT";
                // RFC 3501 6.3.1: a SELECT that fails leaves no mailbox selected. Nobody has this one.
                return "EXAMINE \"\"";
            },
            [&](const FetchUids& fetch) -> Result<std::string> {
                return with(fetch.uids, TRY(fetch_line(fetch)));
            },
            [&](const StoreFlags& store) -> Result<std::string> {
                if (store.unchanged_since && !condstore)
                    return refused("the server does not tell what has changed");
                std::string line = "UID STORE " + set_text(store.uids) + ' ';
                if (store.unchanged_since)
                    line += "(UNCHANGEDSINCE " + std::to_string(store.unchanged_since->value) + ") ";
                if (store.mode != FlagMode::set) line += store.mode == FlagMode::add ? '+' : '-';
                return with(store.uids, line + "FLAGS (" + flags_text(store.flags) + ')');
            },
            [&](const CopyTo& copy) -> Result<std::string> {
                return with(copy.uids, TRY(named("UID COPY " + set_text(copy.uids), copy.mailbox)));
            },
            [&](const MoveTo& move) -> Result<std::string> {
                std::string uids = set_text(move.uids);
                if (step == 1) return "UID STORE " + uids + " +FLAGS.SILENT (\\Deleted)";
                if (step == 2) return "UID EXPUNGE " + uids;
                return with(move.uids, TRY(named((has_capability("MOVE") ? "UID MOVE " : "UID COPY ") + uids,
                                                 move.mailbox)));
            },
            [&](const ExpungeUids& expunge) -> Result<std::string> {
                if (!has_capability("UIDPLUS")) return refused("the server cannot expunge single messages");
                return with(expunge.uids, "UID EXPUNGE " + set_text(expunge.uids));
            },
            [&](const Append& append) -> Result<std::string> {
                TRY(named("", append.mailbox));
                return append_line(append);
            },
            [&](const Create& create) -> Result<std::string> { return named("CREATE", create.mailbox); },
            [&](const Subscribe& subscribe) -> Result<std::string> {
                return named("SUBSCRIBE", subscribe.mailbox);
            },
            [&](const Noop&) -> Result<std::string> { return "NOOP"; },
            [&](const Idle&) -> Result<std::string> { return has_capability("IDLE") ? "IDLE" : "NOOP"; },
            [&](const Logout&) -> Result<std::string> { return "LOGOUT"; },
        },
        command);
}

// --- names

bool Session::is_personal(const ListRow& row) const {
    std::string_view name = row.mailbox;
    if (!namespace_.known || equal_ignoring_case(name, "INBOX")) return true;
    auto longest = [&](std::size_t best, const std::string& prefix) {
        return has_prefix(name, prefix) ? std::max(best, prefix.size() + 1) : best;
    };
    std::size_t ours = longest(0, namespace_.prefix), theirs = 0;
    for (const auto& prefix : namespace_.more) ours = longest(ours, prefix);
    for (const auto& prefix : namespace_.foreign) theirs = longest(theirs, prefix);
    return ours >= theirs;
}

std::string Session::path_of(const ListRow& row) const {
    std::string_view name = row.mailbox;
    // RFC 9051 5.1: INBOX is one name in any case; below "INBOX." the others may lie.
    if (equal_ignoring_case(name, "INBOX")) return "INBOX";
    const std::string& prefix = namespace_.prefix;
    if (name.size() > prefix.size() && has_prefix(name, prefix)) name.remove_prefix(prefix.size());
    std::string path;
    std::string decoded = decode_mailbox_name(name).value_or(std::string(name));
    for (char c : decoded) path += row.delimiter && c == row.delimiter ? '/' : c == '/' ? '_' : c;
    return path;
}

std::string Session::mailbox_of(std::string_view path) const {
    if (equal_ignoring_case(path, "INBOX")) return "INBOX";
    std::string name;
    char delimiter = namespace_.delimiter;
    for (char c : path)
        name += c != '/' ? (delimiter && c == delimiter ? '_' : c) : delimiter ? delimiter : '_';
    return namespace_.prefix + encode_mailbox_name(name);
}

}  // namespace fwmail::imap::client
