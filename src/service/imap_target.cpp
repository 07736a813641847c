#include <algorithm>
#include <map>

#include "base/co_try.hpp"
#include "service/imap_source.hpp"

namespace fwmail::service {
namespace {

namespace client = imap::client;

class ImapTarget final : public MailTarget {
  public:
    explicit ImapTarget(std::unique_ptr<ImapClient> connection) : client_(std::move(connection)) {}

    net::Task<Result<>> load_mailboxes() {
        CO_TRY(co_await client_->give(client::ListMailboxes{}));
        for (;;) {
            auto event = CO_TRY(co_await client_->next());
            if (auto* answer = std::get_if<client::Answer>(&event)) {
                if (!answer->ok) co_return std::unexpected(client_->error_of(answer->text, answer->code));
                co_return Result<>();
            }
            auto* row = std::get_if<client::ListRow>(&event);
            if (!row || mailboxes_.size() >= 100'000) continue;
            for (const auto& attribute : row->attributes)
                by_attribute_[ascii_lower(attribute)] = row->mailbox;
            mailboxes_.push_back(row->mailbox);
        }
    }

    net::Task<Result<>> begin_mailbox(std::string path, std::string special_use) override {
        auto same_use = by_attribute_.find(ascii_lower(special_use));
        mailbox_ = !special_use.empty() && same_use != by_attribute_.end()
                       ? same_use->second
                       : client_->session().mailbox_of(path);
        bool there = mailbox_ == "INBOX" || std::ranges::find(mailboxes_, mailbox_) != mailboxes_.end();
        if (there) co_return Result<>();
        CO_TRY(co_await client_->run(client::Create{mailbox_}));
        CO_TRY(co_await client_->run(client::Subscribe{mailbox_}));
        mailboxes_.push_back(mailbox_);
        co_return Result<>();
    }

    net::Task<Result<bool>> begin(ExportMessage message) override {
        client::Append append{mailbox_, message.flags, message.date, message.size};
        CO_TRY(co_await client_->give(std::move(append)));
        for (;;) {
            auto event = CO_TRY(co_await client_->next());
            if (std::holds_alternative<client::WantContent>(event)) co_return true;
            if (auto* answer = std::get_if<client::Answer>(&event))
                co_return std::unexpected(refusal(*answer));
        }
    }

    net::Task<Result<>> write(std::string octets) override {
        co_return co_await client_->append_content(std::move(octets));
    }

    net::Task<Result<>> end() override {
        for (;;) {
            auto event = CO_TRY(co_await client_->next());
            auto* answer = std::get_if<client::Answer>(&event);
            if (!answer) continue;
            if (!answer->ok) co_return std::unexpected(refusal(*answer));
            co_return Result<>();
        }
    }

    net::Task<Result<>> end_mailbox() override { co_return Result<>(); }
    net::Task<> finish() override { co_await client_->log_out(); }
    bool forgets() const override { return true; }

  private:
    Error refusal(const client::Answer& answer) const {
        return client_->error_of("the server does not take it: " + answer.text, answer.code);
    }

    std::unique_ptr<ImapClient> client_;
    std::vector<std::string> mailboxes_;
    std::map<std::string, std::string> by_attribute_;
    std::string mailbox_;
};

}  // namespace

net::Task<Result<std::unique_ptr<MailTarget>>> open_imap_target(Node& node, ImapServer server) {
    auto connection = CO_TRY(co_await ImapClient::connect(node, std::move(server)));
    auto target = std::make_unique<ImapTarget>(std::move(connection));
    CO_TRY(co_await target->load_mailboxes());
    co_return target;
}

}  // namespace fwmail::service
