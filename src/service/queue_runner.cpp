#include "service/queue_runner.hpp"

#include <algorithm>
#include <array>
#include <fstream>

#include "base/co_try.hpp"
#include "base/hooks.hpp"
#include "base/random.hpp"
#include "mime/date.hpp"
#include "mime/structure.hpp"
#include "net/listener.hpp"
#include "service/message_texts.hpp"
#include "smtp/backoff.hpp"
#include "smtp/bounce.hpp"

namespace fwmail::service {
namespace {

constexpr std::int64_t lease = 15 * 60'000;
constexpr std::size_t batch = 100;
constexpr std::size_t most_connections = 4;       // to one next hop
constexpr std::size_t mails_a_connection = 8;     // that wait, before another connection is worth it
constexpr auto linger = std::chrono::seconds(1);  // node mail seldom comes alone

// Node mail waits for nobody's patience: the outbox behind it resends what is lost.
constexpr smtp::RetrySchedule node_schedule{2'000, 5 * 60'000, 86'400'000, 86'400'000};

double jitter() {
    std::uint8_t octet = 0;
    fill_random({&octet, 1});
    return octet / 256.0;
}

std::string random_word() { return hex_encode(random_octets(12)); }

Result<Secret> read_password(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::string line;
    if (!std::getline(file, line))
        return fail(ErrorKind::usage, "cannot read the password in " + path.string());
    if (line.ends_with('\r')) line.pop_back();
    Secret password(std::move(line));
    return password;
}

}  // namespace

store::QueueItem new_queue_item(Node& node, store::QueueKind kind, std::string sender,
                                std::vector<std::string> recipients) {
    store::QueueItem item;
    UnixMillis now = node.clock();
    item.id = make_id<store::QueueIdTag>(now);
    item.object = make_object_id(now);
    item.sender = std::move(sender);
    item.created = now;
    auto lifetime =
        std::chrono::duration_cast<std::chrono::milliseconds>(node.config.duration("smtp.queue-lifetime"));
    item.expires = UnixMillis{now.value + lifetime.count()};
    item.kind = kind;
    item.next_attempt = now;
    for (auto& recipient : recipients) item.recipients.push_back({std::move(recipient)});
    return item;
}

// One connection: lets the session talk, and gives it the mails of a worker.
class QueueRunner::Connection {
  public:
    Connection(QueueRunner& runner, Worker& worker, const Hop& hop, net::StreamPtr stream,
               std::shared_ptr<net::TlsClient> tls)
        : runner_(runner),
          worker_(worker),
          hop_(hop),
          stream_(std::move(stream)),
          tls_(std::move(tls)),
          session_(config()) {}

    net::Task<Result<>> run() {
        if (hop_.implicit_tls)
            CO_TRY(co_await stream_->start_tls_client(tls_, hop_.to.host,
                                                      net::deadline_after(std::chrono::seconds(30))));
        auto result = co_await perform(session_.start());
        while (result && !session_.is_closed()) {
            auto deadline = net::deadline_after(session_.deadline());
            auto got = co_await stream_->read_some(buffer_, deadline);
            if (!got || *got == 0) {
                result = co_await perform(session_.on_closed());
                break;
            }
            result = co_await perform(session_.on_bytes({buffer_.data(), *got}));
        }
        if (!result && !session_.is_closed()) (void)co_await perform(session_.on_closed());
        if (!failure_.empty()) co_return fail(ErrorKind::temporary, failure_);
        co_return result;
    }
    // Whether it got so far as to take a mail.
    bool used() const { return used_; }

  private:
    smtp::ClientConfig config() const {
        smtp::ClientConfig config;
        config.hostname = runner_.node_.host_name();
        config.tls = hop_.tls;
        config.tls_from_start = hop_.implicit_tls;
        config.credentials = hop_.credentials;
        config.clear_auth =
            hop_.to.host == "127.0.0.1" || hop_.to.host == "localhost" || hop_.to.host == "::1";
        config.line_endings = smtp::LineEndings::to_crlf;  // node mail has no other
        return config;
    }

