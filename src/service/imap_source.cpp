#include "service/imap_source.hpp"

#include <algorithm>
#include <set>

#include "base/co_try.hpp"

namespace fwmail::service {
namespace {

namespace client = imap::client;

constexpr std::size_t uids_at_once = 100;
constexpr int most_tries = 4;

bool has_attribute(const client::ListRow& row, std::string_view name) {
    return std::ranges::any_of(row.attributes, [&](const auto& a) { return equal_ignoring_case(a, name); });
}

class ImapSource final : public MailSource {
  public:
    ImapSource(Node& node, ImapServer server, IsKnown known)
        : node_(node), server_(std::move(server)), known_(std::move(known)) {}

    net::Task<Result<>> open() {
        client_ = CO_TRY(co_await ImapClient::connect(node_, server_));
        CO_TRY(co_await client_->give(client::ListMailboxes{}));
        std::set<std::string> seen;
        for (;;) {
            auto event = CO_TRY(co_await client_->next());
            if (auto* answer = std::get_if<client::Answer>(&event)) {
                if (!answer->ok) co_return std::unexpected(client_->error_of(answer->text, answer->code));
                co_return Result<>();
            }
            auto* row = std::get_if<client::ListRow>(&event);
            if (!row || mailboxes_.size() >= 100'000) continue;
            bool none = has_attribute(*row, "\\Noselect") || has_attribute(*row, "\\NonExistent");
            // They show messages that lie elsewhere (RFC 6154 2).
            bool view = has_attribute(*row, "\\All") || has_attribute(*row, "\\Flagged");
            bool ours = client_->session().is_personal(*row);
            if (none || view || !ours || !seen.insert(row->mailbox).second) continue;
            mailboxes_.push_back(std::move(*row));
        }
    }

    net::Task<Result<std::optional<SourceMessage>>> next() override {
        for (;;) {
            Result<bool> found = false;
            if (cut_) {
                auto again = co_await reconnect();
                if (!again) found = std::unexpected(again.error());
            }
            if (found) found = co_await find();
            if (found && *found) co_return current_ = start_message();
            if (found) {
                co_await client_->log_out();
                co_return std::nullopt;
            }
            if (!may_go_on(found.error())) co_return std::unexpected(found.error());
        }
    }

    net::Task<Result<std::string>> read() override {
        auto octets = co_await read_on();
        if (!octets && may_go_on(octets.error())) in_message_ = false;
        co_return octets;
    }

    const SourceMessage& message() const override { return current_; }
    std::vector<std::string> unreadable() const override { return unreadable_; }
    bool goes_on() const override { return cut_; }

  private:
    // The line was cut, or the server ends the connection: what is left is asked for on a new one, a few
    // times without any message coming in between.
    bool may_go_on(const Error& error) {
        cut_ = error.kind == ErrorKind::temporary && tries_ < most_tries && !node_.stopping;
        return cut_;
    }

    net::Task<Result<>> reconnect() {
        cut_ = fetching_ = in_message_ = false;
        auto pause = std::chrono::seconds(1 << tries_++);
        for (auto end = net::deadline_after(pause);
             !node_.stopping && std::chrono::steady_clock::now() < end;)
            co_await net::sleep_for(std::chrono::milliseconds(200));
        client_ = CO_TRY(co_await ImapClient::connect(node_, server_));
        if (mailbox_ == 0) co_return Result<>();
        uids_.erase(uids_.begin(), uids_.begin() + static_cast<std::ptrdiff_t>(uid_));
        uids_.insert(uids_.begin(), asked_.begin(), asked_.end());
        uid_ = 0;
        asked_.clear();
        std::uint32_t before = uidvalidity_;
        auto exists = CO_TRY(co_await select(mailboxes_[mailbox_ - 1]));
        if (!exists) co_return Result<>();  // it has gone
        if (!listed_ || uidvalidity_ != before) CO_TRY(co_await load_uids(*exists));
        co_return Result<>();
    }

    // Whether another message begins.
    net::Task<Result<bool>> find() {
        for (;;) {
            if (!fetching_) {
                bool more = CO_TRY(co_await fetch_more());
                if (!more) co_return false;
            }
            auto event = CO_TRY(co_await client_->next());
            if (auto* answer = std::get_if<client::Answer>(&event)) {
                fetching_ = false;
                if (!answer->ok) CO_TRY(passed_over(*answer, "a message of " + name()));
                asked_.clear();
            } else if (std::holds_alternative<client::ContentBegin>(event)) {
                in_message_ = true;
                co_return true;
            }
        }
    }

    net::Task<Result<std::string>> read_on() {
        while (in_message_) {
            auto event = CO_TRY(co_await client_->next());
            if (auto* part = std::get_if<client::ContentPart>(&event)) co_return std::move(part->octets);
            if (auto* row = std::get_if<client::Fetched>(&event)) {
                in_message_ = false;
                tries_ = 0;
                if (row->uid.value == 0) co_return fail(ErrorKind::protocol, "the server names no UID");
                std::erase(asked_, row->uid);
                current_.item = item_of(row->uid);
                if (row->flags) current_.flags = *row->flags;
                if (row->internal_date) current_.date = *row->internal_date;
                current_.zone_minutes = row->zone_minutes;
            } else if (std::holds_alternative<client::Answer>(event)) {
                co_return fail(ErrorKind::protocol, "the server ends FETCH in the midst of a message");
            }
        }
        co_return std::string();
    }

    std::string name() const { return mailboxes_[mailbox_ - 1].mailbox.substr(0, 200); }

    // One mailbox or message that the server does not give holds up no other.
    Result<> passed_over(const client::Answer& answer, std::string what) {
        auto error = client_->error_of(what + " is not given: " + answer.text, answer.code);
        if (error.kind != ErrorKind::refused) return std::unexpected(std::move(error));
        if (unreadable_.size() < 100) unreadable_.push_back(std::move(error.text));
        return {};
    }

    SourceMessage start_message() const {
        SourceMessage message;
        message.path = client_->session().path_of(mailboxes_[mailbox_ - 1]);
        for (const auto& attribute : mailboxes_[mailbox_ - 1].attributes)
            for (std::string_view use : {"\\Sent", "\\Drafts", "\\Junk", "\\Trash", "\\Archive"})
                if (equal_ignoring_case(attribute, use)) message.special_use = use;
        return message;
    }

    // Without lasting UIDs (RFC 9051 2.3.1.1) a message is told by its content.
    std::string item_of(Uid uid) const {
        return uidvalidity_ ? std::to_string(uidvalidity_) + '/' + std::to_string(uid.value) : std::string();
    }

    // Asks for the next messages that are not known. False: there are none.
    net::Task<Result<bool>> fetch_more() {
        client::FetchUids fetch;
        fetch.flags = fetch.internal_date = fetch.content = true;
        while (asked_.size() < uids_at_once) {
            if (uid_ == uids_.size()) {
                if (!asked_.empty()) break;  // of one mailbox at a time
                if (mailbox_ == mailboxes_.size()) co_return false;
                CO_TRY(co_await open_mailbox());
                continue;
            }
            Uid uid = uids_[uid_++];
            SourceMessage message = start_message();
            message.item = item_of(uid);
            bool known = false;
            if (!message.item.empty()) known = CO_TRY(co_await known_(std::move(message)));
            if (known) continue;
            fetch.uids.add(uid.value);
            asked_.push_back(uid);
        }
        CO_TRY(co_await client_->give(std::move(fetch)));
        fetching_ = true;
        co_return true;
    }

    net::Task<Result<>> open_mailbox() {
        uids_.clear();
        uid_ = 0;
        listed_ = false;
        auto exists = CO_TRY(co_await select(mailboxes_[mailbox_++]));
        if (exists) CO_TRY(co_await load_uids(*exists));
        co_return Result<>();
    }

    // How many messages it has; nothing: it is passed over.
    net::Task<Result<std::optional<std::uint32_t>>> select(client::ListRow row) {
        client::Select select{row.mailbox, true, std::nullopt};
        CO_TRY(co_await client_->give(std::move(select)));
        uidvalidity_ = 0;
        std::uint32_t exists = 0;
        for (;;) {
            auto event = CO_TRY(co_await client_->next());
            if (auto* selected = std::get_if<client::Selected>(&event)) {
                uidvalidity_ = selected->uidvalidity.value;
                exists = selected->exists;
            }
            if (auto* more = std::get_if<client::Exists>(&event)) exists = more->count;
            auto* answer = std::get_if<client::Answer>(&event);
            if (!answer) continue;
            if (answer->ok) co_return exists;
            CO_TRY(passed_over(*answer, row.mailbox.substr(0, 200)));
            uids_.clear();
            co_return std::nullopt;
        }
    }

    net::Task<Result<>> load_uids(std::uint32_t exists) {
        uids_.clear();
        listed_ = true;
        if (exists == 0) co_return Result<>();  // some find `1:*` wrong then
        client::FetchUids all;
        all.uids.add(1, 0xffffffff);
        CO_TRY(co_await client_->give(std::move(all)));
        for (;;) {
            auto event = CO_TRY(co_await client_->next());
            if (auto* answer = std::get_if<client::Answer>(&event)) {
                if (!answer->ok) CO_TRY(passed_over(*answer, name()));
                break;
            }
            auto* found = std::get_if<client::Fetched>(&event);
            if (found && found->uid.value && uids_.size() < 100'000'000) uids_.push_back(found->uid);
        }
        std::ranges::sort(uids_);
        uids_.erase(std::ranges::unique(uids_).begin(), uids_.end());
        co_return Result<>();
    }

    Node& node_;
    ImapServer server_;
    std::unique_ptr<ImapClient> client_;
    IsKnown known_;
    std::vector<client::ListRow> mailboxes_;
    std::size_t mailbox_ = 0;  // the one after that which is open
    std::uint32_t uidvalidity_ = 0;
    std::vector<Uid> uids_;  // of the mailbox that is open
    std::size_t uid_ = 0;
    std::vector<Uid> asked_;  // and not given yet
    bool listed_ = false;     // uids_ are all of the mailbox that is open
    bool fetching_ = false, in_message_ = false, cut_ = false;
    int tries_ = 0;  // since the last message
    std::vector<std::string> unreadable_;
    SourceMessage current_;
};

}  // namespace

net::Task<Result<std::unique_ptr<MailSource>>> open_imap_source(Node& node, ImapServer server,
                                                                IsKnown known) {
    auto source = std::make_unique<ImapSource>(node, std::move(server), std::move(known));
    CO_TRY(co_await source->open());
    co_return source;
}

}  // namespace fwmail::service
