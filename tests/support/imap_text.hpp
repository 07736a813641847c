// Requests as one line of text, and replies from one: what transcripts are written in
// (tests/transcripts/imap/README).
#pragma once

#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "imap/backend.hpp"
#include "imap/writer.hpp"

namespace fwmail::imap::text {

inline std::vector<std::string> split(const std::string& text, char separator) {
    std::vector<std::string> out;
    std::string item;
    std::istringstream in(text);
    while (std::getline(in, item, separator)) out.push_back(item);
    return out;
}

inline std::string trim(std::string text) {
    while (text.starts_with(' ')) text.erase(0, 1);
    while (text.ends_with(' ')) text.pop_back();
    return text;
}

// \r \n \0 \\ and \xNN.
inline std::string unescape(const std::string& text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\' || i + 1 == text.size()) {
            out += text[i];
            continue;
        }
        char c = text[++i];
        if (c == 'r')
            out += '\r';
        else if (c == 'n')
            out += '\n';
        else if (c == '0')
            out += '\0';
        else if (c == 'x')
            out += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16)), i += 2;
        else if (c == '\\')
            out += c;
        else
            out += '\\', out += c;
    }
    return out;
}

inline std::string escape(const std::string& text) {
    std::string out;
    for (char c : text) {
        if (c == '\r')
            out += "\\r";
        else if (c == '\n')
            out += "\\n";
        else if (c == '\0')
            out += "\\0";
        else
            out += c;
    }
    return out;
}

inline std::string write(const UidSet& set) {
    std::string out;
    for (auto [first, last] : set.list()) {
        if (!out.empty()) out += ',';
        out += std::to_string(first) + (first == last ? "" : ':' + std::to_string(last));
    }
    return out;
}

inline std::string write(const SearchKey& key) {
    using Kind = SearchKey::Kind;
    std::string children;
    for (const auto& child : key.children) children += ' ' + write(child);
    switch (key.kind) {
        case Kind::all:
            return "all";
        case Kind::uids:
            return "uids " + write(key.uids);
        case Kind::flag:
            return FlagSet{key.flag, {}}.text();
        case Kind::keyword:
            return "keyword " + key.text;
        case Kind::header:
            return "header " + key.name + " <" + key.text + '>';
        case Kind::body:
            return "body <" + key.text + '>';
        case Kind::text:
            return "text <" + key.text + '>';
        case Kind::before:
            return "before " + std::to_string(key.day);
        case Kind::on:
            return "on " + std::to_string(key.day);
        case Kind::since:
            return "since " + std::to_string(key.day);
        case Kind::sent_before:
            return "sent-before " + std::to_string(key.day);
        case Kind::sent_on:
            return "sent-on " + std::to_string(key.day);
        case Kind::sent_since:
            return "sent-since " + std::to_string(key.day);
        case Kind::saved_before:
            return "saved-before " + std::to_string(key.day);
        case Kind::saved_on:
            return "saved-on " + std::to_string(key.day);
        case Kind::saved_since:
            return "saved-since " + std::to_string(key.day);
        case Kind::older:
            return "older " + std::to_string(key.size);
        case Kind::younger:
            return "younger " + std::to_string(key.size);
        case Kind::modseq:
            return "modseq " + std::to_string(key.size);
        case Kind::email_id:
            return "email-id " + key.text;
        case Kind::nothing:
            return "nothing";
        case Kind::larger:
            return "larger " + std::to_string(key.size);
        case Kind::smaller:
            return "smaller " + std::to_string(key.size);
        case Kind::negation:
            return "(not" + children + ')';
        case Kind::conjunction:
            return "(and" + children + ')';
        case Kind::disjunction:
            return "(or" + children + ')';
        case Kind::sequence:
            return "unresolved-sequence";
        case Kind::uid_sequence:
            return "unresolved-uids";
        case Kind::recent:
            return "unresolved-recent";
    }
    return {};
}

inline std::string write(const FetchItems& items) {
    std::string out;
    auto add = [&](bool wanted, const std::string& name) {
        if (wanted) out += ' ' + name;
    };
    add(items.flags, "flags");
    add(items.internal_date, "date");
    add(items.size, "size");
    add(items.envelope, "envelope");
    add(items.body, "body");
    add(items.bodystructure, "bodystructure");
    add(items.email_id, "email-id");
    add(items.saved_at, "saved-at");
    add(items.preview, "preview");
    for (const auto& section : items.sections) {
        out += ' ' + write_section(section);
        if (section.partial) {
            out.pop_back();
            out += '+' + std::to_string(section.partial->length) + '>';
        }
    }
    for (const auto& section : items.binary_sizes) out += " size-of-" + write_section(section);
    return out;
}

