#include "service/exporter.hpp"

#include "base/co_try.hpp"
#include "mime/mbox.hpp"
#include "service/object_reader.hpp"

namespace fwmail::service {
namespace {

constexpr std::size_t page = 500;
constexpr auto tell_every = std::chrono::seconds(1);

}  // namespace

net::Task<Result<>> Exporter::run(MailTarget& target) {
    auto load = [](store::AccountStore& account) { return account.load_mailboxes(); };
    auto mailboxes = CO_TRY(co_await node_.read(options_.account, load));
    for (const auto& mailbox : mailboxes) {
        CO_TRY(co_await target.begin_mailbox(mailbox.name, mailbox.special_use));
        CO_TRY(co_await put_mailbox(target, mailbox));
        CO_TRY(co_await target.end_mailbox());
    }
    co_await target.finish();
    co_return Result<>();
}

net::Task<Result<>> Exporter::put_mailbox(MailTarget& target, store::Mailbox mailbox) {
    UidSet all;
    all.add(1, 0xffffffff);
    for (Uid after;;) {
        auto load = [id = mailbox.id, all, after](store::AccountStore& account) {
            return account.load_messages(
                id, all,
                store::column_flags | store::column_identity | store::column_size | store::column_date, page,
                after);
        };
        auto messages = CO_TRY(co_await node_.read(options_.account, load));
        for (const auto& message : messages) {
            auto now = std::chrono::steady_clock::now();
            if (now - told_ >= tell_every) {
                told_ = now;
                CO_TRY(co_await progress_(mailbox.name, counts_));
            }
            if (node_.stopping)
                co_return fail(ErrorKind::temporary, "the server stops: begin the export anew later");
            auto done = co_await put(target, mailbox, message);
            if (done) continue;
            if (done.error().kind != ErrorKind::refused || !target.forgets()) co_return done;
            if (refused_.size() < 100)
                refused_.push_back(mailbox.name + ", UID " + std::to_string(message.uid.value) + ": " +
                                   done.error().text);
        }
        if (messages.size() < page) co_return Result<>();
        after = messages.back().uid;
    }
}

net::Task<Result<bool>> Exporter::all_crlf(store::Message message) {
    mime::LineEndsCheck check;
    ObjectReader reader(node_, message.object, 0, message.size);
    for (;;) {
        std::string octets = CO_TRY(co_await reader.next());
        if (octets.empty()) co_return check.all_crlf();
        check.add(octets);
    }
}

net::Task<Result<>> Exporter::put(MailTarget& target, store::Mailbox mailbox, store::Message message) {
    UidValidity uidvalidity = node_.is_core() ? mailbox.uidvalidity : mailbox.sealed_uidvalidity;
    std::string key = transfer_key("to " + options_.target, std::to_string(uidvalidity.value),
                                   std::to_string(message.uid.value));
    if (target.forgets()) {
        auto ask = [key](store::AccountStore& account) { return account.is_transferred(key); };
        bool known = CO_TRY(co_await node_.read(options_.account, ask));
        if (known) {
            ++counts_.known;
            co_return Result<>();
        }
    }
    ExportMessage out{uidvalidity, message.uid, message.flags, message.date, message.size, false};
    if (target.wants_line_ends()) out.all_crlf = CO_TRY(co_await all_crlf(message));
    bool wanted = CO_TRY(co_await target.begin(std::move(out)));
    if (!wanted) {
        ++counts_.known;
        co_return Result<>();
    }
    ObjectReader reader(node_, message.object, 0, message.size);
    for (;;) {
        std::string octets = CO_TRY(co_await reader.next());
        if (octets.empty()) break;
        CO_TRY(co_await target.write(std::move(octets)));
    }
    CO_TRY(co_await target.end());
    ++counts_.done;
    counts_.octets += message.size;
    if (!target.forgets()) co_return Result<>();
    auto note = [key](store::AccountStore& account) { return account.note_transferred(key); };
    co_return co_await node_.write(options_.account, note);
}

}  // namespace fwmail::service
