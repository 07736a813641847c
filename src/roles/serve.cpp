// fwmail core, fwmail remote: composes a node from its parts and runs it.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <csignal>
#include <cstdio>
#include <filesystem>

#include "base/co_try.hpp"
#include "net/control.hpp"
#include "net/listener.hpp"
#include "roles/command.hpp"
#include "service/admin.hpp"
#include "service/dialled_lines.hpp"
#include "service/imap_driver.hpp"
#include "service/link_sender.hpp"
#include "service/mailbox_service.hpp"
#include "service/poller.hpp"
#include "service/pop3_driver.hpp"
#include "service/queue_runner.hpp"
#include "service/releases.hpp"
#include "service/search_indexer.hpp"
#include "service/smtp_driver.hpp"
#include "service/transfer.hpp"
#include "service/witness.hpp"
#include "store/lock.hpp"
#include "store/outside_expunges.hpp"
#include "store/provisional.hpp"

namespace fwmail::roles {
namespace {

namespace json = boost::json;
using namespace service;

LogLevel log_level(std::string_view name) {
    return name == "debug"     ? LogLevel::debug
           : name == "warning" ? LogLevel::warning
           : name == "error"   ? LogLevel::error
                               : LogLevel::info;
}

// Everything of one running node; members in the order in which they need each other.
class Server {
  public:
    Server(NodeRole role, const config::Config& config, Log& log, Secret master_key, Identity identity,
           net::Runtime& runtime, store::Executor& executor)
        : config_(config),
          identity_(std::move(identity)),
          node_{role,
                config,
                log,
                system_clock(),
                runtime,
                executor,
                identity_.id,
                std::move(master_key),
                identity_.key,
                nullptr,
                net::Resolver({.servers = config.text("dns-servers")}),
                {},
                {},
                net::Notifier(runtime.main_executor()),
                net::Notifier(runtime.main_executor())},
          intake_(node_),
          replica_(node_),
          receiver_(node_, links_, replica_),
          poller_(node_, links_, cache_),
          sender_(node_, links_, receiver_, cache_,
                  [this](store::QueueItem item, std::string content) {
                      return queue_.send_now(std::move(item), std::move(content));
                  }),
          indexer_(node_),
          lines_(node_, receiver_, mail_limits_, [this](NodeId link) { on_line_open(link); }),
          queue_(node_, intake_, lines_,
                 [this](NodeId link, const std::string& error) { sender_.on_mail_done(link, error); }) {}

    Result<> start(store::SystemStore& system) {
        // First: whoever sees us listen may already tell us to stop.
        node_.runtime.on_stop([this] { stop(); });
        node_.runtime.on_reload([this] { reload(); });
        node_.runtime.catch_signals();
        TRY(node_.directory.reload(system));
        TRY(links_.reload(system));
        if (!config_.path("witness").empty())
            TRY(question_witness(system, config_, links_, node_.role, node_.log, node_.clock()));
        TRY(load_tls());
        for (auto& socket : net::take_activated_sockets()) activated_.push_back(socket);
        TRY(listen("imap", "imap.listen", nullptr));
        TRY(listen("imaps", "imap.listen-tls", node_.tls));
        TRY(listen("pop3", "pop3.listen", nullptr));
        TRY(listen("pop3s", "pop3.listen-tls", node_.tls));
        TRY(listen("smtp", "smtp.listen", nullptr));
        if (node_.is_core()) {
            TRY(listen("submission", "submission.listen", nullptr));
            TRY(listen("submissions", "submission.listen-tls", node_.tls));
            TRY(listen("lmtp", "lmtp.listen", nullptr));
        } else {
            TRY(listen("websocket", "websocket.listen", node_.tls));
        }
        TRY(DialledLines::check(config_, std::ranges::any_of(listeners_, [](const auto& listener) {
                                    return listener->name() == "websocket";
                                })));
        if (listeners_.empty())
            return fail(ErrorKind::usage, "nothing to listen on: set listen in [imap] and [smtp]");
        control_ = TRY(net::ControlServer::open(node_.runtime, config_.path("data-dir") / "control",
                                                [this](std::string request, net::ControlReply reply) {
                                                    return answer(std::move(request), std::move(reply));
                                                }));
        return {};
    }

