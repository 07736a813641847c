#include "service/imap_source.hpp"

#include <algorithm>

#include "base/co_try.hpp"

namespace fwmail::service {
namespace {

namespace client = imap::client;

constexpr std::size_t uids_at_once = 100;

bool has_attribute(const client::ListRow& row, std::string_view name) {
    return std::ranges::any_of(row.attributes, [&](const auto& a) { return equal_ignoring_case(a, name); });
}

class ImapSource final : public MailSource {
  public:
    ImapSource(std::unique_ptr<ImapClient> connection, IsKnown known)
        : client_(std::move(connection)), known_(std::move(known)) {}

    net::Task<Result<>> load_mailboxes() {
        CO_TRY(co_await client_->give(client::ListMailboxes{}));
        for (;;) {
            auto event = CO_TRY(co_await client_->next());
            if (std::holds_alternative<client::Answer>(event)) co_return Result<>();
            auto* row = std::get_if<client::ListRow>(&event);
            if (!row || mailboxes_.size() >= 100'000) continue;
            bool none = has_attribute(*row, "\\Noselect") || has_attribute(*row, "\\NonExistent");
            // They show messages that lie elsewhere (RFC 6154 2).
            bool view = has_attribute(*row, "\\All") || has_attribute(*row, "\\Flagged");
            if (!none && !view) mailboxes_.push_back(std::move(*row));
        }
    }

    net::Task<Result<std::optional<SourceMessage>>> next() override {
        for (;;) {
            if (!fetching_) {
                bool more = CO_TRY(co_await fetch_more());
                if (!more) {
                    co_await client_->log_out();
                    co_return std::nullopt;
                }
            }
            auto event = CO_TRY(co_await client_->next());
            if (auto* answer = std::get_if<client::Answer>(&event)) {
                fetching_ = false;
                if (!answer->ok)
                    co_return fail(ErrorKind::refused, "FETCH is refused: " + answer->text.substr(0, 300));
            } else if (std::holds_alternative<client::ContentBegin>(event)) {
                in_message_ = true;
                co_return current_ = start_message();
            }
        }
    }

    net::Task<Result<std::string>> read() override {
        while (in_message_) {
            auto event = CO_TRY(co_await client_->next());
            if (auto* part = std::get_if<client::ContentPart>(&event)) co_return std::move(part->octets);
            if (auto* row = std::get_if<client::Fetched>(&event)) {
                in_message_ = false;
                if (row->uid.value == 0) co_return fail(ErrorKind::protocol, "the server names no UID");
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

    const SourceMessage& message() const override { return current_; }

  private:
    SourceMessage start_message() const {
        SourceMessage message;
        message.path = client_->session().path_of(mailboxes_[mailbox_ - 1]);
        for (const auto& attribute : mailboxes_[mailbox_ - 1].attributes)
            for (std::string_view use : {"\\Sent", "\\Drafts", "\\Junk", "\\Trash", "\\Archive"})
                if (equal_ignoring_case(attribute, use)) message.special_use = use;
        return message;
    }

    std::string item_of(Uid uid) const {
        return std::to_string(uidvalidity_) + '/' + std::to_string(uid.value);
    }

    // Asks for the next messages that are not known. False: there are none.
    net::Task<Result<bool>> fetch_more() {
        client::FetchUids fetch;
        fetch.flags = fetch.internal_date = fetch.content = true;
        std::size_t wanted = 0;
        while (wanted < uids_at_once) {
            if (uid_ == uids_.size()) {
                if (wanted > 0) break;  // of one mailbox at a time
                bool opened = CO_TRY(co_await open_mailbox());
                if (!opened) co_return false;
                continue;
            }
            Uid uid = uids_[uid_++];
            SourceMessage message = start_message();
            message.item = item_of(uid);
            bool known = CO_TRY(co_await known_(std::move(message)));
            if (known) continue;
            fetch.uids.add(uid.value);
            ++wanted;
        }
        CO_TRY(co_await client_->give(std::move(fetch)));
        fetching_ = true;
        co_return true;
    }

    net::Task<Result<bool>> open_mailbox() {
        uids_.clear();
        uid_ = 0;
        if (mailbox_ == mailboxes_.size()) co_return false;
        const auto& row = mailboxes_[mailbox_++];
        client::Select select{row.mailbox, true, std::nullopt};
        CO_TRY(co_await client_->give(std::move(select)));
        uidvalidity_ = 0;
        for (bool open = true; open;) {
            auto event = CO_TRY(co_await client_->next());
            if (auto* selected = std::get_if<client::Selected>(&event))
                uidvalidity_ = selected->uidvalidity.value;
            if (auto* answer = std::get_if<client::Answer>(&event)) {
                if (!answer->ok)
                    co_return fail(ErrorKind::refused, row.mailbox.substr(0, 200) + " cannot be opened: " +
                                                           answer->text.substr(0, 300));
                open = false;
            }
        }
        client::FetchUids all;
        all.uids.add(1, 0xffffffff);
        CO_TRY(co_await client_->give(std::move(all)));
        for (;;) {
            auto event = CO_TRY(co_await client_->next());
            if (std::holds_alternative<client::Answer>(event)) break;
            auto* found = std::get_if<client::Fetched>(&event);
            if (found && found->uid.value && uids_.size() < 100'000'000) uids_.push_back(found->uid);
        }
        std::ranges::sort(uids_);
        uids_.erase(std::ranges::unique(uids_).begin(), uids_.end());
        co_return true;
    }

    std::unique_ptr<ImapClient> client_;
    IsKnown known_;
    std::vector<client::ListRow> mailboxes_;
    std::size_t mailbox_ = 0;  // the one after that which is open
    std::uint32_t uidvalidity_ = 0;
    std::vector<Uid> uids_;  // of the mailbox that is open
    std::size_t uid_ = 0;
    bool fetching_ = false, in_message_ = false;
    SourceMessage current_;
};

}  // namespace

net::Task<Result<std::unique_ptr<MailSource>>> open_imap_source(Node& node, ImapServer server,
                                                                IsKnown known) {
    auto connection = CO_TRY(co_await ImapClient::connect(node, std::move(server)));
    auto source = std::make_unique<ImapSource>(std::move(connection), std::move(known));
    CO_TRY(co_await source->load_mailboxes());
    co_return source;
}

}  // namespace fwmail::service
