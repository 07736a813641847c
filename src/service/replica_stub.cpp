#include "service/replica_stub.hpp"

#include <cstdlib>

#include "base/co_try.hpp"
#include "base/hooks.hpp"
#include "mime/date.hpp"
#include "mime/structure.hpp"
#include "service/home.hpp"
#include "service/message_texts.hpp"
#include "service/outbox_kinds.hpp"
#include "service/replica.hpp"

namespace fwmail::service {
namespace {

// Where stubs for this message are shown: "MAILBOX:UID;" for each.
std::string stub_value(EmailId email) { return "stub:" + email.hex(); }

std::string stub_text(const store::PendingMessage& message, std::string_view host) {
    std::string out = "From: fwmail <MAILER-DAEMON@" + std::string(host) + ">\r\n";
    out += "Date: " + mime::write_date({message.date.value / 1000, message.zone_minutes}) + "\r\n";
    out += "Subject: A message that has not arrived here\r\nMessage-ID: <" + message.email_id.hex() +
           ".stub@" + std::string(host) + ">\r\n";
    out +=
        "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; "
        "charset=us-ascii\r\n\r\n";
    out += "The core server has announced a message of " + std::to_string(message.size) +
           " octets (sealed), but its\r\n";
    out += "body has not reached this server yet. It can be read at the core server.\r\n";
    out += "When the body comes after all, it will appear here as a new message.\r\n";
    return out;
}

}  // namespace

Result<> tell_of_late_body(store::AccountStore& account, NodeId peer, EmailId email, std::string_view sha256,
                           UnixMillis now) {
    std::string places = TRY(account.value(stub_value(email))).value_or("");
    if (places.empty()) return {};
    auto coverage = TRY(account.chunk_coverage(email, sha256));
    if (coverage.total && !coverage.complete()) return {};
    store::OutboxPlan plan;
    plan.cursor = TRY(account.cursor(peer));
    for (std::size_t at = 0, end; (end = places.find(';', at)) != std::string::npos; at = end + 1) {
        auto mailbox = MailboxId::from_hex(std::string_view(places).substr(at, 32));
        if (!mailbox) continue;
        store::OutboxRow row;
        row.kind = outbox_stubbed;
        row.payload = sync::encode_entry(sync::StubbedEntry{
            *mailbox, Uid{static_cast<std::uint32_t>(std::strtoul(places.c_str() + at + 33, nullptr, 10))}});
        row.due = now;
        plan.rows.push_back(std::move(row));
    }
    TRY(account.append_outbox(peer, plan));
    return account.set_value(stub_value(email), "");
}

net::Task<Result<>> Replica::place_stubs(AccountId account, std::chrono::seconds after) {
    auto turn = co_await locks_.lock(account);
    auto user = node_.directory.find(account);
    if (!user || !user->seal_key) co_return Result<>();
    std::int64_t since = node_.clock().value - std::chrono::milliseconds(after).count();
    auto load = [](store::AccountStore& store) { return store.load_pending(store::BodyState::missing, 100); };
    auto pending = CO_TRY(co_await node_.read(account, load));
    std::erase_if(pending,
                  [&](const auto& message) { return message.reseals || message.arrived.value > since; });
    if (pending.empty()) co_return Result<>();
    for (auto& message : pending) CO_TRY(co_await place_stub(account, *user->seal_key, std::move(message)));
    auto show = [home = home_of(node_), now = node_.clock()](store::AccountStore& store) -> Result<> {
        for (const auto& mailbox : TRY(store.load_mailboxes()))
            TRY(show_arrived(store, home, mailbox.id, now));
        return {};
    };
    CO_TRY(co_await node_.write(account, show));
    node_.log.warning("replica", std::to_string(pending.size()) + " messages of " + user->user.name +
                                     " have no body yet: stubs are shown");
    node_.hub.changed(account);
    co_return Result<>();
}

net::Task<Result<>> Replica::place_stub(AccountId account, crypto::PublicKey key,
                                        store::PendingMessage message) {
    std::string text = stub_text(message, node_.host_name());
    SealOrder order;
    order.email_id = message.email_id;
    fill_random(order.seed);
    order.date = message.date;
    std::string packed, served;
    CO_TRY(seal_mail(source_of(text), key, order, [&](std::string_view octets) -> Result<> {
        packed += octets;
        return {};
    }));
    SealedUnpacker unpacker({key.encryption_key_id()}, [&](std::string_view octets) -> Result<> {
        served += octets;
        return {};
    });
    CO_TRY(unpacker.feed(packed));
    auto info = CO_TRY(unpacker.finish());
    store::PendingBody body{store::BodyState::stub, sealed_object_id(crypto::view_of(info.sha256)),
                            make_id<store::HoldIdTag>(node_.clock()), info.size, message_texts(served)};
    auto keep = [account, body, served, now = node_.clock()](store::SystemStore& system) -> Result<> {
        TRY(system.put_object(body.object, served, now));
        return system.add_reference(body.object, {account, body.hold});
    };
    CO_TRY(co_await node_.write(store::system_file, std::move(keep), served.size()));
    crash_point("replica.stub-stored");
    auto set = [message, body](store::AccountStore& store) -> Result<> {
        if (!TRY(store.set_pending_body(message.mailbox, message.uid, body))) return {};
        std::string places = TRY(store.value(stub_value(message.email_id))).value_or("");
        places += message.mailbox.hex() + ":" + std::to_string(message.uid.value) + ";";
        TRY(store.set_value(stub_value(message.email_id), places));
        return store.count_up("stub-count");
    };
    co_return co_await node_.write(account, std::move(set));
}

}  // namespace fwmail::service
