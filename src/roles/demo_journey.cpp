// The pair: set up, linked, running, stopped.
#include "roles/demo_journey.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>

#include "base/encoding.hpp"
#include "base/random.hpp"
#include "base/utf8.hpp"

namespace fwmail::roles {
namespace {

using std::chrono::steady_clock;
constexpr Milliseconds longest_wait(30'000);
constexpr std::size_t width = 108;

std::string last_line(std::string text) {
    while (text.ends_with('\n')) text.pop_back();
    return text.substr(text.rfind('\n') + 1);
}

// What stands on the line behind `label`, up to two spaces or the line's end.
std::string field(std::string_view text, std::string_view label) {
    auto at = text.find(label);
    if (at == std::string_view::npos) return {};
    text.remove_prefix(at + label.size());
    text = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    return std::string(text.substr(0, text.find("  (")));
}

}  // namespace

void say(const std::string& line) {
    std::printf("   %s\n", line.c_str());
    std::fflush(stdout);
}

void detail(const std::string& line) {
    std::string shown;
    std::size_t columns = 0;
    for (std::string_view rest = line; !rest.empty();) {
        std::string_view before = rest;
        char32_t code = 0;
        bool good = take_utf8(rest, code);
        if (!good) rest.remove_prefix(1);
        if (++columns > width) {
            shown += "...";
            break;
        }
        if (good && code == '\t')
            shown += ' ';
        else if (!good || code < 0x20 || code == 0x7f)
            shown += '?';
        else
            shown += before.substr(0, before.size() - rest.size());
    }
    say("   | " + shown);
}

void excerpt(std::string_view octets, std::size_t lines) {
    for (; lines > 0 && !octets.empty(); --lines) {
        auto end = octets.find('\n');
        std::string line(octets.substr(0, end));
        if (line.ends_with('\r')) line.pop_back();
        detail(line);
        octets.remove_prefix(end == std::string_view::npos ? octets.size() : end + 1);
    }
    if (!octets.empty()) detail("... (" + std::to_string(octets.size()) + " octets more)");
}

Result<> verify(bool holds, const std::string& expected) {
    if (holds) return {};
    return fail(ErrorKind::refused, "this does not hold: " + expected);
}

Journey::Journey(std::filesystem::path folder, HeldSignals& signals)
    : folder_(std::move(folder)), signals_(signals) {
    core_.role = "core";
    core_.host_name = "core.test";
    remote_.role = "remote";
    remote_.host_name = "remote.test";
}

Journey::~Journey() {
    // gpg starts an agent that would stay.
    if (!gpg_home_.empty())
        (void)run_program("gpgconf", {"--homedir", gpg_home_.string(), "--kill", "gpg-agent"},
                          Milliseconds(5000));
}

Result<> Journey::run() {
    struct Step {
        const char* title;
        Result<> (Journey::*run)();
    };
    static constexpr Step steps[] = {
        {"Two servers are set up: core inside, remote outside", &Journey::set_up},
        {"A user, a password for outside, and the link between the two", &Journey::add_user_and_link},
        {"Both run", &Journey::start_both},
        {"Five messages reach core", &Journey::send_five},
        {"They travel as mail, and the remote shows them under core's UIDs", &Journey::wait_for_five},
        {"The remote cannot read them", &Journey::search_remote},
        {"Ann can: with gpg", &Journey::open_with_gpg},
        {"Ann can: with fwmail open, to the last octet", &Journey::open_exactly},
        {"A flag and an expunge at core", &Journey::change_at_core},
        {"A mail program that waits at the remote (IDLE) is told", &Journey::watch_idle},
        {"Forged mail is turned away", &Journey::forge},
        {"What both say of themselves", &Journey::show_status},
    };
    int number = 0;
    auto began = steady_clock::now();
    for (const auto& step : steps) {
        std::printf("\n%2d. %s\n", ++number, step.title);
        auto done = (this->*step.run)();
        if (!done)
            return fail(ErrorKind::refused, "step " + std::to_string(number) + " (" + step.title +
                                                ") failed: " + done.error().text);
    }
    double seconds = std::chrono::duration<double>(steady_clock::now() - began).count();
    std::printf("\nAll %d steps are verified, in %.1f s.\n", number, seconds);
    std::fflush(stdout);
    return {};
}

// --- 1

Result<> Journey::init(DemoNode& node, const DemoNode& other) {
    auto folder = folder_ / node.role;
    std::filesystem::create_directory(folder);
    node.config = folder / (node.role + ".conf");
    node.data_dir = folder / "data";
    node.log = folder / "log";
    auto loopback = [](std::uint16_t port) { return "127.0.0.1:" + std::to_string(port); };
    Arguments words{"init", node.role, "--config", node.config.string(), "--data-dir", node.data_dir.string(),
                    "--host-name", node.host_name, "--domain", "example.test", "--imap.listen",
                    loopback(node.imap_port), "--smtp.listen", loopback(node.smtp_port),
                    // In the world stands the organisation's mail gateway between the two.
                    "--smarthost.address", loopback(other.smtp_port), "--smarthost.tls", "none",
                    "--log-level", "debug",
                    // So small that an ordinary attachment has to travel in parts.
                    "--replicate.max-mail-size", "100k"};
    if (node.role == "core") words.insert(words.end(), {"--poll.interval", "1s"});
    auto done = TRY(run_fwmail(words));
    node.fingerprint = field(done.out, "fingerprint ");
    say("$ fwmail init " + node.role + " --config " + node.config.string() + " ...");
    excerpt(done.out, 3);
    return verify(!node.fingerprint.empty(), "init prints the fingerprint of the node's key");
}

Result<> Journey::set_up() {
    auto ports = TRY(net::free_loopback_ports(4));
    core_.imap_port = ports[0];
    core_.smtp_port = ports[1];
    remote_.imap_port = ports[2];
    remote_.smtp_port = ports[3];
    TRY(init(core_, remote_));
    return init(remote_, core_);
}

// --- 2

Result<> Journey::add_user_and_link() {
    core_.password = base32_readable(random_octets(10));
    auto password_file = folder_ / "password";
    TRY(write_private_file(password_file, core_.password + "\n"));
    const std::string core = core_.config.string(), remote = remote_.config.string();
    auto added = TRY(run_fwmail({"user", "add", "ann", "--address", "ann@example.test", "--password-file",
                                 password_file.string(), "--config", core}));
    std::filesystem::remove(password_file);
    say("$ fwmail user add ann --address ann@example.test ...");
    excerpt(added.out, 2);
    auto outside =
        TRY(run_fwmail({"user", "passwd", "ann", "--outside", "--label", "phone", "--config", core}));
    remote_.password = last_line(outside.out);
    say("$ fwmail user passwd ann --outside --label phone ...");
    detail(remote_.password + "   (generated; the remote gets a verifier of it only)");

    auto invited = TRY(run_fwmail({"link", "invite", "outside", "--config", core}));
    std::string invitation = last_line(invited.out);
    say("$ fwmail link invite outside ...                at core");
    detail(invitation);
    auto accepted = TRY(run_fwmail({"link", "accept", "home", "--token", invitation, "--config", remote}));
    say("$ fwmail link accept home --token fwmail1-...   at the remote");
    excerpt(accepted.error, 2);
    answer_ = last_line(accepted.out);
    auto closed = TRY(run_fwmail({"link", "accept", "outside", "--token", answer_, "--config", core}));
    say("$ fwmail link accept outside --token fwmail1-...   at core");
    excerpt(closed.error, 2);
    constexpr std::string_view others = "the other's fingerprint:";
    TRY(verify(field(accepted.error, others) == core_.fingerprint,
               "the remote is linked with core's key " + core_.fingerprint));
    TRY(verify(field(closed.error, others) == remote_.fingerprint,
               "core is linked with the remote's key " + remote_.fingerprint));
    say("the fingerprints are those of step 1");
    return {};
}

// --- 3

Result<> Journey::start(DemoNode& node) {
    int log = ::open(node.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log < 0) return fail(ErrorKind::temporary, "cannot write " + node.log.string());
    auto child = Child::start(own_executable, {node.role, "--config", node.config.string()}, log, log);
    ::close(log);
    node.process = TRY(std::move(child));
    return {};
}

Result<> Journey::start_both() {
    TRY(start(core_));
    TRY(start(remote_));
    for (auto* node : {&core_, &remote_}) {
        TRY(wait_until(node->role + " to listen", [node]() -> Result<std::string> {
            auto imap = net::LineClient::connect_loopback(node->imap_port, Milliseconds(2000));
            if (!imap) return imap.error().text;
            auto smtp = SmtpClient::open(node->smtp_port);
            return smtp ? "" : smtp.error().text;
        }));
        say(node->role + " is process " + std::to_string(node->process.pid()) + ": IMAP on port " +
            std::to_string(node->imap_port) + ", SMTP on port " + std::to_string(node->smtp_port));
    }
    return {};
}

// --- all along

Result<> Journey::wait_until(const std::string& what, const std::function<Result<std::string>()>& condition) {
    auto began = steady_clock::now();
    std::string before;
    while (true) {
        auto missing = TRY(condition());
        if (missing.empty()) return {};
        auto waited = steady_clock::now() - began;
        if (missing != before && waited > Milliseconds(500)) {
            char text[32];
            std::snprintf(text, sizeof text, "%4.1f s  ", std::chrono::duration<double>(waited).count());
            detail(text + missing);
            before = missing;
        }
        if (waited > longest_wait)
            return fail(ErrorKind::temporary, "waited in vain for " + what + ": " + missing);
        for (auto* node : {&core_, &remote_})
            if (!node->process.running())
                return fail(ErrorKind::temporary,
                            node->role + " has ended with " + std::to_string(node->process.status()));
        if (signals_.wait(Milliseconds(200))) return fail(ErrorKind::temporary, "it was interrupted");
    }
}

// --- the end

void Journey::print_logs() const {
    std::fflush(stdout);
    for (const auto* node : {&core_, &remote_}) {
        auto log = node->log.empty() ? Result<std::string>("") : read_file(node->log);
        if (!log || log->empty()) continue;
        std::string_view tail = *log;
        if (tail.size() > 3000) tail.remove_prefix(tail.find('\n', tail.size() - 3000) + 1);
        std::fprintf(stderr, "\nthe end of %s's log:\n%.*s", node->role.c_str(),
                     static_cast<int>(tail.size()), tail.data());
    }
}

void Journey::print_how_to_look() const {
    std::printf(
        "\nBoth run on, for you to look at. The mail program has to allow a login without TLS on "
        "loopback.\n");
    for (const auto* node : {&core_, &remote_})
        std::printf("   %-6s  IMAP 127.0.0.1:%u  SMTP 127.0.0.1:%u  user ann  password %s\n",
                    node->role.c_str(), node->imap_port, node->smtp_port, node->password.c_str());
    std::string home = gpg_home_.empty() ? "" : "GNUPGHOME=" + gpg_home_.string() + " ";
    std::string settings = "set folder=" + folder_.string() + " ssl_starttls=no ssl_force_tls=no";
    std::printf("   $ %smutt -F /dev/null -e '%s' -f imap://ann@127.0.0.1:%u/INBOX\n", home.c_str(),
                settings.c_str(), remote_.imap_port);
    std::printf("   $ curl -s --user ann:%s 'imap://127.0.0.1:%u/INBOX;UID=1'\n", remote_.password.c_str(),
                remote_.imap_port);
    std::printf("   $ fwmail status --config %s\n", remote_.config.c_str());
    std::printf("   logs: %s %s\n", core_.log.c_str(), remote_.log.c_str());
    std::printf("Ctrl-C ends them.\n");
    std::fflush(stdout);
}

Result<> Journey::watch() {
    while (!signals_.wait(Milliseconds(500)))
        for (auto* node : {&core_, &remote_})
            if (!node->process.running())
                return fail(ErrorKind::temporary,
                            node->role + " has ended with " + std::to_string(node->process.status()));
    return {};
}

Result<> Journey::stop() {
    for (auto* node : {&core_, &remote_}) {
        bool orderly = node->process.stop(Milliseconds(15'000));
        TRY(verify(orderly && node->process.status() == 0,
                   node->role + " ends with 0 on SIGTERM; it was " + std::to_string(node->process.status())));
    }
    return {};
}

}  // namespace fwmail::roles
