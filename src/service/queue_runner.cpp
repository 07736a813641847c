#include "service/queue_runner.hpp"

#include <algorithm>
#include <array>
#include <map>

#include "base/co_try.hpp"
#include "base/hooks.hpp"
#include "base/random.hpp"
#include "net/listener.hpp"
#include "service/sasl_login.hpp"
#include "smtp/backoff.hpp"

namespace fwmail::service {
namespace {

constexpr std::int64_t lease = 15 * 60'000;
constexpr std::size_t batch = 100;
constexpr std::size_t mails_a_connection = 8;     // that wait, before another connection is worth it
constexpr auto linger = std::chrono::seconds(1);  // node mail seldom comes alone

// Node mail waits for nobody's patience: the outbox behind it resends what is lost.
constexpr smtp::RetrySchedule node_schedule{2'000, 5 * 60'000, 86'400'000, 86'400'000};

double jitter() {
    std::uint8_t octet = 0;
    fill_random({&octet, 1});
    return octet / 256.0;
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
        session_.bind_to(bindings_of(*stream_));
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
    bool tls_failed() const { return tls_failed_; }

  private:
    smtp::ClientConfig config() const {
        smtp::ClientConfig config;
        config.hostname = runner_.node_.host_name();
        config.tls = hop_.tls;
        config.tls_from_start = hop_.implicit_tls;
        config.credentials = hop_.credentials;
        config.clear_auth =
            hop_.to.host == "127.0.0.1" || hop_.to.host == "localhost" || hop_.to.host == "::1";
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
                tls_failed_ = !up;
                session_.bind_to(bindings_of(*stream_));
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
            if (auto sender = smtp::parse_address(item.sender, smtp::Charset::utf8))
                envelope.reverse_path = *sender;
            envelope.dsn = {static_cast<smtp::DsnReturn>(item.ret), item.envid};
            envelope.utf8 = item.utf8;
            for (auto& recipient : item.recipients) {
                if (recipient.state != store::RecipientState::pending) continue;
                if (auto path = smtp::parse_address(recipient.address, smtp::Charset::utf8)) {
                    envelope.recipients.push_back(*path);
                    envelope.recipient_dsn.push_back({recipient.notify, recipient.orcpt});
                } else {
                    recipient.state = store::RecipientState::failed;
                    recipient.last_reply = "553 5.1.3 this is no address that mail can be sent to";
                }
            }
            if (envelope.recipients.empty()) {
                co_await runner_.finish(std::move(item), {});
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
    bool used_ = false, tls_failed_ = false, node_mail_ = false;
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
            if (under_way_.contains(item.id)) continue;
            auto parts = CO_TRY(co_await by_destination(std::move(item)));
            for (auto& part : parts) {
                under_way_.insert(part.id);
                auto hop = co_await hop_for(part);
                if (hop)
                    give(std::move(part), std::move(*hop));
                else
                    co_await defer(std::move(part), hop.error());
            }
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
    auto most = hop.line ? sync::line_window
                         : std::max<std::uint64_t>(1, node_.config.count("smtp.connections-per-hop"));
    if (worker.running >= most || (worker.running && worker.items.size() <= bearable)) return;
    ++worker.running;
    bool line = hop.line;
    node_.runtime.spawn_on(node_.runtime.main_executor(), "queue",
                           line ? work_line(std::move(key)) : work(std::move(key), std::move(hop)));
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
        co_await defer(std::move(item), hop.error());
    while (!direct->settled) (void)co_await direct->done.wait();
    co_return *direct->settled;
}

net::Task<> QueueRunner::work(std::string key, Hop hop) {
    Worker& worker = workers_[key];
    auto hosts = co_await hosts_of(hop);
    Result<> state;
    if (!hosts) state = fail(hosts.error());
    auto tls = net::TlsClient::make(hop.verify);
    if (!tls) state = fail(ErrorKind::temporary, tls.error().text);
    std::size_t host = 0;
    while (state && !worker.items.empty() && !node_.stopping) {
        hop.to = (*hosts)[host];
        auto talked = co_await talk(worker, hop, *tls);
        if (!talked && ++host >= hosts->size()) state = fail(ErrorKind::temporary, talked.error().text);
    }
    --worker.running;
    // Where one connection of several fails the others go on.
    if (worker.running && !state) co_return;
    auto left = std::exchange(worker.items, {});
    if (state) co_return let_go(std::move(left));
    if (!left.empty())
        node_.log.warning("queue", state.error().text + "; " + std::to_string(left.size()) + " mails wait");
    for (auto& item : left) co_await defer(std::move(item), state.error());
}

// As many of these as the line takes mails at one time.
net::Task<> QueueRunner::work_line(std::string key) {
    Worker& worker = workers_[key];
    while (!worker.items.empty() && !node_.stopping) {
        store::QueueItem item = std::move(worker.items.front());
        worker.items.pop_front();
        auto sent = co_await send_by_line(item);
        if (!sent) {
            co_await defer(std::move(item), sent.error());
            continue;
        }
        crash_point("queue.sent");
        for (auto& recipient : item.recipients) recipient.state = store::RecipientState::delivered;
        co_await finish(std::move(item), {});
    }
    if (--worker.running == 0) let_go(std::exchange(worker.items, {}));
}

net::Task<Result<>> QueueRunner::send_by_line(store::QueueItem item) {
    std::string mail;
    if (auto direct = direct_.find(item.id); direct != direct_.end()) {
        mail = direct->second->content;
    } else {
        auto job = [object = item.object, size = item.size](store::SystemStore& system) {
            return system.read_object(object, 0, size);
        };
        mail = CO_TRY(co_await node_.read(store::system_file, std::move(job)));
    }
    co_return co_await lines_.send(item.link, std::move(mail));
}

// One connection. An error: it came to nothing, another host may do better.
net::Task<Result<>> QueueRunner::talk(Worker& worker, Hop hop, std::shared_ptr<net::TlsClient> tls) {
    for (;;) {
        auto stream =
            co_await net::connect(node_.resolver, hop.to, net::deadline_after(std::chrono::seconds(60)));
        if (!stream)
            co_return fail(ErrorKind::temporary,
                           "cannot connect to " + hop.to.text() + ": " + stream.error().text);
        auto connection = std::make_unique<Connection>(*this, worker, hop, std::move(*stream), tls);
        auto result = co_await connection->run();
        if (result || connection->used()) co_return Result<>();
        // Where TLS protects against listeners only, trouble with it is no reason to send nothing.
        bool in_clear = !hop.domain.empty() && connection->tls_failed() && hop.tls != smtp::TlsPolicy::none;
        if (!in_clear) co_return fail(ErrorKind::temporary, hop.to.text() + ": " + result.error().text);
        hop.tls = smtp::TlsPolicy::none;
    }
}

// This server stops: what is left was not tried, and the next start takes it up.
void QueueRunner::let_go(std::deque<store::QueueItem> left) {
    for (const auto& item : left)
        if (auto node = direct_.extract(item.id)) {
            node.mapped()->settled = fail(ErrorKind::temporary, "this server stops");
            node.mapped()->done.notify();
        }
}

// `refused`: for good.
net::Task<> QueueRunner::defer(store::QueueItem item, Error why) {
    for (auto& recipient : item.recipients) {
        if (recipient.state != store::RecipientState::pending) continue;
        ++recipient.attempts;
        recipient.last_reply = why.text;
        if (why.kind == ErrorKind::refused) recipient.state = store::RecipientState::failed;
    }
    co_await finish(std::move(item), {});
}

net::Task<> QueueRunner::record(store::QueueItem item, smtp::TransactionResult result) {
    Recipients relayed;  // to a server that will tell nothing
    // As next_mail() wrote them; case counts in front of the `@` (RFC 5321 2.4).
    std::map<std::string, store::QueueRecipient*> by_path;
    for (auto& recipient : item.recipients)
        if (auto path = smtp::parse_address(recipient.address, smtp::Charset::utf8);
            path && recipient.state == store::RecipientState::pending)
            by_path.emplace(path->text(), &recipient);
    for (const auto& outcome : result.recipients) {
        auto found = by_path.find(outcome.recipient.text());
        if (found == by_path.end()) continue;
        auto& recipient = *found->second;
        ++recipient.attempts;
        recipient.last_reply = outcome.reply.one_line();
        if (outcome.outcome == smtp::Outcome::delivered) {
            recipient.state = store::RecipientState::delivered;
            if (!result.dsn && (recipient.notify & store::notify_success)) relayed.push_back(recipient);
        }
        if (outcome.outcome == smtp::Outcome::permanent) recipient.state = store::RecipientState::failed;
    }
    crash_point("queue.sent");
    co_await finish(std::move(item), std::move(relayed));
}

net::Task<> QueueRunner::finish(store::QueueItem item, Recipients relayed) {
    auto id = item.id;
    auto settled = co_await settle(std::move(item), std::move(relayed));
    if (!settled) node_.log.error("queue", settled.error().text);
    under_way_.erase(id);
    if (auto node = direct_.extract(id)) {
        node.mapped()->settled = settled;
        node.mapped()->done.notify();
    }
}

// Writes down what an attempt brought: the mail goes, waits, or comes back.
net::Task<Result<>> QueueRunner::settle(store::QueueItem item, Recipients relayed) {
    UnixMillis now = node_.clock();
    unsigned failures = 1;
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
        bool warn = !item.warned && schedule.warning_due(item.created, now);
        auto notices = CO_TRY(co_await notices_of(item, std::move(relayed), warn));
        auto found = direct_.find(item.id);
        auto direct = found == direct_.end() ? nullptr : found->second;
        auto job = [item, next, now, reply, warn, notices, direct](store::SystemStore& system) -> Result<> {
            if (direct) TRY(system.enqueue(item, direct->content));
            TRY(system.update_recipients(item.id, item.recipients));
            for (const auto& notice : notices) TRY(notice.store(system));
            if (warn) TRY(system.set_warned(item.id));
            if (item.kind == store::QueueKind::node)
                TRY(system.note_link_mail(item.link, store::LinkEvent::deferred, now, reply));
            return system.reschedule(item.id, *next);
        };
        if (failures == 1) node_.log.warning("queue", item.id.hex() + " is deferred: " + reply);
        CO_TRY(co_await node_.write(store::system_file, std::move(job)));
        for (const auto& notice : notices) announce(notice, node_, intake_);
        node_.queue_wake.notify();  // it may be due before anything else
        co_return Result<>();
    }
    bool failed = false;
    for (auto& recipient : item.recipients) {
        if (recipient.state == store::RecipientState::pending)
            recipient.state = store::RecipientState::failed;
        failed |= recipient.state == store::RecipientState::failed;
    }
    if (item.kind == store::QueueKind::node) co_return co_await settle_node_mail(item, failed ? reply : "");
    if (failed) node_.log.warning("queue", item.id.hex() + " failed: " + reply);
    auto notices = CO_TRY(co_await notices_of(item, std::move(relayed), false));
    // The notices are stored in the transaction that removes the mail, so neither can be without the other.
    auto job = [id = item.id, notices](store::SystemStore& system) -> Result<> {
        for (const auto& notice : notices) TRY(notice.store(system));
        return system.remove(id);
    };
    std::size_t octets = 0;
    for (const auto& notice : notices) octets += notice.octets;
    CO_TRY(co_await node_.write(store::system_file, std::move(job), octets));
    for (const auto& notice : notices) announce(notice, node_, intake_);
    co_return Result<>();
}

// An empty error: the next hop has it.
net::Task<Result<>> QueueRunner::settle_node_mail(store::QueueItem item, std::string error) {
    auto job = [item, error, now = node_.clock()](store::SystemStore& system) -> Result<> {
        auto event = error.empty() ? store::LinkEvent::sent : store::LinkEvent::refused;
        TRY(system.note_link_mail(item.link, event, now, error));
        return system.remove(item.id);
    };
    CO_TRY(co_await node_.write(store::system_file, job));
    if (!error.empty()) node_.log.error("link", "node mail was not delivered: " + error);
    done_(item.link, error);
    co_return Result<>();
}

// What the sender is to be told now, as NOTIFY asked (RFC 3461 5.2).
net::Task<Result<std::vector<Notice>>> QueueRunner::notices_of(store::QueueItem item, Recipients relayed,
                                                               bool warn) {
    std::vector<Notice> notices;
    if (item.sender.empty() || item.kind == store::QueueKind::node) co_return notices;
    auto wanted = [&](store::RecipientState state, std::uint32_t bit) {
        Recipients rows;
        for (const auto& r : item.recipients)
            if (r.state == state && (r.notify == 0 || (r.notify & bit))) rows.push_back(r);
        return rows;
    };
    bool over = std::ranges::none_of(item.recipients,
                                     [](const auto& r) { return r.state == store::RecipientState::pending; });
    std::pair<smtp::DsnKind, Recipients> kinds[] = {
        {smtp::DsnKind::relayed, std::move(relayed)},
        {smtp::DsnKind::failed,
         over ? wanted(store::RecipientState::failed, store::notify_failure) : Recipients()},
        {smtp::DsnKind::delayed,
         warn ? wanted(store::RecipientState::pending, store::notify_delay) : Recipients()}};
    for (auto& [kind, rows] : kinds) {
        if (rows.empty()) continue;
        NoticeRequest request;
        request.kind = kind;
        request.sender = item.sender;
        request.envid = item.envid;
        request.created = item.created;
        if (kind == smtp::DsnKind::delayed) request.retry_until = item.expires;
        std::uint64_t size = item.size - std::min(item.skip, item.size);
        std::uint64_t want = wanted_of_original(item.ret, size);
        request.whole = item.ret == store::DsnReturn::full && want == size;
        auto read = [object = item.object, skip = item.skip, want](store::SystemStore& system) {
            return system.read_object(object, skip, want);
        };
        request.original = CO_TRY(co_await node_.read(store::system_file, read));
        for (const auto& row : rows) request.recipients.push_back(notice_row(row, node_.clock()));
        notices.push_back(CO_TRY(make_notice(node_, std::move(request))));
    }
    co_return notices;
}

}  // namespace fwmail::service