    void run() {
        auto main = node_.runtime.main_executor();
        node_.runtime.spawn_on(main, "recovery", recover());
        node_.runtime.spawn_on(main, "queue", queue_.run());
        node_.runtime.spawn_on(main, "links", sender_.run());
        node_.runtime.spawn_on(main, "releases", release_bodies());
        node_.runtime.spawn_on(main, "upkeep", upkeep());
        if (!config_.path("witness").empty()) node_.runtime.spawn_on(main, "witness", keep_witness());
        if (node_.is_core()) {
            lines_.dial_all();
            node_.runtime.spawn_on(main, "poller", poller_.run());
            node_.runtime.spawn_on(main, "search", indexer_.run());
        } else
            node_.runtime.spawn_on(main, "stubs", place_stubs());
        for (const auto& line : listening()) node_.log.info(role_name(node_.role), "listens on " + line);
        (void)net::notify_service_manager("READY=1");
        node_.runtime.run();
        node_.log.info(role_name(node_.role), "stopped");
    }

    bool references_in_doubt() const { return node_.references_in_doubt; }

    // What has to go before the runtime. Everything else has to stay until the runtime has destroyed the
    // sessions that were cut: they refer to it.
    void close() {
        listeners_.clear();
        control_.reset();
        lines_.forget();
    }

  private:
    Result<> load_tls() {
        auto certificate = config_.path("tls.certificate"), key = config_.path("tls.key");
        if (certificate.empty() != key.empty())
            return fail(ErrorKind::usage, "set both certificate and key in [tls], or neither");
        if (certificate.empty()) {
            certificate = config_.path("data-dir") / "tls-certificate.pem";
            key = config_.path("data-dir") / "tls-key.pem";
            TRY(net::ensure_self_signed(certificate, key, {node_.host_name()}));
        }
        node_.tls = TRY(net::TlsServer::load(certificate, key));
        return {};
    }

    Result<> listen(const std::string& name, const std::string& option, std::shared_ptr<net::TlsServer> tls) {
        std::string section = option.substr(0, option.find('.'));
        bool imap = section == "imap", pop3 = section == "pop3", line = section == "websocket";
        MailService service = section == "submission" ? MailService::submission
                              : section == "lmtp"     ? MailService::delivery
                                                      : MailService::transfer;
        net::ListenerOptions options;
        options.name = name;
        options.implicit_tls = std::move(tls);
        options.max_connections = static_cast<std::size_t>(config_.count(section + ".max-connections"));
        options.max_connections_per_address =
            static_cast<std::size_t>(config_.count(section + ".max-connections-per-address"));
        if (line) options.handshake_time = std::chrono::seconds(10);  // nobody but a core has business there
        options.farewell = imap   ? "* BYE Too many connections\r\n"
                           : pop3 ? "-ERR [SYS/TEMP] Too many connections\r\n"
                                  : "421 4.3.2 Too many connections, try again later\r\n";
        net::SessionHandler handler = [this, imap, pop3, line,
                                       service](net::StreamPtr stream) -> net::Task<> {
            return imap   ? serve_imap(node_, std::move(stream))
                   : pop3 ? serve_pop3(node_, std::move(stream))
                   : line ? lines_.serve(std::move(stream))
                          : serve_smtp(node_, intake_, receiver_, mail_limits_, service, std::move(stream));
        };
        if (section == "lmtp") TRY(listen_unix(options, handler));
        for (const auto& socket : activated_)
            if (socket.name == name)
                listeners_.push_back(TRY(net::Listener::adopt(node_.runtime, socket.fd, options, handler)));
        for (const auto& address : config_.host_ports(option))
            listeners_.push_back(TRY(net::Listener::open(node_.runtime, address, options, handler)));
        return {};
    }

    Result<> listen_unix(net::ListenerOptions options, net::SessionHandler handler) {
        net::UnixPlace place{config_.path("lmtp.listen-unix")};
        if (place.path.empty()) return {};
        std::string mode = config_.text("lmtp.unix-mode");
        if (mode.empty() || mode.size() > 4 || mode.find_first_not_of("01234567") != std::string::npos)
            return fail(ErrorKind::usage, "unix-mode in [lmtp] is no file mode: write it as 0660");
        place.mode = static_cast<mode_t>(std::stoul(mode, nullptr, 8));
        place.group = config_.text("lmtp.unix-group");
        options.max_connections_per_address = options.max_connections;  // all come from one
        listeners_.push_back(TRY(net::Listener::open_unix(node_.runtime, std::move(place), std::move(options),
                                                          std::move(handler))));
        return {};
    }

    std::vector<std::string> listening() const {
        std::vector<std::string> lines;
        for (const auto& listener : listeners_) lines.push_back(listener->name() + " " + listener->place());
        return lines;
    }

