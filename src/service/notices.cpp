#include "service/notices.hpp"

#include <algorithm>

#include "base/encoding.hpp"
#include "base/random.hpp"
#include "mime/date.hpp"
#include "mime/structure.hpp"
#include "service/addresses.hpp"
#include "service/message_texts.hpp"
#include "service/queue_runner.hpp"

namespace fwmail::service {
namespace {

constexpr std::uint64_t header_wanted = 64 * 1024, longest_returned = 256 * 1024;

std::string random_word() { return hex_encode(random_octets(12)); }

std::string date_of(UnixMillis when) { return mime::write_date({when.value / 1000, 0}); }

// Notices to a user here need no way round.
std::optional<AccountId> local_user(Node& node, const std::string& sender) {
    auto path = smtp::parse_address(sender, smtp::Charset::utf8);
    if (!path) return std::nullopt;
    auto reached = reach(node.directory, address_rules(node.config), *path);
    if (!reached || reached->users.size() != 1 || !reached->outside.empty()) return std::nullopt;
    return reached->users.front();
}

Result<smtp::DsnInput> input_of(Node& node, NoticeRequest request, UnixMillis now) {
    auto domains = node.config.list("domain");
    smtp::DsnInput dsn;
    dsn.kind = request.kind;
    dsn.reporting_mta = node.host_name();
    dsn.from = "MAILER-DAEMON@" + (domains.empty() ? node.host_name() : domains.front());
    dsn.to = TRY(smtp::parse_address(request.sender, smtp::Charset::utf8));
    dsn.recipients = std::move(request.recipients);
    dsn.envid = request.envid;
    dsn.arrival_date = date_of(request.created);
    if (request.retry_until) dsn.retry_until = date_of(*request.retry_until);
    dsn.date = date_of(now);
    dsn.message_id = "<" + random_word() + "@" + node.host_name() + ">";
    dsn.boundary = "fw" + random_word();
    if (request.whole && request.kind == smtp::DsnKind::failed) dsn.original = request.original;
    dsn.original_header = std::move(request.original);
    if (auto end = dsn.original_header.find("\r\n\r\n"); end != std::string::npos)
        dsn.original_header.resize(end + 2);
    return dsn;
}

}  // namespace

std::uint64_t wanted_of_original(store::DsnReturn ret, std::uint64_t size) {
    return ret == store::DsnReturn::full && size <= longest_returned ? size : header_wanted;
}

Result<Notice> make_notice(Node& node, NoticeRequest request) {
    UnixMillis now = node.clock();
    std::string sender = request.sender;
    std::string octets = smtp::write_dsn(TRY(input_of(node, std::move(request), now)));
    Notice notice;
    notice.local = local_user(node, sender);
    if (notice.local) octets.insert(0, "Return-Path: <>\r\n");  // RFC 5321 4.4: final delivery
    notice.octets = octets.size();
    if (!notice.local) {
        auto item = new_queue_item(node, store::QueueKind::bounce, "", {sender});
        auto path = smtp::parse_address(sender, smtp::Charset::utf8);
        item.utf8 = path && !path->is_ascii();
        notice.store = [item, octets = std::move(octets)](store::SystemStore& system) -> Result<> {
            TRY(system.enqueue(item, octets));
            return {};
        };
        return notice;
    }
    store::SpoolRequest spool;
    store::SpoolRow row;
    row.delivery = make_id<store::HoldIdTag>(now);
    row.account = *notice.local;
    row.email_id = make_email_id(now);
    row.received = now;
    row.texts = message_texts(octets);
    row.size = octets.size();
    spool.object = make_object_id(now);
    spool.content = std::move(octets);
    spool.now = now;
    spool.rows.push_back(std::move(row));
    notice.store = [spool = std::move(spool)](store::SystemStore& system) -> Result<> {
        TRY(system.spool_message(spool));
        return {};
    };
    return notice;
}

void announce(const Notice& notice, Node& node, Intake& intake) {
    if (notice.local)
        intake.wake(*notice.local);
    else
        node.queue_wake.notify();
}

smtp::DsnRecipient notice_row(const store::QueueRecipient& recipient, UnixMillis when) {
    smtp::DsnRecipient row;
    if (auto path = smtp::parse_address(recipient.address, smtp::Charset::utf8)) row.recipient = *path;
    std::string_view text = recipient.last_reply;
    bool coded = text.size() >= 3 &&
                 std::ranges::all_of(text.substr(0, 3), [](char c) { return c >= '0' && c <= '9'; });
    row.reply.code = coded ? std::stoi(std::string(text.substr(0, 3))) : 450;
    if (text.size() > 4 && text[3] == ' ') text.remove_prefix(4);
    if (auto status = smtp::take_enhanced_status(text)) row.reply.status = *status;
    row.reply.text = std::string(text);
    row.last_attempt = date_of(when);
    row.orcpt = recipient.orcpt;
    return row;
}

}  // namespace fwmail::service