struct RequestWriter {
    std::string operator()(const Authenticate& r) const {
        return "Authenticate " + r.user + ' ' + std::string(r.password.view());
    }
    std::string operator()(const AuthStart& r) const {
        return "AuthStart " + r.mechanism + (r.initial ? ' ' + raw(*r.initial) : "");
    }
    std::string operator()(const AuthResponse& r) const { return "AuthResponse " + raw(r.octets); }
    // NUL is shown as '|'.
    static std::string raw(const Secret& secret) {
        std::string text(secret.view());
        std::ranges::replace(text, '\0', '|');
        return '[' + text + ']';
    }
    std::string operator()(const ListMailboxes&) const { return "ListMailboxes"; }
    std::string operator()(const Select& r) const {
        return "Select " + r.mailbox + (r.read_only ? " read-only" : "");
    }
    std::string operator()(const Unselect&) const { return "Unselect"; }
    std::string operator()(const Create& r) const {
        return "Create " + r.name + (r.special_use.empty() ? "" : " as " + r.special_use);
    }
    std::string operator()(const Delete& r) const { return "Delete " + r.name; }
    std::string operator()(const Rename& r) const { return "Rename " + r.from + " -> " + r.to; }
    std::string operator()(const Subscribe& r) const {
        return "Subscribe " + r.name + (r.on ? " on" : " off");
    }
    std::string operator()(const Status& r) const {
        return "Status " + r.mailbox + (r.messages ? " messages" : "") + (r.recent ? " recent" : "") +
               (r.uidnext ? " uidnext" : "") + (r.uidvalidity ? " uidvalidity" : "") +
               (r.unseen ? " unseen" : "") + (r.highest_modseq ? " modseq" : "") + (r.size ? " size" : "") +
               (r.deleted ? " deleted" : "") + (r.deleted_size ? " deleted-size" : "") +
               (r.mailbox_id ? " id" : "");
    }
    std::string operator()(const GetQuota&) const { return "GetQuota"; }
    std::string operator()(const GetRights& r) const { return "GetRights " + r.mailbox; }
    std::string operator()(const AppendBegin& r) const {
        return (r.more ? "AppendMore " : "AppendBegin ") + r.mailbox + " (" + r.flags.text() + ") " +
               (r.internal_date ? std::to_string(r.internal_date->value) : "now") + ' ' +
               std::to_string(r.size);
    }
    std::string operator()(const AppendEnd&) const { return "AppendEnd"; }
    std::string operator()(const Fetch& r) const {
        return "Fetch " + write(r.uids) + write(r.items) + (r.set_seen ? " seen" : "") +
               (r.changed_since ? " since=" + std::to_string(r.changed_since->value) : "") +
               (r.vanished ? " vanished" : "");
    }
    std::string operator()(const FetchMore&) const { return "FetchMore"; }
    std::string operator()(const Store& r) const {
        const char* mode = r.mode == Store::Mode::set ? "=" : r.mode == Store::Mode::add ? "+" : "-";
        return "Store " + write(r.uids) + ' ' + mode + '(' + r.flags.text() + ')' +
               (r.unchanged_since ? " since=" + std::to_string(r.unchanged_since->value) : "");
    }
    std::string operator()(const Move& r) const { return "Move " + write(r.uids) + " -> " + r.mailbox; }
    std::string operator()(const Copy& r) const { return "Copy " + write(r.uids) + " -> " + r.mailbox; }
    std::string operator()(const Expunge& r) const {
        return "Expunge" + (r.uids ? ' ' + write(*r.uids) : "");
    }
    std::string operator()(const Search& r) const {
        return "Search " + write(r.key) + (r.modseqs ? " modseqs" : "");
    }
    std::string operator()(const Sort& r) const {
        static constexpr const char* names[] = {"arrival", "cc", "date",         "from",      "size",
                                                "subject", "to", "display-from", "display-to"};
        std::string out = "Sort (";
        for (const auto& criterion : r.criteria)
            out += std::string(out.ends_with('(') ? "" : " ") + (criterion.reverse ? "-" : "") +
                   names[static_cast<int>(criterion.by)];
        return out + ") " + write(r.key) + (r.modseqs ? " modseqs" : "");
    }
    std::string operator()(const Thread& r) const {
        return std::string("Thread ") + (r.by == ThreadBy::references ? "references " : "ordered-subject ") +
               write(r.key);
    }
    std::string operator()(const Poll&) const { return "Poll"; }
};
inline std::string write(const Request& request) { return std::visit(RequestWriter{}, request); }

// `1:3,7`
inline std::vector<Uid> read_uids(const std::string& text) {
    std::vector<Uid> out;
    for (const auto& range : split(text, ',')) {
        std::size_t colon = range.find(':');
        unsigned first = static_cast<unsigned>(std::stoul(range));
        unsigned last =
            colon == std::string::npos ? first : static_cast<unsigned>(std::stoul(range.substr(colon + 1)));
        for (unsigned uid = first; uid <= last; ++uid) out.emplace_back(uid);
    }
    return out;
}

