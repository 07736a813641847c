#include "service/mail_receiver.hpp"

#include <algorithm>
#include <set>

#include "base/co_try.hpp"
#include "base/hooks.hpp"
#include "mime/date.hpp"
#include "service/message_texts.hpp"
#include "service/queue_runner.hpp"
#include "service/quota.hpp"
#include "smtp/received.hpp"
#include "sync/frame_builder.hpp"

namespace fwmail::service {
namespace {

constexpr std::size_t head_limit = 64 * 1024;
constexpr std::size_t node_mail_limit = sync::most_max_mail_size + (1 << 20);
constexpr std::size_t most_copies = 5000;  // of one mail, aliases followed
constexpr std::int64_t repeat_window = 86'400'000;

smtp::Reply reply(int code, std::uint16_t subject, std::uint16_t detail, std::string text) {
    return {code, {static_cast<std::uint16_t>(code / 100), subject, detail}, std::move(text)};
}

smtp::Reply reply_of(const Error& error) {
    switch (error.kind) {
        case ErrorKind::usage:
        case ErrorKind::protocol:
        case ErrorKind::refused:
            return reply(550, 7, 1, error.text);
        case ErrorKind::temporary:
            return reply(452, 3, 1, error.text);
        case ErrorKind::internal:
            return reply(451, 3, 0, "this server has trouble of its own, try again later");
    }
    return reply(451, 3, 0, "try again later");
}

}  // namespace

net::Task<smtp::Reply> MailReceiver::log_in(smtp::AuthStart request) {
    auto step = co_await sasl_.start(std::move(request.mechanism), std::move(request.initial));
    co_return on_sasl(std::move(step));
}

net::Task<smtp::Reply> MailReceiver::log_in(smtp::AuthResponse request) {
    auto step = co_await sasl_.on_response(std::move(request.octets));
    co_return on_sasl(std::move(step));
}

// Replies as RFC 4954 4 and 6 have them.
smtp::Reply MailReceiver::on_sasl(SaslLogin::Step step) {
    if (!step) {
        switch (step.error().kind) {
            case ErrorKind::protocol:
                return reply(501, 5, 2, step.error().text);
            case ErrorKind::refused:
                return reply(535, 7, 8, step.error().text);
            case ErrorKind::temporary:
                return reply(421, 7, 0, step.error().text);
            case ErrorKind::usage:
            case ErrorKind::internal:
                return reply(454, 7, 0, "the login cannot be checked now, try again later");
        }
    }
    if (auto* challenge = std::get_if<sasl::Challenge>(&*step))
        return {334, {}, std::move(challenge->octets)};
    user_ = std::get<UserPtr>(std::move(*step));
    return reply(235, 7, 0, "welcome");
}

net::Task<smtp::Reply> MailReceiver::begin(smtp::MailFrom request) {
    // The null path is for receipts (RFC 8098 3), which clients send on their users' behalf.
    if (service_ == MailService::submission && !request.reverse_path.is_null() &&
        !is_own_address(request.reverse_path))
        co_return reply(550, 7, 1,
                        "<" + request.reverse_path.text() + "> is no address of " + user_->user.name);
    bool within =
        user_ ? limits_.user_mails.take(user_->user.id.octets())
              : service_ != MailService::transfer || limits_.address_mails.take(net::limited_as(peer_));
    if (!within) co_return reply(450, 7, 1, "too many mails within an hour, try again later");
    transaction_.emplace(Transaction{});
    transaction_->utf8 = !request.reverse_path.is_ascii();
    transaction_->sender = std::move(request.reverse_path);
    transaction_->dsn = std::move(request.dsn);
    transaction_->size = request.size.value_or(0);
    co_return reply(250, 1, 0, "the sender is noted");
}

bool MailReceiver::is_own_address(const smtp::Path& path) const {
    return user_ && may_send_as(node_.directory, address_rules(node_.config), user_->user.id, path);
}

bool MailReceiver::may_relay() const {
    if (service_ != MailService::transfer) return service_ == MailService::submission;
    auto allowed = node_.config.list("smtp.relay-from");
    return std::ranges::find(allowed, peer_) != allowed.end();
}

net::Task<smtp::Reply> MailReceiver::recipient(smtp::RcptTo request) {
    auto& mail = *transaction_;
    std::string address = request.forward_path.text();
    // Node mail comes from a node, never from a user.
    if (auto link = service_ == MailService::submission ? std::nullopt : links_.find_address(address)) {
        if (!mail.local.empty() || !mail.relayed.empty() || mail.link)
            co_return reply(452, 5, 3, "this recipient wants a mail of its own");
        mail.link = *link;
        co_return reply(250, 1, 5, "the link is known");
    }
    if (!node_.is_core()) co_return reply(550, 7, 1, "This server takes mail from its core server only");
    if (mail.link) co_return reply(452, 5, 3, "the recipient before wants a mail of its own");
    auto reached = reach(node_.directory, address_rules(node_.config), request.forward_path);
    if (!reached) co_return reply(550, 1, 1, reached.error().text);
    bool alias = reached->by_alias || reached->by_fallback;
    if (!reached->outside.empty() && !alias && !may_relay())
        co_return reply(550, 7, 1, "This server does not relay mail for you to <" + address + ">");
    if (mail.local.size() + mail.relayed.size() + reached->users.size() + reached->outside.size() >
        most_copies)
        co_return reply(452, 5, 3, "too many recipients");
    auto full = co_await no_room({address, reached->users, !reached->outside.empty()}, mail.size);
    if (!full) co_return reply_of(full.error());
    if (*full) co_return **full;
    if (user_ && !limits_.user_recipients.take(user_->user.id.octets()))
        co_return reply(450, 7, 1, "too many recipients within an hour, try again later");
    bool known = alias || reached->outside.empty();
    take_recipients(std::move(request), std::move(*reached));
    co_return reply(250, 1, 5, known ? "the recipient is known" : "the mail will be passed on");
}

void MailReceiver::take_recipients(smtp::RcptTo request, Reached reached) {
    auto& mail = *transaction_;
    std::string address = request.forward_path.text();
    mail.utf8 |= !request.forward_path.is_ascii();
    mail.recipients.push_back({address, reached.users, !reached.outside.empty()});
    store::QueueRecipient recipient{address};
    recipient.notify = request.dsn.notify;
    recipient.orcpt = request.dsn.orcpt;
    bool to_alias = reached.by_alias || reached.by_fallback;
    if (to_alias && !reached.outside.empty() &&
        std::ranges::find(mail.passed_on, address) == mail.passed_on.end())
        mail.passed_on.push_back(address);
    if (!reached.users.empty() && (recipient.notify & store::notify_success)) mail.told.push_back(recipient);
    for (auto user : reached.users)
        if (std::ranges::none_of(mail.local, [&](const auto& r) { return r.first == user; }))
            mail.local.emplace_back(user, address);
    for (auto& outside : reached.outside) {
        if (std::ranges::find(mail.relayed, outside, &store::QueueRecipient::address) != mail.relayed.end())
            continue;
        recipient.address = std::move(outside);
        mail.relayed.push_back(recipient);
    }
}

net::Task<smtp::Reply> MailReceiver::data(std::string helo, std::string protocol) {
    auto& mail = *transaction_;
    mail.arrived = node_.clock();
    mail.email_id = make_email_id(mail.arrived);
    if (mail.link) co_return reply(354, 0, 0, "go on");
    mail.body.emplace(node_);
    std::string date = mime::write_date({mail.arrived.value / 1000, 0});
    if (service_ == MailService::submission)
        mail.fields.emplace(date, "<" + mail.email_id.hex() + "@" + node_.host_name() + ">");
    mail.digest.update(mail.sender.text() + '\0');
    mail.size = 0;
    smtp::ReceivedInfo info;
    info.helo = std::move(helo);
    info.peer = peer_;
    info.by = node_.host_name();
    info.protocol = std::move(protocol);
    info.id = mail.email_id.hex();
    if (mail.local.size() + mail.relayed.size() == 1)
        info.recipient = mail.local.empty() ? mail.relayed.front().address : mail.local.front().second;
    info.date = std::move(date);
    std::string prefix = mail.local.empty() ? "" : "Return-Path: <" + mail.sender.text() + ">\r\n";
    mail.local_only = prefix.size();
    prefix += smtp::write_received(info);
    // Who is passed on to somebody elsewhere and comes back is known by it.
    for (const auto& address : mail.passed_on) prefix += "Delivered-To: " + address + "\r\n";
    prefix += "FWMail-Id: " + mail.email_id.hex() + "\r\n";
    (void)co_await mail.body->feed(std::move(prefix));  // an error stays for the end
    co_return reply(354, 0, 0, "go on");
}

net::Task<> MailReceiver::chunk(std::string octets) {
    auto& mail = *transaction_;
    if (mail.link) {
        if (mail.node_mail.size() + octets.size() > node_mail_limit)
            mail.node_mail_too_large = true;
        else if (!mail.no_room && mail.share.grow(links_.room(), octets.size()))
            mail.node_mail += octets;
        else
            mail.no_room = true;
        co_return;
    }
    mail.digest.update(octets);
    mail.size += octets.size();
    if (mail.head.size() < head_limit) mail.head.append(octets, 0, head_limit - mail.head.size());
    (void)co_await mail.body->feed(filtered(mail, octets, false));
}

std::string MailReceiver::filtered(Transaction& mail, std::string_view octets, bool last) const {
    std::string out = mail.stripper.add(octets);
    if (last) out += mail.stripper.finish();
    if (!mail.fields) return out;
    out = mail.bcc.add(out);
    if (last) out += mail.bcc.finish();
    out = mail.fields->add(out);
    if (last) out += mail.fields->finish();
    return out;
}

net::Task<> MailReceiver::abort() {
    if (!transaction_) co_return;
    Transaction mail = std::move(*transaction_);
    transaction_.reset();
    if (mail.body) co_await mail.body->discard();
}

// Nothing: at least one whom the recipient reaches has room for the mail. An alias's mail is taken for all
// then, as it could be refused for all only. 452 4.2.2 has the sender try again for some days (RFC
// 5321 4.2.5, RFC 3463 3.3); what will never fit goes back at once.
net::Task<Result<std::optional<smtp::Reply>>> MailReceiver::no_room(Recipient recipient, std::uint64_t size) {
    using Answer = std::optional<smtp::Reply>;
    if (recipient.elsewhere || recipient.accounts.empty()) co_return Answer();
    bool ever = false;
    for (auto account : recipient.accounts) {
        auto quota = quota_of(node_, account);
        if (!quota.any()) co_return Answer();
        auto look = [](store::AccountStore& store) { return store.usage(); };
        auto usage = CO_TRY(co_await node_.read(account, look));
        if (quota.has_room(usage, {size, 1})) co_return Answer();
        ever |= quota.octets == 0 || size <= quota.octets;
    }
    std::string who = "<" + recipient.address + ">";
    if (!ever) co_return reply(552, 2, 3, "the mail is larger than all that " + who + " may have");
    co_return reply(452, 2, 2, "the mailboxes of " + who + " are full, try again later");
}

// For each reply that is due, whether its recipient has no room for the mail now that its size is known. SMTP
// has one reply for all: there one who has room is enough, and the others go beyond their limit by this mail.
net::Task<Result<std::vector<std::optional<smtp::Reply>>>> MailReceiver::refuse_full(Transaction& mail,
                                                                                     std::size_t replies) {
    std::vector<std::optional<smtp::Reply>> refused;
    for (const auto& recipient : mail.recipients)
        refused.push_back(CO_TRY(co_await no_room(recipient, mail.size)));
    auto is_full = [](const auto& answer) { return answer.has_value(); };
    if (service_ != MailService::delivery || refused.size() != replies) {
        bool all = !refused.empty() && std::ranges::all_of(refused, is_full);
        co_return std::vector(replies, all ? refused.front() : std::nullopt);
    }
    std::set<AccountId> wanted;
    for (std::size_t i = 0; i < refused.size(); ++i) {
        const auto& recipient = mail.recipients[i];
        if (!refused[i])
            wanted.insert(recipient.accounts.begin(), recipient.accounts.end());
        else
            std::erase_if(mail.told, [&](const auto& told) { return told.address == recipient.address; });
    }
    if (std::ranges::any_of(refused, is_full))
        std::erase_if(mail.local, [&](const auto& local) { return !wanted.contains(local.first); });
    co_return refused;
}

net::Task<std::vector<smtp::Reply>> MailReceiver::end(std::size_t replies) {
    Transaction mail = std::move(*transaction_);
    transaction_.reset();
    std::vector<std::optional<smtp::Reply>> refused(replies);
    if (!mail.link) {
        auto full = co_await refuse_full(mail, replies);
        if (!full) {
            co_await mail.body->discard();
            co_return std::vector(replies, reply_of(full.error()));
        }
        refused = std::move(*full);
    }
    std::vector<smtp::Reply> answers;
    if (std::ranges::all_of(refused, [](const auto& answer) { return answer.has_value(); })) {
        co_await mail.body->discard();
        for (const auto& answer : refused) answers.push_back(*answer);
        co_return answers;
    }
    auto answer = co_await conclude(std::move(mail));
    for (const auto& refusal : refused) answers.push_back(refusal.value_or(answer));
    co_return answers;
}

net::Task<smtp::Reply> MailReceiver::conclude(Transaction mail) {
    if (mail.link) {
        if (mail.node_mail_too_large) co_return reply(552, 3, 4, "a node mail of this size is never sent");
        if (mail.no_room) co_return reply(452, 3, 1, "too much node mail is under way, try again later");
        auto taken = co_await links_.receive(*mail.link, mail.sender.is_null(), std::move(mail.node_mail));
        if (!taken) co_return reply_of(taken.error());
        co_return reply(250, 0, 0, "the frame is applied");
    }
    if (smtp::is_mail_loop(mail.head)) {
        co_await mail.body->discard();
        co_return reply(554, 4, 6, "this mail has been through too many servers: it runs in a circle");
    }
    for (const auto& address : mail.passed_on)
        if (smtp::has_delivered_to(mail.head, address)) {
            co_await mail.body->discard();
            co_return reply(554, 4, 6, "this mail has been at <" + address + "> before: it runs in a circle");
        }
    auto stored = co_await store(mail);
    if (!stored) {
        co_await mail.body->discard();
        node_.log.error("smtp", "mail from " + peer_ + " could not be stored: " + stored.error().text);
        co_return reply_of(stored.error());
    }
    co_return reply(250, 0, 0, "stored as " + mail.email_id.hex());
}

// RFC 3461 5.2.7: final delivery is told where the sender asked for it.
Result<std::optional<Notice>> MailReceiver::success_notice(const Transaction& mail) const {
    if (mail.told.empty() || mail.sender.is_null()) return std::nullopt;
    NoticeRequest request;
    request.kind = smtp::DsnKind::delivered;
    request.sender = mail.sender.text();
    request.envid = mail.dsn.envid;
    request.created = mail.arrived;
    request.original = mail.head;
    for (auto recipient : mail.told) {
        recipient.last_reply = "250 2.1.5 stored in the mailbox";
        request.recipients.push_back(notice_row(recipient, mail.arrived));
    }
    return TRY(make_notice(node_, std::move(request)));
}

net::Task<Result<>> MailReceiver::store(Transaction& mail) {
    CO_TRY(co_await mail.body->feed(filtered(mail, {}, true)));
    auto written = CO_TRY(co_await mail.body->finish());
    store::SpoolRequest request;
    request.object = written.object;
    // Last, as a recipient may be left out at the end.
    for (const auto& [account, address] : mail.local) mail.digest.update(address + '\0');
    for (const auto& recipient : mail.relayed) mail.digest.update(recipient.address + '\0');
    auto digest = mail.digest.finish();
    // Without a Message-ID two mails of one text may well be meant.
    if (!mail.fields || !mail.fields->lacked_message_id())
        request.digest = std::string(crypto::view_of(digest));
    request.now = mail.arrived;
    request.repeat_since = UnixMillis{mail.arrived.value - repeat_window};
    for (const auto& [account, address] : mail.local) {
        store::SpoolRow row;
        row.delivery = make_id<store::HoldIdTag>(mail.arrived);
        row.account = account;
        row.email_id = mail.email_id;
        row.received = mail.arrived;
        row.envelope_sender = mail.sender.text();
        row.texts = written.texts;
        row.size = written.size;
        request.rows.push_back(std::move(row));
    }
    std::optional<store::QueueItem> relay;
    if (!mail.relayed.empty()) {
        relay = new_queue_item(node_, store::QueueKind::mail, mail.sender.text(), {});
        relay->recipients = mail.relayed;
        relay->envid = mail.dsn.envid;
        relay->ret = static_cast<store::DsnReturn>(mail.dsn.ret);
        // RFC 6531: a header beyond ASCII wants it as well.
        std::string_view header = std::string_view(mail.head).substr(0, mail.head.find("\r\n\r\n"));
        relay->utf8 = mail.utf8 || std::ranges::any_of(header, [](char c) { return c < 0; });
        relay->object = written.object;
        relay->skip = mail.local_only;
    }
    std::size_t size = written.content ? written.content->size() : 0;
    auto notice = CO_TRY(success_notice(mail));
    auto job = [request = std::move(request), relay, notice,
                content = std::move(written.content)](store::SystemStore& system) -> Result<> {
        if (content) TRY(system.put_object(request.object, *content, request.now));
        auto spooled = TRY(system.spool_message(request));
        if (relay && spooled == store::Spooled::stored) TRY(system.enqueue(*relay));
        if (notice && spooled == store::Spooled::stored) TRY(notice->store(system));
        return {};
    };
    crash_point("smtp.before-store");
    CO_TRY(co_await node_.write(store::system_file, std::move(job), size));
    crash_point("smtp.stored");
    for (const auto& [account, address] : mail.local) intake_.wake(account);
    if (relay) node_.queue_wake.notify();
    if (notice) announce(*notice, node_, intake_);
    co_return Result<>();
}

}  // namespace fwmail::service
