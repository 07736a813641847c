// APPEND of one message or several: all are kept, or none (RFC 9051 6.3.12, RFC 3502).
#include <utility>

#include "base/co_try.hpp"
#include "base/hooks.hpp"
#include "service/foreign_sealed.hpp"
#include "service/home.hpp"
#include "service/imap_refusal.hpp"
#include "service/mailbox_service.hpp"
#include "service/message_texts.hpp"
#include "service/quota.hpp"
#include "service/releases.hpp"
#include "service/replica.hpp"
#include "sync/frame_builder.hpp"

namespace fwmail::service {
namespace {

constexpr std::size_t most_held = 4u << 20;    // octets of bodies in memory before they go to the store
constexpr std::size_t most_texts = 16u << 20;  // octets of envelopes and structures of one APPEND

std::size_t size_of(const store::MessageTexts& texts) {
    return texts.envelope.size() + texts.body.size() + texts.bodystructure.size() + texts.parts.size() +
           texts.keys.size() + texts.header.size();
}

std::vector<store::Reference> references_of(const std::vector<store::NewMessage>& messages) {
    std::vector<store::Reference> references;
    for (const auto& message : messages) references.push_back({message.object, message.hold});
    return references;
}

}  // namespace

net::Task<Result<MailboxService::R>> MailboxService::on(imap::AppendBegin request) {
    bool more = request.more && append_;
    if (!more) co_await append_abort();
    CO_TRY(changeable());
    if (!more) {
        auto mailbox = CO_TRY(co_await find_target(request.mailbox));
        // Before the octets come; what counts is asked again when they are there.
        if (auto quota = quota_of(node_, *account_); quota.any()) {
            auto look = [quota, size = request.size](store::AccountStore& account) {
                return account.check_quota(quota, {size, 1});
            };
            CO_TRY(co_await node_.read(*account_, std::move(look)));
        }
        append_.emplace(std::move(mailbox));
    } else if (auto ended = co_await end_message(); !ended) {
        co_await append_abort();
        co_return std::unexpected(ended.error());
    }
    append_->flags = std::move(request.flags);
    append_->date = request.internal_date.value_or(node_.clock());
    if (node_.is_core())
        append_->writer.emplace(node_);
    else
        append_->held.emplace(node_);
    co_return imap::Done{};
}

net::Task<> MailboxService::append_data(std::string octets) {
    if (append_ && append_->held) {
        append_->held->feed(octets);
        wipe(octets);
    } else if (append_) {
        (void)co_await append_->writer->feed(std::move(octets));  // an error stays for AppendEnd
    }
}

// What lies on the disk goes.
net::Task<> MailboxService::append_abort() {
    if (!append_) co_return;
    AppendRun run = std::move(*append_);
    append_.reset();
    if (run.writer) co_await run.writer->discard();
    co_await discard_bodies(references_of(run.messages));
}

// Of messages that were not kept; upkeep does it, in time, where this fails.
net::Task<> MailboxService::discard_bodies(std::vector<store::Reference> bodies) {
    if (bodies.empty()) co_return;
    auto job = [bodies = std::move(bodies)](store::SystemStore& system) -> Result<> {
        for (const auto& body : bodies) TRY(system.drop_object(body.object));
        return {};
    };
    (void)co_await node_.write(store::system_file, std::move(job));
}

// The message under way joins those that came before it.
net::Task<Result<>> MailboxService::end_message() {
    AppendRun& run = *append_;
    if (run.held) co_return co_await end_held_message();
    auto written = CO_TRY(co_await run.writer->finish());
    UnixMillis now = node_.clock();
    store::NewMessage message;
    message.mailbox = run.mailbox.id;
    message.hold = make_id<store::HoldIdTag>(now);
    message.email_id = make_email_id(now);
    message.object = written.object;
    message.size = written.size;
    message.date = run.date;
    message.flags = run.flags;
    message.texts = std::move(written.texts);
    message.saved_at = now;
    run.texts += size_of(message.texts);
    if (run.texts > most_texts) co_return fail(coded(ErrorKind::refused, "LIMIT", "Too much in one APPEND"));
    run.messages.push_back(std::move(message));
    if (!written.content) co_return Result<>();
    run.stored += written.content->size();
    run.contents.push_back({written.object, std::move(*written.content)});
    if (run.stored <= most_held) co_return Result<>();
    // Unreferenced until the end, as large bodies are.
    auto keep = [contents = std::exchange(run.contents, {}), now](store::SystemStore& system) -> Result<> {
        for (const auto& content : contents) TRY(system.put_object(content.object, content.octets, now));
        return {};
    };
    co_return co_await node_.write(store::system_file, std::move(keep), std::exchange(run.stored, 0));
}

// Likewise at a remote, where it is sealed, or may be sealed here, or is not taken.
net::Task<Result<>> MailboxService::end_held_message() {
    AppendRun& run = *append_;
    Secret mail = CO_TRY(run.held->take());
    run.held.reset();
    UnixMillis now = node_.clock();
    EmailId email = make_email_id(now);
    auto user = node_.directory.find(*account_);
    std::optional<crypto::PublicKey> core;
    if (auto home = home_of(node_); node_.config.boolean("imap.accept-plain") && !home.empty())
        if (auto link = node_.links.find(home[0])) core = link->peer_key;
    auto make = [this, mail = std::move(mail), email, date = run.date, user, core](store::SystemStore&) {
        return make_outside_objects(mail.view(), email, date, allowed_keys(node_, *account_),
                                    user && user->seal_key ? &*user->seal_key : nullptr,
                                    core ? &*core : nullptr);
    };
    auto objects = CO_TRY(co_await node_.read(store::system_file, std::move(make)));
    store::NewMessage message;
    message.mailbox = run.mailbox.id;
    message.hold = make_id<store::HoldIdTag>(now);
    message.email_id = email;
    message.object = sealed_object_id(objects.seal.sha256);
    message.size = objects.served.size();
    message.date = run.date;
    message.flags = run.flags;
    message.texts = std::move(objects.texts);
    message.saved_at = now;
    AppendedHere outside{std::move(objects.request), {message.object, make_id<store::HoldIdTag>(now)}};
    outside.request.mailbox = run.mailbox.id;
    outside.request.internal_date = run.date;
    outside.request.flags = run.flags;
    if (objects.home) outside.body.object = make_object_id(now);
    run.texts += size_of(message.texts);
    run.held_outside += objects.served.size() + (objects.home ? objects.home->size() : 0);
    if (run.texts > most_texts || run.held_outside > 2 * largest_appended)
        co_return fail(coded(ErrorKind::refused, "LIMIT", "Too much in one APPEND"));
    if (objects.home) run.contents.push_back({outside.body.object, std::move(*objects.home)});
    run.contents.push_back({message.object, std::move(objects.served)});
    run.messages.push_back(std::move(message));
    run.seals.push_back(std::move(objects.seal));
    run.outside.push_back(std::move(outside));
    co_return Result<>();
}

net::Task<Result<MailboxService::R>> MailboxService::on(imap::AppendEnd) {
    if (!append_) co_return fail(ErrorKind::internal, "APPEND ends that did not begin");
    if (auto ended = co_await end_message(); !ended) {
        co_await append_abort();
        co_return std::unexpected(ended.error());
    }
    AppendRun run = std::move(*append_);
    append_.reset();
    UnixMillis now = node_.clock();
    auto references = references_of(run.messages);
    for (const auto& outside : run.outside) references.push_back(outside.body);
    auto packing = node_.is_core() ? store::Packing::if_it_pays : store::Packing::none;
    auto keep = [account = *account_, references, now, packing,
                 contents = std::move(run.contents)](store::SystemStore& system) -> Result<> {
        for (const auto& content : contents)
            TRY(system.put_object(content.object, content.octets, now, packing));
        return system.add_references(account, references);
    };
    if (auto kept = co_await node_.write(store::system_file, std::move(keep), run.stored + run.held_outside);
        !kept) {
        co_await discard_bodies(std::move(references));
        co_return std::unexpected(kept.error());
    }
    crash_point("append.between-files");
    auto home = home_of(node_);
    auto chunk =
        sync::chunk_size_for(static_cast<std::size_t>(node_.config.octets("replicate.max-mail-size")));
    auto add = [messages = std::move(run.messages), quota = quota_of(node_, *account_), now, home, chunk,
                outside = std::move(run.outside),
                seals = std::move(run.seals)](store::AccountStore& account) -> Result<std::vector<Uid>> {
        store::Usage more{0, messages.size()};
        for (const auto& message : messages) more.octets += message.size;
        TRY(account.check_quota(quota, more));
        auto uids = TRY(account.append(messages));
        for (std::size_t i = 0; i < seals.size(); ++i)
            TRY(account.record_seal({messages[i].mailbox, uids[i], seals[i]}));
        if (!outside.empty()) TRY(plan_appends_home(account, home, outside, uids, chunk, now));
        return uids;
    };
    auto uids = co_await node_.write(*account_, std::move(add));
    if (!uids) {
        co_await give_back(node_, *account_, std::move(references), uids.error());
        co_return std::unexpected(uids.error());
    }
    crash_point("append.stored");
    node_.hub.changed(*account_);
    if (!home.empty()) wake_sender(node_, *account_);
    co_return imap::Appended{run.mailbox.uidvalidity, std::move(*uids)};
}

}  // namespace fwmail::service