inline FlagSet read_flags(const std::string& text) {
    FlagSet flags;
    for (const auto& word : split(text, ',')) flags.add_word(word);
    return flags;
}

inline UidSet read_uid_set(const std::string& text) {
    UidSet set;
    for (Uid uid : read_uids(text)) set.add(uid.value);
    return set;
}

// `3=\Seen,$x|4=|5#77=\Seen`: what follows # is the modseq
inline std::vector<FlagRow> read_flag_rows(const std::string& text) {
    std::vector<FlagRow> rows;
    for (const auto& item : split(text, '|')) {
        std::size_t equals = item.find('=');
        std::size_t hash = item.find('#');
        rows.push_back({Uid(static_cast<unsigned>(std::stoul(item))), read_flags(item.substr(equals + 1)),
                        ModSeq(hash < equals ? std::stoull(item.substr(hash + 1)) : 0)});
    }
    return rows;
}

using Fields = std::map<std::string, std::string>;
inline Fields read_fields(const std::string& text) {
    Fields fields;
    for (const auto& word : split(text, ' ')) {
        std::size_t equals = word.find('=');
        if (!word.empty())
            fields[word.substr(0, equals)] = equals == std::string::npos ? "" : word.substr(equals + 1);
    }
    return fields;
}
inline std::uint32_t number(Fields& fields, const char* name) {
    return fields.contains(name) ? static_cast<std::uint32_t>(std::stoul(fields[name])) : 0;
}

// One section: NIL, or pieces joined by `~`, each escaped text or @offset+length of an object, with
// ! behind it where a NUL is among the octets.
inline SectionData read_section(const std::string& text) {
    if (text == "NIL") return std::nullopt;
    std::vector<Piece> pieces;
    for (const auto& piece : split(text, '~')) {
        if (!piece.starts_with('@')) {
            pieces.emplace_back(unescape(piece));
            continue;
        }
        std::size_t plus = piece.find('+');
        ObjectRange range{{}, std::stoull(piece.substr(1)), std::stoull(piece.substr(plus + 1))};
        range.nul = piece.ends_with('!');
        pieces.emplace_back(range);
    }
    return pieces;
}

inline FetchRow read_row(const std::string& text) {
    FetchRow row;
    for (const auto& word : split(trim(text), ' ')) {
        std::size_t equals = word.find('=');
        std::string name = word.substr(0, equals),
                    value = equals == std::string::npos ? "" : word.substr(equals + 1);
        if (name == "uid")
            row.uid = Uid(static_cast<unsigned>(std::stoul(value)));
        else if (name == "flags")
            row.flags = read_flags(value);
        else if (name == "seen")
            row.seen_now = true;
        else if (name == "date")
            row.internal_date = UnixMillis(std::stoll(value));
        else if (name == "size")
            row.size = std::stoull(value);
        else if (name == "env")
            row.envelope = value;
        else if (name == "body")
            row.body = value;
        else if (name == "mod")
            row.modseq = ModSeq(std::stoull(value));
        else if (name == "id")
            row.email_id = value;
        else if (name == "saved")
            row.saved_at = UnixMillis(std::stoll(value));
        else if (name == "preview")
            row.preview = unescape(value);
        else if (name == "octets")
            row.binary_sizes.push_back(std::stoull(value));
        else if (name == "bs")
            row.bodystructure = value;
        else if (name == "sec")
            row.sections.push_back(read_section(value));
        else
            throw std::runtime_error("row: " + word);
    }
    return row;
}

inline Selected read_selected(const std::string& text) {
    Fields f = read_fields(text);
    Selected s;
    s.uids = NumberedUids(read_uids(f["uids"]));
    s.uidvalidity = UidValidity(number(f, "validity"));
    s.uidnext = Uid(number(f, "next"));
    s.first_recent = Uid(number(f, "recent"));
    s.first_unseen = Uid(number(f, "unseen"));
    s.highest_modseq = ModSeq(number(f, "mod"));
    s.mailbox_id = f["id"];
    s.keywords = split(f["keywords"], ',');
    s.read_only = f.contains("ro");
    if (s.read_only) s.read_only_reason = f["ro"];
    return s;
}

inline MailboxList read_mailboxes(const std::string& text) {
    MailboxList list;
    for (const auto& item : split(text, '|')) {
        auto words = split(item, ',');
        MailboxRow row;
        row.name = words.at(0);
        for (std::size_t i = 1; i < words.size(); ++i) {
            if (words[i] == "sub")
                row.subscribed = true;
            else if (words[i] == "noselect")
                row.noselect = true;
            else if (words[i] == "nonexistent")
                row.noselect = row.nonexistent = true;
            else
                row.special_use = words[i];
        }
        list.rows.push_back(row);
    }
    return list;
}

