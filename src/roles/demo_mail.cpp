// Mail from core to the remote, sealed, and opened.
#include <cstdio>

#include "base/utf8.hpp"
#include "mime/encoded_word.hpp"
#include "roles/demo_journey.hpp"

namespace fwmail::roles {
namespace {

constexpr std::string_view ann = "ann@example.test";

// To so many columns, for text whose characters have one each.
std::string padded(std::string_view text, std::size_t columns) {
    std::string out(text);
    std::size_t length = 0;
    for (char32_t code; !text.empty() && take_utf8(text, code);) ++length;
    if (length < columns) out.append(columns - length, ' ');
    return out;
}

Result<ImapClient> select_inbox(const DemoNode& node) {
    auto client = TRY(ImapClient::log_in(node.imap_port, "ann", node.password));
    TRY(client.command("SELECT INBOX"));
    return client;
}

struct Found {
    std::size_t files = 0, octets = 0, hits = 0;
};

Result<Found> search_files(const std::filesystem::path& folder, std::string_view word) {
    Found found;
    std::error_code error;
    for (std::filesystem::recursive_directory_iterator it(folder, error), end; !error && it != end;
         it.increment(error)) {
        if (!it->is_regular_file(error)) continue;
        auto octets = TRY(read_file(it->path()));
        ++found.files;
        found.octets += octets.size();
        for (auto at = octets.find(word); at != std::string::npos; at = octets.find(word, at + 1))
            ++found.hits;
    }
    if (error) return fail(ErrorKind::temporary, folder.string() + ": " + error.message());
    return found;
}

std::string describe(const std::string& where, const Found& found) {
    return where + ": \"" + telling_word + "\" " + std::to_string(found.hits) + " times in " +
           std::to_string(found.files) + " files, " + std::to_string(found.octets) + " octets";
}

}  // namespace

Result<Shown> look_at(const DemoNode& node) {
    auto client = TRY(select_inbox(node));
    Shown shown;
    for (const auto& row :
         TRY(client.command("UID FETCH 1:* (UID FLAGS RFC822.SIZE BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))) {
        auto uid = number_behind(row.text, "UID ");
        if (!uid || row.text.find(" FETCH (") == std::string::npos || row.literals.size() != 1) continue;
        std::string_view field = row.literals[0];
        field.remove_prefix(std::min(field.find(':') + 1, field.size()));
        while (!field.empty() && (field.front() == ' ')) field.remove_prefix(1);
        while (!field.empty() && (field.back() == '\r' || field.back() == '\n')) field.remove_suffix(1);
        std::string flags = text_behind(row.text, "FLAGS (");
        if (auto recent = flags.find("\\Recent"); recent != std::string::npos) flags.erase(recent, 7);
        while (flags.ends_with(' ')) flags.pop_back();
        shown[*uid] = {flags, number_behind(row.text, "RFC822.SIZE ").value_or(0),
                       mime::decode_header(field)};
    }
    return shown;
}

Result<std::string> fetch_octets(const DemoNode& node, std::uint32_t uid) {
    auto client = TRY(select_inbox(node));
    for (auto& row : TRY(client.command("UID FETCH " + std::to_string(uid) + " (BODY.PEEK[])")))
        if (row.literals.size() == 1) return std::move(row.literals[0]);
    return fail(ErrorKind::refused, node.role + " has no message of UID " + std::to_string(uid));
}

// --- 4

Result<> Journey::deliver(const Letter& letter) {
    std::string size = std::to_string(letter.octets.size());
    if (letter.by_append) {
        auto client = TRY(ImapClient::log_in(core_.imap_port, "ann", core_.password));
        TRY(client.append("INBOX", letter.octets));
        say(padded(letter.what, 22) + size +
            " octets by IMAP APPEND (SMTP gives every mail a last line end)");
        return {};
    }
    auto client = TRY(SmtpClient::open(core_.smtp_port));
    auto answer = TRY(client.send("bob@elsewhere.test", ann, letter.octets));
    say(padded(letter.what, 22) + size + " octets by SMTP: " + answer.text);
    (void)client.command("QUIT");
    return verify(answer.code == 250, "core takes the message with 250");
}

// What core shows ends in what was sent; before it stand the fields that core added.
Result<> Journey::check_delivered(const std::vector<Letter>& letters) {
    for (const auto& [uid, message] : TRY(look_at(core_))) {
        auto octets = TRY(fetch_octets(core_, uid));
        for (const auto& letter : letters)
            if (letter.by_append ? octets == letter.octets : octets.ends_with(letter.octets))
                letters_[uid] = letter;
        TRY(verify(letters_.contains(uid),
                   "core's UID " + std::to_string(uid) + " is one of the messages sent"));
        TRY(verify(
            message.subject == letters_[uid].subject,
            "core shows the subject \"" + letters_[uid].subject + "\", not \"" + message.subject + "\""));
    }
    return verify(letters_.size() == letters.size(), "core has all of them, each once");
}

Result<> Journey::send_five() {
    auto letters = demo_letters();
    for (const auto& letter : letters) TRY(deliver(letter));
    TRY(wait_until("core to file them", [&]() -> Result<std::string> {
        auto shown = TRY(look_at(core_));
        return shown.size() >= letters.size() ? "" : std::to_string(shown.size()) + " are in core's INBOX";
    }));
    TRY(check_delivered(letters));
    say("core shows all five, octet for octet");
    return {};
}

// --- 5

Result<> Journey::wait_for_five() {
    TRY(wait_until("the remote to show them", [&]() -> Result<std::string> {
        auto shown = look_at(remote_);
        if (!shown) return "ann is not known there before the first mail from core";
        return shown->size() >= letters_.size() ? ""
                                                : std::to_string(shown->size()) + " of 5 are at the remote";
    }));
    auto inside = TRY(look_at(core_)), outside = TRY(look_at(remote_));
    say("UID  " + padded("subject at core", 26) + padded("octets", 9) + padded("subject at the remote", 24) +
        "octets");
    for (const auto& [uid, message] : inside) {
        TRY(verify(outside.contains(uid), "the remote has UID " + std::to_string(uid)));
        say(padded(std::to_string(uid), 5) + padded(message.subject, 26) +
            padded(std::to_string(message.size), 9) + padded(outside[uid].subject, 24) +
            std::to_string(outside[uid].size));
        TRY(verify(outside[uid].subject == "...", "the remote's subject says nothing"));
        TRY(verify(outside[uid].flags == message.flags, "both show the same flags"));
    }
    TRY(verify(inside.size() == outside.size(), "both show the same UIDs"));
    auto mails = TRY(link_number(remote_, "mails_received"));
    say("they came in " + std::to_string(mails) +
        " mails of at most 100k; the attachment is larger than one may be");
    return verify(mails >= 5, "the attachment travelled in parts");
}

// --- 6

Result<> Journey::search_remote() {
    auto uid = letters_.begin()->first;
    auto sealed = TRY(fetch_octets(remote_, uid));
    say("UID FETCH " + std::to_string(uid) + " (BODY.PEEK[]) at the remote:");
    excerpt(sealed, 24);
    TRY(verify(sealed.find(telling_word) == std::string::npos, "the remote serves no word of it"));
    TRY(verify(sealed.find("-----BEGIN PGP MESSAGE-----") != std::string::npos, "it is an OpenPGP message"));
    auto inside = TRY(search_files(core_.data_dir, telling_word));
    auto outside = TRY(search_files(remote_.config.parent_path(), telling_word));
    say(describe("core's files", inside));
    say(describe("the remote's files", outside));
    TRY(verify(inside.hits > 0, "the search finds the word where it may be: at core"));
    return verify(outside.hits == 0 && outside.files > 0, "the word is in none of the remote's files");
}

// --- 7

Result<> Journey::open_with_gpg() {
    auto uid = letters_.begin()->first;
    auto key = TRY(run_fwmail({"key", "export", "ann", "--secret", "--config", core_.config.string()}));
    TRY(write_private_file(folder_ / "ann.key", key.out));
    say("$ fwmail key export ann --secret > ann.key   at core");
    excerpt(key.out, 1);
    for (const auto& [number, letter] : letters_)
        TRY(write_private_file(folder_ / (std::to_string(number) + ".eml"),
                               TRY(fetch_octets(remote_, number))));
    auto version = TRY(run_program("gpg", {"--version"}, Milliseconds(10'000)));
    if (version.status == 127) {
        say("gpg is not installed here: this step is left out");
        return {};
    }
    auto home = folder_ / "gnupg";
    std::filesystem::create_directory(home);
    std::filesystem::permissions(home, std::filesystem::perms::owner_all);
    gpg_home_ = home;
    Arguments common{"--homedir", home.string(), "--batch", "--quiet"};
    auto with = [&](Arguments words) {
        words.insert(words.begin(), common.begin(), common.end());
        return run_program("gpg", words, Milliseconds(20'000));
    };
    auto imported = TRY(with({"--import", (folder_ / "ann.key").string()}));
    TRY(verify(imported.status == 0, "gpg takes the key; it says " + imported.error));
    std::string file = (folder_ / (std::to_string(uid) + ".eml")).string();
    auto opened = TRY(with({"--decrypt", file}));
    say("$ gpg --decrypt " + std::to_string(uid) + ".eml   what the remote served");
    excerpt(opened.out, 40);
    TRY(verify(opened.status == 0, "gpg opens it; it says " + opened.error));
    TRY(verify(opened.out.find("Subject: " + letters_[uid].subject) != std::string::npos,
               "the subject is in it"));
    return verify(opened.out.find("Not a word to anybody.") != std::string::npos, "the text is in it");
}

Result<> Journey::open_exactly() {
    for (const auto& [uid, letter] : letters_) {
        std::string name = std::to_string(uid) + ".eml";
        auto opened = TRY(
            run_fwmail({"open", "--key-file", (folder_ / "ann.key").string(), (folder_ / name).string()}));
        auto inside = TRY(fetch_octets(core_, uid));
        TRY(verify(opened.out == inside,
                   "what fwmail open makes of " + name + " is core's BODY[] (" + letter.what + ")"));
        say("$ fwmail open " + name + ": " + std::to_string(opened.out.size()) +
            " octets, core's BODY[] exactly (" + letter.what + ")");
    }
    return {};
}

}  // namespace fwmail::roles