    net::Task<> recover() {
        net::Notifier wake(co_await boost::asio::this_coro::executor);
        auto stop = node_.hub.subscribe(AccountId{}, wake);
        while (!node_.stopping) {
            auto result = co_await intake_.recover();
            if (result && !node_.is_core()) result = co_await replica_.recover();
            if (result) co_return;
            node_.log.error("recovery", result.error().text + "; it is tried again in a minute");
            (void)co_await wake.wait(net::deadline_after(std::chrono::minutes(1)));
        }
    }

    // Bodies that nobody holds. Unfinished ones from before the start nobody writes any more.
    net::Task<Result<>> collect_garbage(UnixMillis started) {
        constexpr std::int64_t day = 86'400'000;
        UnixMillis now = node_.clock();
        store::GarbageAge age{UnixMillis{now.value - 30 * day},
                              UnixMillis{std::max(started.value, now.value - day)}};
        auto find = [age](store::SystemStore& system) { return system.find_garbage(age); };
        auto found = CO_TRY(co_await node_.read(store::system_file, find));
        auto job = [age, now, found = std::move(found)](store::SystemStore& system) -> Result<> {
            TRY(system.prune_digests(UnixMillis{now.value - 8 * day}));
            TRY(system.delete_garbage(found, age));
            return {};
        };
        co_return co_await node_.write(store::system_file, std::move(job));
    }

    // Pieces of bodies whose message, or whose request, never came.
    net::Task<> sweep_pieces() {
        constexpr std::int64_t month = 30 * std::int64_t{86'400'000};
        auto users = node_.directory.snapshot();
        for (const auto& [account, user] : *users) {
            if (node_.stopping) co_return;
            auto job = [now = node_.clock()](store::AccountStore& store) -> Result<> {
                TRY(store::forget_successors(store, UnixMillis{now.value - 86'400'000}));
                return store.sweep_pieces(now, UnixMillis{now.value - month});
            };
            auto swept = co_await node_.write(account, job);
            if (!swept) node_.log.error("upkeep", swept.error().text);
        }
    }

    // At core: messages that were expunged from outside so long ago that nobody will want them back.
    net::Task<> forget_hidden() {
        constexpr std::int64_t month = 30 * std::int64_t{86'400'000};
        auto users = node_.directory.snapshot();
        for (const auto& [account, user] : *users) {
            if (node_.stopping) co_return;
            auto job = [before = UnixMillis{node_.clock().value - month}](store::AccountStore& store) {
                return store::forget_hidden(store, before);
            };
            auto done = co_await node_.write(account, job);
            if (!done) node_.log.error("upkeep", done.error().text);
            co_await drain_releases(node_, account);
        }
    }

    // Bodies that accounts have let go of.
    net::Task<> release_bodies() {
        net::Notifier wake(co_await boost::asio::this_coro::executor);
        auto stop = node_.hub.subscribe(AccountId{}, wake);
        auto load = [](store::SystemStore& system) { return system.load_users(); };
        if (auto users = co_await node_.read(store::system_file, load))
            for (const auto& user : *users)
                co_await drain_releases(node_, user.id, std::chrono::milliseconds(0));
        auto round = std::clamp<std::chrono::milliseconds>(release_grace(node_) / 2, std::chrono::seconds(1),
                                                           std::chrono::minutes(5));
        while (!node_.stopping) {
            auto releasing = node_.hub.take_releasing();
            for (auto account : releasing) co_await drain_releases(node_, account);
            (void)co_await wake.wait(net::deadline_after(round));
        }
    }

    // What has waited for it need not wait any longer.
    void on_line_open(NodeId link) {
        sender_.on_mail_done(link, {});
        auto job = [link, now = node_.clock()](store::SystemStore& system) {
            return system.hurry_link(link, now);
        };
        node_.executor.write(store::system_file, job, [this](Result<> hurried) {
            if (!hurried) node_.log.error("line", hurried.error().text);
            node_.queue_wake.notify();
        });
    }

    net::Task<> keep_witness() {
        net::Notifier wake(co_await boost::asio::this_coro::executor);
        auto stop = node_.hub.subscribe(AccountId{}, wake);
        while (!node_.stopping) {
            if (co_await wake.wait(net::deadline_after(witness_interval))) continue;
            auto raised = co_await raise_witness(node_, config_.path("witness"));
            if (!raised) node_.log.error("witness", raised.error().text);
        }
    }