// `storage=3000/4096 messages=2/5`
inline QuotaNumbers read_quota(const std::string& text) {
    QuotaNumbers numbers;
    for (const auto& [name, value] : read_fields(text)) {
        QuotaNumbers::Resource resource{std::stoull(value), std::stoull(value.substr(value.find('/') + 1))};
        (name == "storage" ? numbers.storage : numbers.messages) = resource;
    }
    return numbers;
}

// `lr ann=lrs bob=lr`: mine, then each holder's
inline MailboxRights read_rights(const std::string& text) {
    MailboxRights rights;
    for (const auto& word : split(text, ' ')) {
        std::size_t equals = word.find('=');
        if (equals == std::string::npos)
            rights.mine = word;
        else
            rights.holders.push_back({word.substr(0, equals), word.substr(equals + 1)});
    }
    return rights;
}

inline Refusal read_refusal(const std::string& kind, const std::string& rest) {
    ErrorKind error = kind == "no"          ? ErrorKind::refused
                      : kind == "bad"       ? ErrorKind::protocol
                      : kind == "temporary" ? ErrorKind::temporary
                                            : ErrorKind::internal;
    return to_refusal(Error{error, rest});
}

inline Reply read_reply(const std::string& line) {
    std::size_t space = line.find(' ');
    std::string kind = line.substr(0, space),
                rest = space == std::string::npos ? "" : trim(line.substr(space + 1));
    if (kind == "done") return Done{};
    if (kind == "challenge") return AuthChallenge{rest};
    if (kind == "no" || kind == "bad" || kind == "temporary" || kind == "internal")
        return read_refusal(kind, rest);
    if (kind == "mailboxes") return read_mailboxes(rest);
    if (kind == "selected") return read_selected(rest);
    Fields f = kind == "status" || kind == "changes" ? read_fields(rest) : Fields{};
    if (kind == "status")
        return StatusNumbers{number(f, "messages"),
                             number(f, "recent"),
                             number(f, "unseen"),
                             Uid(number(f, "next")),
                             UidValidity(number(f, "validity")),
                             ModSeq(number(f, "mod")),
                             number(f, "size"),
                             number(f, "deleted"),
                             number(f, "deleted-size"),
                             f["id"]};
    if (kind == "quota") return read_quota(rest);
    if (kind == "rights") return read_rights(rest);
    if (kind == "changes")
        return Changes{read_uids(f["arrived"]), Uid(number(f, "recent")), read_flag_rows(f["flags"]),
                       read_uids(f["gone"]), ModSeq(number(f, "high"))};
    if (kind == "created") return Created{rest};
    auto words = split(rest, ' ');
    if (kind == "appended")
        return Appended{UidValidity(static_cast<unsigned>(std::stoul(words.at(0)))), read_uids(words.at(1))};
    if (kind == "copied" && words.size() == 1)  // nothing
        return Copied{UidValidity(static_cast<unsigned>(std::stoul(words[0]))), {}, {}};
    if (kind == "copied")
        return Copied{UidValidity(static_cast<unsigned>(std::stoul(words.at(0)))), read_uids(words.at(1)),
                      read_uids(words.at(2))};
    if (kind == "batch" || kind == "batch+") {
        FetchBatch batch;
        batch.last = kind == "batch";
        for (const auto& row : split(rest, '|')) {
            if (row.starts_with("vanished="))
                batch.vanished = read_uid_set(trim(row.substr(9)));
            else
                batch.rows.push_back(read_row(row));
        }
        return batch;
    }
    if (kind == "stored") {
        std::size_t at = rest.find("modified=");
        if (at == std::string::npos) return Stored{read_flag_rows(rest), {}};
        return Stored{read_flag_rows(rest.substr(0, at)), read_uid_set(rest.substr(at + 9))};
    }
    if (kind == "expunged") return Expunged{read_uids(rest)};
    if (kind == "found") {
        Found found{read_uids(words.empty() ? "" : words[0]), {}};
        if (words.size() > 1)
            for (const auto& modseq : split(words[1], ',')) found.modseqs.emplace_back(std::stoull(modseq));
        return found;
    }
    if (kind == "threads") {  // each UID with a dash before it for every level
        Threads threads;
        for (const auto& word : words) {
            std::size_t depth = word.find_first_not_of('-');
            threads.nodes.push_back({Uid(static_cast<unsigned>(std::stoul(word.substr(depth)))),
                                     static_cast<std::uint32_t>(depth)});
        }
        return threads;
    }
    throw std::runtime_error("unknown reply: " + line);
}

}  // namespace fwmail::imap::text
