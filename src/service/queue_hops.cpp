// Where a mail in the queue goes next: the link's next hop, the smart host, or the exchangers of its domain.
#include <algorithm>
#include <fstream>
#include <map>

#include "base/co_try.hpp"
#include "base/encoding.hpp"
#include "base/random.hpp"
#include "service/mx_plan.hpp"
#include "service/queue_runner.hpp"
#include "service/tls_options.hpp"

namespace fwmail::service {
namespace {

constexpr auto dns_time = std::chrono::seconds(30);

std::size_t random_below(std::size_t n) {
    std::uint32_t number = 0;
    fill_random({reinterpret_cast<std::uint8_t*>(&number), sizeof number});
    return number % n;
}

std::string domain_of(std::string_view address) {
    auto path = smtp::parse_address(address, smtp::Charset::utf8);
    return path ? ascii_lower(path->domain) : std::string();
}

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

Result<QueueRunner::Hop> QueueRunner::hop_from_config(const std::string& section, config::HostPort to) {
    Hop hop;
    hop.to = std::move(to);
    const auto& config = node_.config;
    std::string tls = config.text(section + ".tls");
    hop.implicit_tls = tls == "implicit";
    hop.tls = tls == "none"            ? smtp::TlsPolicy::none
              : tls == "opportunistic" ? smtp::TlsPolicy::opportunistic
                                       : smtp::TlsPolicy::required;
    // Opportunistic TLS goes on in clear where none is offered, so a name check would protect nothing. But a
    // password never goes in clear, so that with one TLS is required in effect, and the name counts.
    bool check = tls == "required" || tls == "implicit" || !config.text(section + ".user").empty();
    hop.verify = TRY(tls_options_of(config, section, check));
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
            auto to = node_.config.host_port(section + ".next-hop");
            if (is_dialled(node_.config, link->name) && (to.host.empty() || lines_.is_open(item.link))) {
                Hop hop;
                hop.line = true;
                hop.to.host = "the line of link " + link->name;
                co_return hop;
            }
            if (!to.host.empty()) co_return hop_from_config(section, std::move(to));
        }
        if (smarthost.host.empty() && !link->next_hop.empty()) {
            Hop direct;
            direct.to = CO_TRY(config::parse_host_port(link->next_hop));
            direct.verify.verify = net::TlsVerify::none;
            co_return direct;
        }
    }
    if (smarthost.host.empty() && node_.config.boolean("smtp.direct")) co_return direct_hop(item);
    if (smarthost.host.empty())
        co_return fail(ErrorKind::temporary, "no smart host is configured: set address in [smarthost]");
    co_return hop_from_config("smarthost", std::move(smarthost));
}

Result<QueueRunner::Hop> QueueRunner::direct_hop(const store::QueueItem& item) {
    for (const auto& recipient : item.recipients) {
        if (recipient.state != store::RecipientState::pending) continue;
        Hop hop;
        hop.domain = domain_of(recipient.address);
        hop.to.host = hop.domain;
        hop.to.port = static_cast<std::uint16_t>(node_.config.count("smtp.direct-port"));
        hop.verify.verify = net::TlsVerify::none;  // opportunistic: a check would protect nothing
        if (!hop.domain.empty()) return hop;
    }
    return fail(ErrorKind::refused, "550 5.1.3 no recipient has a domain");
}

net::Task<Result<std::vector<config::HostPort>>> QueueRunner::hosts_of(Hop hop) {
    using Hosts = std::vector<config::HostPort>;
    if (hop.domain.empty()) co_return Hosts{hop.to};
    if (hop.domain.starts_with('[')) {  // an address literal (RFC 5321 4.1.3)
        std::string literal = hop.domain.substr(1, hop.domain.size() - 2);
        if (literal.starts_with("ipv6:")) literal.erase(0, 5);
        if (net::numeric_address(literal).empty())
            co_return fail(ErrorKind::refused, "550 5.1.2 " + hop.domain + " is no address");
        co_return Hosts{{literal, hop.to.port}};
    }
    auto answer = co_await node_.resolver.resolve_mx(hop.domain, net::deadline_after(dns_time));
    if (!answer && answer.error().kind == ErrorKind::refused)
        co_return fail(ErrorKind::refused, "550 5.1.2 " + answer.error().text);
    if (!answer) co_return fail(answer.error());
    auto names = CO_TRY(plan_exchangers(*answer, hop.domain, node_.host_name(), random_below));
    Hosts hosts;
    for (auto& name : names) hosts.push_back({std::move(name), hop.to.port});
    co_return hosts;
}

// Each domain has exchangers of its own, so each gets a mail of its own; all of them at once, or none.
net::Task<Result<std::vector<store::QueueItem>>> QueueRunner::by_destination(store::QueueItem item) {
    std::vector<store::QueueItem> items;
    bool direct =
        node_.config.boolean("smtp.direct") && node_.config.host_port("smarthost.address").host.empty();
    if (!direct || item.kind == store::QueueKind::node) {
        items.push_back(std::move(item));
        co_return items;
    }
    std::map<std::string, std::vector<store::QueueRecipient>> domains;
    for (auto& recipient : item.recipients)
        domains[domain_of(recipient.address)].push_back(std::move(recipient));
    for (auto& [domain, recipients] : domains) {
        items.push_back(item);
        items.back().recipients = std::move(recipients);
        if (items.size() > 1) items.back().id = make_id<store::QueueIdTag>(node_.clock());
    }
    auto job = [items](store::SystemStore& system) -> Result<> {
        for (std::size_t i = 1; i < items.size(); ++i) {
            std::vector<std::string> addresses;
            for (const auto& recipient : items[i].recipients) addresses.push_back(recipient.address);
            TRY(system.split(items[0].id, items[i].id, addresses));
        }
        return {};
    };
    if (items.size() > 1) CO_TRY(co_await node_.write(store::system_file, std::move(job)));
    co_return items;
}

}  // namespace fwmail::service
