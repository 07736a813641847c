// Questions to DNS: a c-ares channel for each, its sockets watched by Asio on the asking coroutine's
// executor.
#include "net/dns.hpp"

#include <ares.h>
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <fcntl.h>
#include <netdb.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fstream>
#include <map>
#include <tuple>

#include "base/encoding.hpp"
#include "net/runtime.hpp"

namespace asio = boost::asio;
using boost::system::error_code;

namespace fwmail::net {
namespace {

constexpr std::size_t max_answers = 32;
constexpr std::size_t max_hosts_file = 4 << 20;

// One or more questions asked together. Handlers keep it alive; close() makes them fall away.
class Query : public std::enable_shared_from_this<Query> {
  public:
    Query(Executor executor) : done(executor), executor_(executor), timer_(executor) {}
    ~Query() { close(); }

    Result<> open(const ResolverOptions& options);
    void ask(const std::string& name, int type);
    void close();

    Notifier done;
    bool finished = false;
    int status = ARES_SUCCESS;  // the worst that no answer made good
    std::vector<std::string> ipv4, ipv6;
    std::vector<MxHost> mx;

  private:
    struct Question {
        Query* query;
        int type;
    };
    // c-ares closes its descriptors itself, so what Asio watches is a copy.
    struct Watched {
        Watched(Executor e, int fd) : descriptor(e, fd) {}
        asio::posix::stream_descriptor descriptor;
        bool read = false, write = false;
        bool reading = false, writing = false;
    };

    void on_state(int fd, bool read, bool write);
    void watch(int fd);
    void on_ready(int fd, std::weak_ptr<Watched> watched, bool write);
    void arm_timer();
    void on_answer(int type, int answer_status, const unsigned char* data, int size);
    void take_addresses(int type, const unsigned char* data, int size);
    void take_mx(const unsigned char* data, int size);