    // Small work at long intervals.
    net::Task<> upkeep() {
        net::Notifier wake(co_await boost::asio::this_coro::executor);
        auto stop = node_.hub.subscribe(AccountId{}, wake);
        UnixMillis started = node_.clock();
        constexpr int day = 24;  // in rounds
        for (int round = 0; !node_.stopping; ++round) {
            auto done = co_await collect_garbage(started);
            if (!done) node_.log.error("upkeep", done.error().text);
            if (round % day == 0) co_await sweep_pieces();
            if (round % day == 0 && node_.is_core()) co_await forget_hidden();
            (void)co_await wake.wait(net::deadline_after(std::chrono::hours(1)));
        }
    }

    // At the remote: a body that does not come must not hold up the mailbox.
    net::Task<> place_stubs() {
        net::Notifier wake(co_await boost::asio::this_coro::executor);
        auto stop = node_.hub.subscribe(AccountId{}, wake);
        auto after = config_.duration("replicate.stub-after");
        while (!node_.stopping) {
            (void)co_await wake.wait(net::deadline_after(std::clamp<std::chrono::seconds>(
                after / 4, std::chrono::seconds(1), std::chrono::seconds(60))));
            auto users = node_.directory.snapshot();
            for (const auto& [account, user] : *users) {
                auto placed = co_await replica_.place_stubs(account, after);
                if (!placed) node_.log.error("replica", placed.error().text);
            }
        }
    }

    void stop() {
        node_.log.info(role_name(node_.role), "stopping");
        (void)net::notify_service_manager("STOPPING=1");
        node_.stopping = true;
        for (const auto& listener : listeners_) listener->stop();
        if (control_) control_->stop();
        node_.hub.stop_all();
        node_.queue_wake.notify();
        node_.link_wake.notify();
    }

    void reload() {
        auto tls = node_.tls->reload();
        if (tls)
            node_.log.info("reload", "the certificate is read anew");
        else
            node_.log.error("tls", tls.error().text);
        auto job = [this](store::SystemStore& system) -> Result<> {
            TRY(node_.directory.reload(system));
            return links_.reload(system);
        };
        node_.executor.read(store::system_file, job, [this](Result<> result) {
            if (!result)
                node_.log.error("reload", result.error().text);
            else
                node_.log.info("reload", "users and links are read anew");
        });
    }

    net::Task<> answer(std::string text, net::ControlReply reply) {
        boost::system::error_code error;
        auto request = json::parse(text, error);
        if (error || !request.is_object()) {
            (void)co_await reply(R"({"error":"not a request","kind":"usage"})");
            co_return;
        }
        if (is_transfer(request.as_object())) {
            co_await run_transfer(node_, request.as_object(), std::move(reply));
            co_return;
        }
        struct Outcome {
            json::object answer;
            bool users, links, queue, compare;
            std::set<AccountId> accounts, hurried;
        };
        wipe(text);
        auto shared = std::make_shared<json::object>(std::move(request.as_object()));
        auto job = [this, shared](store::SystemStore& system) -> Result<Outcome> {
            AdminContext context{
                system, config_, node_.master_key, identity_, node_.clock, listening(), false, false, {}, {}};
            context.lines = lines_.states();
            auto done = TRY(execute_admin(context, *shared));
            return Outcome{std::move(done),         context.users_changed, context.links_changed,
                           context.queue_changed,   context.compare,       context.accounts_changed,
                           context.accounts_hurried};
        };
        Result<Outcome> outcome = fail(ErrorKind::internal, "");
        // A status of many accounts must not hold up the writer.
        if (only_reads(*shared))
            outcome = co_await node_.read(store::system_file, std::move(job));
        else
            outcome = co_await node_.write(store::system_file, std::move(job));
        wipe_secrets(*shared);
        if (!outcome) {
            json::object failed{{"error", outcome.error().text},
                                {"kind", outcome.error().kind == ErrorKind::usage ? "usage" : "failed"}};
            (void)co_await reply(json::serialize(failed));
            co_return;
        }
        auto refresh = [this, outcome = *outcome](store::SystemStore& system) -> Result<> {
            if (outcome.users) TRY(node_.directory.reload(system));
            if (outcome.links) TRY(links_.reload(system));
            return {};
        };
        auto refreshed = co_await node_.read(store::system_file, std::move(refresh));
        if (!refreshed) node_.log.error("control", refreshed.error().text);
        if (outcome->queue) node_.queue_wake.notify();
        for (auto account : outcome->accounts) {
            node_.executor.raise_version(account);
            node_.hub.changed(account);
        }
        for (auto account : outcome->hurried)
            node_.hub.hurry(account, node_.clock(),
                            outcome->compare ? ChangeHub::Haste::compare : ChangeHub::Haste::command);
        if (!outcome->hurried.empty()) node_.link_wake.notify();
        std::string line = json::serialize(outcome->answer);
        wipe_secrets(outcome->answer);
        (void)co_await reply(std::move(line));
    }