    net::Task<Result<>> perform(smtp::ClientActions actions) {
        std::deque<smtp::ClientAction> todo(std::make_move_iterator(actions.begin()),
                                            std::make_move_iterator(actions.end()));
        while (!todo.empty()) {
            smtp::ClientAction action = std::move(todo.front());
            todo.pop_front();
            smtp::ClientActions more;
            if (auto* send = std::get_if<smtp::Send>(&action)) {
                auto sent =
                    co_await stream_->write_all(send->octets, net::deadline_after(session_.deadline()));
                if (!sent) more = session_.on_closed();
            } else if (std::holds_alternative<smtp::StartTls>(action)) {
                auto up = co_await stream_->start_tls_client(tls_, hop_.to.host,
                                                             net::deadline_after(std::chrono::seconds(30)));
                if (!up) failure_ = up.error().text;
                more = up ? session_.on_tls_started() : session_.on_closed();
            } else if (std::holds_alternative<smtp::Ready>(action)) {
                more = co_await next_mail();
            } else if (std::holds_alternative<smtp::WantMessage>(action)) {
                more = co_await next_chunk();
            } else if (auto* done = std::get_if<smtp::Done>(&action)) {
                auto item = std::move(*current_);
                current_.reset();
                co_await runner_.record(std::move(item), std::move(done->result));
            } else if (auto* failed = std::get_if<smtp::Failed>(&action)) {
                // Why the handshake failed says more than that it did.
                if (failure_.empty()) failure_ = failed->reply.one_line();
            }
            for (auto& next : more) todo.push_back(std::move(next));
        }
        co_return Result<>();
    }

    net::Task<smtp::ClientActions> next_mail() {
        while (co_await another_mail()) {
            store::QueueItem item = std::move(worker_.items.front());
            worker_.items.pop_front();
            used_ = true;
            smtp::OutgoingEnvelope envelope;
            if (auto sender = smtp::parse_address(item.sender)) envelope.reverse_path = *sender;
            for (auto& recipient : item.recipients) {
                if (recipient.state != store::RecipientState::pending) continue;
                if (auto path = smtp::parse_address(recipient.address)) {
                    envelope.recipients.push_back(*path);
                } else {
                    recipient.state = store::RecipientState::failed;
                    recipient.last_reply = "553 5.1.3 this is no address that mail can be sent to";
                }
            }
            if (envelope.recipients.empty()) {
                co_await runner_.finish(std::move(item));
                continue;
            }
            node_mail_ = item.kind == store::QueueKind::node;
            envelope.size = item.size - std::min(item.skip, item.size);
            offset_ = item.skip;
            current_ = std::move(item);
            co_return session_.send(std::move(envelope));
        }
        co_return session_.quit();
    }

    net::Task<bool> another_mail() {
        auto until = net::deadline_after(linger);
        bool in_time = true;
        while (worker_.items.empty() && node_mail_ && in_time && !runner_.node_.stopping) {
            net::Notifier wake(stream_->executor());
            worker_.idle.push_back(&wake);
            in_time = co_await wake.wait(until);
            std::erase(worker_.idle, &wake);
        }
        co_return !worker_.items.empty() && !runner_.node_.stopping;
    }

    net::Task<smtp::ClientActions> next_chunk() {
        if (offset_ >= current_->size) co_return session_.on_message_end();
        if (auto direct = runner_.direct_.find(current_->id); direct != runner_.direct_.end()) {
            auto piece = std::string_view(direct->second->content).substr(offset_, store::chunk_size);
            offset_ += piece.size();
            co_return session_.on_message_chunk(piece);
        }
        auto job = [object = current_->object, offset = offset_](store::SystemStore& system) {
            return system.read_object(object, offset, store::chunk_size);
        };
        auto octets = co_await runner_.node_.read(store::system_file, job);
        if (!octets || octets->empty()) {
            runner_.node_.log.error(
                "queue", octets ? "a queued mail is shorter than its size says" : octets.error().text);
            co_return session_.on_message_failed();
        }
        offset_ += octets->size();
        co_return session_.on_message_chunk(*octets);
    }