    Executor executor_;
    asio::steady_timer timer_;
    ares_channel channel_ = nullptr;
    int open_questions_ = 0;
    std::vector<std::unique_ptr<Question>> questions_;
    std::map<int, std::shared_ptr<Watched>> watched_;
};

Result<> Query::open(const ResolverOptions& options) {
    ares_options with{};
    with.timeout = 2000;
    with.tries = 3;
    with.sock_state_cb_data = this;
    with.sock_state_cb = [](void* self, ares_socket_t fd, int read, int write) {
        static_cast<Query*>(self)->on_state(fd, read, write);
    };
    int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
    if (int error = ares_init_options(&channel_, &with, mask); error != ARES_SUCCESS) {
        channel_ = nullptr;
        return fail(ErrorKind::temporary, std::string("DNS cannot be used: ") + ares_strerror(error));
    }
    if (!options.servers.empty() &&
        ares_set_servers_ports_csv(channel_, options.servers.c_str()) != ARES_SUCCESS)
        return fail(ErrorKind::usage, "'" + options.servers + "' is not a list of DNS servers");
    return {};
}

void Query::ask(const std::string& name, int type) {
    questions_.push_back(std::make_unique<Question>(Question{this, type}));
    ++open_questions_;
    finished = false;
    auto callback = [](void* argument, int status, int, unsigned char* data, int size) {
        auto* question = static_cast<Question*>(argument);
        question->query->on_answer(question->type, status, data, size);
    };
    // Search domains are for short names only: a full name must not be tried below somebody else's domain.
    bool full = name.find('.') != std::string::npos;
    (full ? ares_query : ares_search)(channel_, name.c_str(), ns_c_in, type, callback,
                                      questions_.back().get());
    arm_timer();
}

void Query::close() {
    if (ares_channel channel = std::exchange(channel_, nullptr)) ares_destroy(channel);
    watched_.clear();
    timer_.cancel();
}

void Query::on_state(int fd, bool read, bool write) {
    auto it = watched_.find(fd);
    if (!read && !write) {
        if (it != watched_.end()) watched_.erase(it);
        return;
    }
    if (it == watched_.end()) {
        int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
        if (copy < 0) return;  // the question ends by its timeout
        it = watched_.emplace(fd, std::make_shared<Watched>(executor_, copy)).first;
    }
    it->second->read = read;
    it->second->write = write;
    watch(fd);
}

void Query::watch(int fd) {
    auto it = watched_.find(fd);
    if (it == watched_.end()) return;
    std::shared_ptr<Watched> w = it->second;
    auto start = [&](bool write) {
        auto kind =
            write ? asio::posix::stream_descriptor::wait_write : asio::posix::stream_descriptor::wait_read;
        w->descriptor.async_wait(
            kind, [self = shared_from_this(), fd, weak = std::weak_ptr(w), write](error_code e) {
                if (!e) self->on_ready(fd, weak, write);
            });
    };
    if (w->read && !std::exchange(w->reading, true)) start(false);
    if (w->write && !std::exchange(w->writing, true)) start(true);
}

void Query::on_ready(int fd, std::weak_ptr<Watched> watched, bool write) {
    auto w = watched.lock();
    if (!w || !channel_) return;
    (write ? w->writing : w->reading) = false;
    ares_process_fd(channel_, write ? ARES_SOCKET_BAD : fd, write ? fd : ARES_SOCKET_BAD);
    if (!channel_) return;
    watch(fd);
    arm_timer();
}

void Query::arm_timer() {
    if (!channel_ || finished) return;
    timeval most{1, 0}, wait{};
    timeval* next = ares_timeout(channel_, &most, &wait);
    timer_.expires_after(std::chrono::seconds(next->tv_sec) + std::chrono::microseconds(next->tv_usec) +
                         std::chrono::milliseconds(1));
    timer_.async_wait([self = shared_from_this()](error_code error) {
        if (error || !self->channel_) return;
        ares_process_fd(self->channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
        self->arm_timer();
    });
}

void Query::on_answer(int type, int answer_status, const unsigned char* data, int size) {
    --open_questions_;
    if (answer_status == ARES_SUCCESS) {
        if (type == ns_t_mx)
            take_mx(data, size);
        else
            take_addresses(type, data, size);
    } else {
        bool nothing = answer_status == ARES_ENOTFOUND || answer_status == ARES_ENODATA;
        // No answer outweighs "there is none"; "no such name" outweighs "no such record".
        bool known_nothing = status == ARES_SUCCESS || status == ARES_ENODATA;
        if (!nothing || known_nothing) status = answer_status;
    }
    if (open_questions_ > 0) return;
    finished = true;
    done.poke();
}

void Query::take_addresses(int type, const unsigned char* data, int size) {
    hostent* host = nullptr;
    int error = type == ns_t_a ? ares_parse_a_reply(data, size, &host, nullptr, nullptr)
                               : ares_parse_aaaa_reply(data, size, &host, nullptr, nullptr);
    if (error != ARES_SUCCESS) {
        if (status == ARES_SUCCESS) status = error;
        return;
    }
    auto& list = type == ns_t_a ? ipv4 : ipv6;
    for (char** address = host->h_addr_list; *address && list.size() < max_answers; ++address) {
        char text[INET6_ADDRSTRLEN];
        if (ares_inet_ntop(host->h_addrtype, *address, text, sizeof text)) list.emplace_back(text);
    }
    ares_free_hostent(host);
}

void Query::take_mx(const unsigned char* data, int size) {
    ares_mx_reply* first = nullptr;
    if (int error = ares_parse_mx_reply(data, size, &first); error != ARES_SUCCESS) {
        status = error;
        return;
    }
    for (ares_mx_reply* m = first; m && mx.size() < max_answers; m = m->next)
        mx.push_back({m->priority, m->host});
    ares_free_data(first);
}

Result<> check_name(std::string_view host) {
    bool good = !host.empty() && host.size() <= 254 && host.front() != '.';
    for (char c : host) good = good && c > 32 && c < 127;
    if (!good)
        return fail(ErrorKind::refused, "'" + std::string(host.substr(0, 80)) + "' is not a host name");
    return {};
}

std::string read_hosts(const std::filesystem::path& file) {
    std::ifstream stream(file, std::ios::binary);
    std::error_code error;
    auto size = std::filesystem::file_size(file, error);
    if (error || !stream) return {};
    std::string text(std::min<std::uintmax_t>(size, max_hosts_file), '\0');
    stream.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(stream.gcount()));
    return text;
}

std::vector<std::string> in_turn(const std::vector<std::string>& a, const std::vector<std::string>& b) {
    std::vector<std::string> out;
    for (std::size_t i = 0; i < std::max(a.size(), b.size()); ++i)
        for (const auto* list : {&a, &b})
            if (i < list->size() && out.size() < max_answers &&
                std::ranges::find(out, (*list)[i]) == out.end())
                out.push_back((*list)[i]);
    return out;
}

std::unexpected<Error> dns_error(const std::string& name, int status) {
    bool none = status == ARES_ENOTFOUND || status == ARES_ENODATA;
    return fail(none ? ErrorKind::refused : ErrorKind::temporary,
                "'" + name + "' cannot be resolved: " + ares_strerror(status));
}

// Closes the query whichever way the coroutine ends: its handlers then hold nothing of c-ares.
struct Closing {
    std::shared_ptr<Query> query;
    ~Closing() { query->close(); }
};

}  // namespace

Task<Result<std::vector<std::string>>> Resolver::resolve(std::string host, Deadline deadline) const {
    using List = std::vector<std::string>;
    if (std::string address = numeric_address(host); !address.empty()) co_return List{address};
    if (host.size() > 1 && host.back() == '.') host.pop_back();
    if (auto good = check_name(host); !good) co_return fail(good.error());
    std::string name = ascii_lower(host);
    List found = find_in_hosts(read_hosts(options_.hosts_file), name);
    if (!found.empty()) co_return in_turn(found, {});
    if (name == "localhost" || name.ends_with(".localhost")) co_return List{"127.0.0.1", "::1"};

    Executor executor = co_await asio::this_coro::executor;
    Closing closing{std::make_shared<Query>(executor)};
    Query& query = *closing.query;
    if (auto opened = query.open(options_); !opened) co_return fail(opened.error());
    query.ask(name, ns_t_aaaa);
    query.ask(name, ns_t_a);
    co_await query.done.wait_or(query.finished, deadline);
    List addresses = in_turn(query.ipv6, query.ipv4);
    if (!addresses.empty()) co_return addresses;
    if (!query.finished)
        co_return fail(ErrorKind::temporary, "'" + host + "' cannot be resolved: no answer in time");
    co_return dns_error(host, query.status == ARES_SUCCESS ? ARES_ENODATA : query.status);
}

Task<Result<MxAnswer>> Resolver::resolve_mx(std::string domain, Deadline deadline) const {
    if (domain.size() > 1 && domain.back() == '.') domain.pop_back();
    if (auto good = check_name(domain); !good) co_return fail(good.error());
    Executor executor = co_await asio::this_coro::executor;
    Closing closing{std::make_shared<Query>(executor)};
    Query& query = *closing.query;
    if (auto opened = query.open(options_); !opened) co_return fail(opened.error());
    query.ask(ascii_lower(domain), ns_t_mx);
    co_await query.done.wait_or(query.finished, deadline);
    if (!query.finished)
        co_return fail(ErrorKind::temporary, "no answer in time about the MX of '" + domain + "'");
    if (query.mx.empty() && query.status != ARES_SUCCESS && query.status != ARES_ENODATA)
        co_return dns_error(domain, query.status);
    std::ranges::sort(query.mx, {}, [](const MxHost& m) { return std::tie(m.preference, m.host); });
    if (query.mx.size() == 1 && (query.mx[0].host.empty() || query.mx[0].host == "."))
        co_return MxAnswer{{}, true};
    co_return MxAnswer{std::move(query.mx), false};
}

}  // namespace fwmail::net