    const config::Config& config_;
    Identity identity_;
    Node node_;
    LinkTable& links_ = node_.links;
    SealCache cache_;
    MailLimits mail_limits_{config_};
    Intake intake_;
    Replica replica_;
    LinkReceiver receiver_;
    Poller poller_;
    LinkSender sender_;
    SearchIndexer indexer_;
    DialledLines lines_;
    QueueRunner queue_;
    std::vector<net::ActivatedSocket> activated_;
    std::vector<std::shared_ptr<net::Listener>> listeners_;
    std::shared_ptr<net::ControlServer> control_;
};

// Lives of a node ascend, whatever its clock does: what an earlier one has acknowledged does not count.
Result<sync::Life> begin_life(store::SystemStore& system, UnixMillis now) {
    sync::Life life{now, 0};
    if (auto last = TRY(system.setting("life")))
        life.start = std::max(now, UnixMillis{std::stoll(*last) + 1});
    fill_random({reinterpret_cast<std::uint8_t*>(&life.random), sizeof life.random});
    TRY(system.set_setting("life", std::to_string(life.start.value)));
    return life;
}

// `system` is the store as it was opened for the start.
Result<> run_server(NodeRole role, const config::Config& config, Log& log, Secret master_key,
                    Identity identity, std::unique_ptr<store::SystemStore> system) {
    store::ExecutorOptions options;
    options.data_dir = config.path("data-dir");
    options.threads = static_cast<unsigned>(config.count("limits.store-threads"));
    options.life = TRY(begin_life(*system, options.clock()));
    std::unique_ptr<Server> server;  // outlives the runtime, which destroys the sessions that were cut
    net::Runtime runtime(log, static_cast<unsigned>(config.count("threads")));
    auto executor = TRY(store::Executor::open(std::move(options)));
    server = std::make_unique<Server>(role, config, log, std::move(master_key), std::move(identity), runtime,
                                      *executor);
    auto started = server->start(*system);
    system.reset();
    if (started) server->run();
    executor.reset();  // its threads complete into the runtime
    server->close();
    TRY(std::move(started));
    // A session that was cut may have taken a reference to a body and no row: the next start looks for it.
    if (runtime.live() > 0 || server->references_in_doubt()) return {};
    return note_clean_stop(*TRY(store::SystemStore::open(config.path("data-dir"))));
}

// The usual 1024 are few for a thousand connections and the files of some hundred accounts.
void raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
    limit.rlim_cur = limit.rlim_max;
    (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

Result<> serve(NodeRole role, const Arguments& arguments) {
    raise_descriptor_limit();
    auto config = TRY(
        config::Config::load(role == NodeRole::core ? config::role_core : config::role_remote, arguments));
    int log_fd = 2;
    if (auto path = config.path("log-file"); !path.empty()) {
        log_fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (log_fd < 0) return fail(ErrorKind::usage, "cannot write the log " + path.string());
    }
    Log log(log_fd, log_level(config.text("log-level")));
    auto data_dir = config.path("data-dir");
    if (!std::filesystem::exists(data_dir / "system.db"))
        return fail(ErrorKind::usage, data_dir.string() + " has not been set up: run fwmail init " +
                                          std::string(role_name(role)));
    auto lock = TRY(store::Lock::take(data_dir));
    auto master_key = TRY(load_master_key(data_dir));
    auto system = TRY(open_stopped(data_dir, system_clock()()));
    auto identity = TRY(load_identity(*system, master_key));
    if (identity.role != role)
        return fail(ErrorKind::usage, "this data-dir belongs to a " + std::string(role_name(identity.role)));

    // What a crash left half done between two files is put right before anybody works.
    TRY(begin_run(*system, data_dir, system_clock()(), log));
    return run_server(role, config, log, std::move(master_key), std::move(identity), std::move(system));
}

int run(NodeRole role, const Arguments& arguments) {
    auto result = serve(role, arguments);
    return result ? exit_success : report(role_name(role), result.error());
}

}  // namespace

int run_core(const Arguments& arguments) { return run(NodeRole::core, arguments); }
int run_remote(const Arguments& arguments) { return run(NodeRole::remote, arguments); }

}  // namespace fwmail::roles