    QueueRunner& runner_;
    Worker& worker_;
    const Hop& hop_;
    net::StreamPtr stream_;
    std::shared_ptr<net::TlsClient> tls_;
    smtp::ClientSession session_;
    std::optional<store::QueueItem> current_;
    std::uint64_t offset_ = 0;
    bool used_ = false, node_mail_ = false;
    std::string failure_;
    std::array<char, 8 * 1024> buffer_;
};

net::Task<> QueueRunner::run() {
    while (!node_.stopping) {
        auto dispatched = co_await dispatch();
        if (!dispatched) node_.log.error("queue", dispatched.error().text);
        auto next = [](store::SystemStore& system) { return system.next_due_time(); };
        auto due = co_await node_.read(store::system_file, next);
        std::int64_t wait = dispatched ? 60'000 : 5'000;
        if (due && *due)
            wait =
                std::clamp<std::int64_t>((*due)->value - node_.clock().value, dispatched ? 0 : 1000, 60'000);
        (void)co_await node_.queue_wake.wait(net::deadline_after(std::chrono::milliseconds(wait)));
    }
}

net::Task<Result<>> QueueRunner::dispatch() {
    for (;;) {
        UnixMillis now = node_.clock();
        auto take = [now](store::SystemStore& system) {
            return system.due(now, UnixMillis{now.value + lease}, batch);
        };
        auto items = CO_TRY(co_await node_.write(store::system_file, take));
        for (auto& item : items) {
            // A lease may end while the mail still stands behind others: it must not be sent twice.
            if (!under_way_.insert(item.id).second) continue;
            auto hop = co_await hop_for(item);
            if (!hop) {
                co_await defer(std::move(item), hop.error().text);
                continue;
            }
            give(std::move(item), std::move(*hop));
        }
        if (items.size() < batch) co_return Result<>();
    }
}

// To an idle connection, to a new one where that pays, or to one that is at work.
void QueueRunner::give(store::QueueItem item, Hop hop) {
    bool node_mail = item.kind == store::QueueKind::node;
    std::string key = hop.to.text() + (node_mail ? " " + item.link.hex() : "");
    auto& worker = workers_[key];
    worker.items.push_back(std::move(item));
    if (!worker.idle.empty()) {
        worker.idle.back()->notify();
        worker.idle.pop_back();
        return;
    }
    std::size_t bearable = node_mail ? 0 : worker.running * mails_a_connection;
    if (worker.running >= most_connections || (worker.running && worker.items.size() <= bearable)) return;
    ++worker.running;
    node_.runtime.spawn_on(node_.runtime.main_executor(), "queue", work(std::move(key), std::move(hop)));
}

net::Task<Result<>> QueueRunner::send_now(store::QueueItem item, std::string content) {
    item.size = content.size();
    auto direct = std::make_shared<Direct>(
        Direct{std::move(content), net::Notifier(node_.runtime.main_executor()), std::nullopt});
    direct_.emplace(item.id, direct);
    under_way_.insert(item.id);
    auto hop = co_await hop_for(item);
    if (hop)
        give(std::move(item), std::move(*hop));
    else
        co_await defer(std::move(item), hop.error().text);
    while (!direct->settled) (void)co_await direct->done.wait();
    co_return *direct->settled;
}

Result<QueueRunner::Hop> QueueRunner::hop_from_config(const std::string& section, config::HostPort to) {
    Hop hop;
    hop.to = std::move(to);
    const auto& config = node_.config;
    std::string tls = config.text(section + ".tls"), verify = config.text(section + ".verify");
    hop.implicit_tls = tls == "implicit";
    hop.tls = tls == "none"            ? smtp::TlsPolicy::none
              : tls == "opportunistic" ? smtp::TlsPolicy::opportunistic
                                       : smtp::TlsPolicy::required;
    // Opportunistic TLS goes on in clear where none is offered, so a name check would protect nothing. But a
    // password never goes in clear, so that with one TLS is required in effect, and the name counts.
    bool check = tls == "required" || tls == "implicit" || !config.text(section + ".user").empty();
    hop.verify.verify = verify == "pin"            ? net::TlsVerify::pin
                        : verify == "yes" && check ? net::TlsVerify::ca
                                                   : net::TlsVerify::none;
    hop.verify.ca_file = config.path(section + ".ca-file");
    if (hop.verify.verify == net::TlsVerify::pin) {
        auto pin = hex_decode(config.text(section + ".pin"));
        if (!pin || pin->size() != 32)
            return fail(ErrorKind::usage,
                        section + ".pin is not the SHA-256 of a certificate in hexadecimal");
        hop.verify.pinned_sha256 = *pin;
    }
    if (std::string user = config.text(section + ".user"); !user.empty())
        hop.credentials =
            smtp::Credentials{user, TRY(read_password(config.path(section + ".password-file")))};
    return hop;
}

net::Task<Result<QueueRunner::Hop>> QueueRunner::hop_for(store::QueueItem item) {
    auto smarthost = node_.config.host_port("smarthost.address");
    if (!item.link.is_zero()) {
        auto find = [peer = item.link](store::SystemStore& system) { return system.find_link(peer); };
        auto link = CO_TRY(co_await node_.read(store::system_file, find));
        if (!link) co_return fail(ErrorKind::refused, "the link of this mail is gone");
        auto names = node_.config.names("link");
        if (std::ranges::find(names, link->name) != names.end()) {
            std::string section = "link." + link->name;
            if (auto to = node_.config.host_port(section + ".next-hop"); !to.host.empty())
                co_return hop_from_config(section, std::move(to));
        }
        if (smarthost.host.empty() && !link->next_hop.empty()) {
            Hop direct;
            direct.to = CO_TRY(config::parse_host_port(link->next_hop));
            direct.verify.verify = net::TlsVerify::none;
            co_return direct;
        }
    }
    if (smarthost.host.empty())
        co_return fail(ErrorKind::temporary, "no smart host is configured: set address in [smarthost]");
    co_return hop_from_config("smarthost", std::move(smarthost));
}

net::Task<> QueueRunner::work(std::string key, Hop hop) {
    Worker& worker = workers_[key];
    std::string failure;
    auto tls = net::TlsClient::make(hop.verify);
    if (!tls) failure = tls.error().text;
    while (failure.empty() && !worker.items.empty() && !node_.stopping) {
        auto stream =
            co_await net::connect(node_.resolver, hop.to, net::deadline_after(std::chrono::seconds(60)));
        if (!stream) {
            failure = "cannot connect to " + hop.to.text() + ": " + stream.error().text;
            break;
        }
        auto connection = std::make_unique<Connection>(*this, worker, hop, std::move(*stream), *tls);
        auto result = co_await connection->run();
        if (!result && !connection->used()) failure = hop.to.text() + ": " + result.error().text;
    }
    --worker.running;
    // Where one more connection is refused the others go on.
    if (worker.running && !failure.empty()) co_return;
    auto left = std::exchange(worker.items, {});
    if (failure.empty()) co_return let_go(std::move(left));
    if (!left.empty())
        node_.log.warning("queue", failure + "; " + std::to_string(left.size()) + " mails wait");
    for (auto& item : left) co_await defer(std::move(item), failure);
}

// This server stops: what is left was not tried, and the next start takes it up.
void QueueRunner::let_go(std::deque<store::QueueItem> left) {
    for (const auto& item : left)
        if (auto node = direct_.extract(item.id)) {
            node.mapped()->settled = fail(ErrorKind::temporary, "this server stops");
            node.mapped()->done.notify();
        }
}

net::Task<> QueueRunner::defer(store::QueueItem item, std::string why) {
    for (auto& recipient : item.recipients) {
        if (recipient.state != store::RecipientState::pending) continue;
        ++recipient.attempts;
        recipient.last_reply = why;
    }
    co_await finish(std::move(item));
}

net::Task<> QueueRunner::record(store::QueueItem item, smtp::TransactionResult result) {
    for (const auto& outcome : result.recipients)
        for (auto& recipient : item.recipients) {
            if (recipient.state != store::RecipientState::pending ||
                !equal_ignoring_case(recipient.address, outcome.recipient.text()))
                continue;
            ++recipient.attempts;
            recipient.last_reply = outcome.reply.one_line();
            if (outcome.outcome == smtp::Outcome::delivered)
                recipient.state = store::RecipientState::delivered;
            if (outcome.outcome == smtp::Outcome::permanent) recipient.state = store::RecipientState::failed;
        }
    crash_point("queue.sent");
    co_await finish(std::move(item));
}

net::Task<> QueueRunner::finish(store::QueueItem item) {
    auto id = item.id;
    auto settled = co_await settle(std::move(item));
    if (!settled) node_.log.error("queue", settled.error().text);
    under_way_.erase(id);
    if (auto node = direct_.extract(id)) {
        node.mapped()->settled = settled;
        node.mapped()->done.notify();
    }
}

// Writes down what an attempt brought: the mail goes, waits, or comes back.
net::Task<Result<>> QueueRunner::settle(store::QueueItem item) {
    UnixMillis now = node_.clock();
    unsigned failures = 1;
    std::vector<store::QueueRecipient> failed;
    bool waiting = false;
    std::string reply;
    for (auto& recipient : item.recipients) {
        failures = std::max(failures, recipient.attempts);
        if (recipient.state != store::RecipientState::delivered) reply = recipient.last_reply;
        waiting |= recipient.state == store::RecipientState::pending;
    }
    smtp::RetrySchedule schedule =
        item.kind == store::QueueKind::node ? node_schedule : smtp::RetrySchedule{};
    if (item.kind != store::QueueKind::node) schedule.expiry_ms = item.expires.value - item.created.value;
    auto next = schedule.next_attempt(item.created, now, failures, jitter());
    if (waiting && next) {
        auto found = direct_.find(item.id);
        auto direct = found == direct_.end() ? nullptr : found->second;
        auto job = [item, next, now, reply, direct](store::SystemStore& system) -> Result<> {
            if (direct) TRY(system.enqueue(item, direct->content));
            TRY(system.update_recipients(item.id, item.recipients));
            if (item.kind == store::QueueKind::node)
                TRY(system.note_link_mail(item.link, store::LinkEvent::deferred, now, reply));
            return system.reschedule(item.id, *next);
        };
        if (failures == 1) node_.log.warning("queue", item.id.hex() + " is deferred: " + reply);
        CO_TRY(co_await node_.write(store::system_file, std::move(job)));
        node_.queue_wake.notify();  // it may be due before anything else
        co_return Result<>();
    }
    for (auto& recipient : item.recipients) {
        if (recipient.state == store::RecipientState::pending)
            recipient.state = store::RecipientState::failed;
        if (recipient.state == store::RecipientState::failed) failed.push_back(recipient);
    }
    if (item.kind == store::QueueKind::node) {
        auto job = [item, now, ok = failed.empty(), reply](store::SystemStore& system) -> Result<> {
            TRY(system.note_link_mail(item.link, ok ? store::LinkEvent::sent : store::LinkEvent::refused, now,
                                      ok ? "" : reply));
            return system.remove(item.id);
        };
        CO_TRY(co_await node_.write(store::system_file, std::move(job)));
        if (!failed.empty()) node_.log.error("link", "node mail was not delivered: " + reply);
        done_(item.link, failed.empty() ? "" : reply);
        co_return Result<>();
    }
    if (!failed.empty()) node_.log.warning("queue", item.id.hex() + " failed: " + reply);
    if (!failed.empty() && !item.sender.empty()) co_return co_await bounce(item, std::move(failed));
    auto job = [id = item.id](store::SystemStore& system) { return system.remove(id); };
    co_return co_await node_.write(store::system_file, job);
}

// The notification is stored in the transaction that removes the mail, so neither can be without the other.
net::Task<Result<>> QueueRunner::bounce(const store::QueueItem& item,
                                        std::vector<store::QueueRecipient> failed) {
    auto head = [object = item.object, skip = item.skip](store::SystemStore& system) {
        return system.read_object(object, skip, 64 * 1024);
    };
    std::string header = CO_TRY(co_await node_.read(store::system_file, head));
    if (auto end = header.find("\r\n\r\n"); end != std::string::npos) header.resize(end + 2);
    UnixMillis now = node_.clock();
    auto domains = node_.config.list("domain");
    smtp::DsnInput dsn;
    dsn.reporting_mta = node_.host_name();
    dsn.from = "MAILER-DAEMON@" + (domains.empty() ? node_.host_name() : domains.front());
    dsn.to = CO_TRY(smtp::parse_address(item.sender));
    for (const auto& recipient : failed) {
        smtp::DsnRecipient row;
        if (auto path = smtp::parse_address(recipient.address)) row.recipient = *path;
        std::string_view text = recipient.last_reply;
        row.reply.code = text.starts_with('5') ? 550 : 450;
        if (text.size() > 4 && text[3] == ' ') text.remove_prefix(4);
        if (auto status = smtp::take_enhanced_status(text)) row.reply.status = *status;
        row.reply.text = std::string(text);
        row.last_attempt = mime::write_date({now.value / 1000, 0});
        dsn.recipients.push_back(std::move(row));
    }
    dsn.original_header = std::move(header);
    dsn.arrival_date = mime::write_date({item.created.value / 1000, 0});
    dsn.date = mime::write_date({now.value / 1000, 0});
    dsn.message_id = "<" + random_word() + "@" + node_.host_name() + ">";
    dsn.boundary = "fw" + random_word();
    std::string octets = smtp::write_dsn(dsn);
    auto user = node_.directory.find_address(item.sender);
    if (user) octets.insert(0, "Return-Path: <>\r\n");  // RFC 5321 4.4: final delivery

    store::SpoolRequest spool;
    auto notice = new_queue_item(node_, store::QueueKind::bounce, "", {item.sender});
    if (user) {
        store::SpoolRow row;
        row.delivery = make_id<store::HoldIdTag>(now);
        row.account = user->user.id;
        row.email_id = make_email_id(now);
        row.received = now;
        row.texts = message_texts(mime::parse_structure(octets));
        row.size = octets.size();
        spool.object = notice.object;
        spool.content = octets;
        spool.now = now;
        spool.rows.push_back(std::move(row));
    }
    auto job = [id = item.id, spool, notice, octets,
                local = user != nullptr](store::SystemStore& system) -> Result<> {
        if (local)
            TRY(system.spool_message(spool));
        else
            TRY(system.enqueue(notice, octets));
        return system.remove(id);
    };
    CO_TRY(co_await node_.write(store::system_file, std::move(job), octets.size()));
    if (user) intake_.wake(user->user.id);
    node_.queue_wake.notify();
    co_return Result<>();
}

}  // namespace fwmail::service
