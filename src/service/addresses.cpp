#include "service/addresses.hpp"

#include <algorithm>
#include <set>

#include "base/encoding.hpp"

namespace fwmail::service {
namespace {

class Search {
  public:
    Search(const Directory& directory, const AddressRules& rules) : directory_(directory), rules_(rules) {}

    // False: nobody has the address.
    bool add(const smtp::Path& path, unsigned depth) {
        std::string address = ascii_lower(path.text());
        if (seen_.size() > 4 * most_reached || !seen_.insert(address).second) return true;
        if (as_it_stands(address, depth)) return true;
        std::string plain = without_plus(path);
        if (!plain.empty() && as_it_stands(plain, depth)) return true;
        if (!is_ours(path.domain)) return add_outside(path);
        return to_postmaster(path, depth) || to_catch_all(path.domain, depth);
    }

    Reached reached;

  private:
    bool is_ours(std::string_view domain) const {
        return domain.empty() || std::ranges::any_of(rules_.domains, [&](const auto& ours) {
                   return equal_ignoring_case(ours, domain);
               });
    }

    bool is_full() const { return reached.users.size() + reached.outside.size() >= most_reached; }

    bool add_user(const std::shared_ptr<const UserRecord>& user) {
        if (!user) return false;
        if (std::ranges::find(reached.users, user->user.id) == reached.users.end() && !is_full())
            reached.users.push_back(user->user.id);
        return true;
    }

    bool add_outside(const smtp::Path& path) {
        std::string address = path.text();
        if (std::ranges::find(reached.outside, address) == reached.outside.end() && !is_full())
            reached.outside.push_back(std::move(address));
        return true;
    }

    bool as_it_stands(const std::string& address, unsigned depth) {
        if (add_user(directory_.find_address(address))) return true;
        auto targets = directory_.find_alias(address);
        if (!targets || depth == deepest_alias) return false;
        reached.by_alias = true;
        return add_targets(*targets, depth);
    }

    bool add_targets(const std::vector<std::string>& targets, unsigned depth) {
        bool found = false;
        for (const auto& target : targets)
            if (auto path = smtp::parse_address(target, smtp::Charset::utf8)) found |= add(*path, depth + 1);
        return found;
    }

    std::string without_plus(const smtp::Path& path) const {
        if (rules_.separator.empty()) return {};
        auto at = path.local.find(rules_.separator);
        if (at == std::string::npos || at == 0) return {};
        smtp::Path plain{path.local.substr(0, at), path.domain};
        return ascii_lower(plain.text());
    }

    bool to_postmaster(const smtp::Path& path, unsigned depth) {
        if (!equal_ignoring_case(path.local, "postmaster")) return false;
        if (path.domain.empty() && !rules_.domains.empty()) {
            auto targets = directory_.find_alias("postmaster@" + ascii_lower(rules_.domains.front()));
            if (targets && add_targets(*targets, depth)) return true;
        }
        reached.by_fallback = true;
        if (auto user = directory_.find_login(rules_.postmaster)) return add_user(user);
        if (auto elsewhere = smtp::parse_address(rules_.postmaster); elsewhere && depth < deepest_alias)
            return add(*elsewhere, depth + 1);
        auto users = directory_.snapshot();  // ids rise with time
        return !users->empty() && add_user(users->begin()->second);
    }

    bool to_catch_all(const std::string& domain, unsigned depth) {
        auto targets = directory_.find_alias("@" + ascii_lower(domain));
        if (!targets || depth == deepest_alias) return false;
        reached.by_alias = reached.by_fallback = true;
        return add_targets(*targets, depth);
    }

    const Directory& directory_;
    const AddressRules& rules_;
    std::set<std::string> seen_;
};

}  // namespace

AddressRules address_rules(const config::Config& config) {
    if (config.role() != config::role_core) return {config.list("domain"), "", ""};
    return {config.list("domain"), config.text("smtp.plus"), config.text("smtp.postmaster")};
}

Result<Reached> reach(const Directory& directory, const AddressRules& rules, const smtp::Path& path) {
    Search search(directory, rules);
    bool found = search.add(path, 0) && search.reached.users.size() + search.reached.outside.size() > 0;
    if (!found) return fail(ErrorKind::refused, "There is no user <" + path.text() + "> here");
    return std::move(search.reached);
}

bool may_send_as(const Directory& directory, const AddressRules& rules, AccountId user,
                 const smtp::Path& path) {
    auto reached = reach(directory, rules, path);
    return reached && !reached->by_fallback &&
           std::ranges::find(reached->users, user) != reached->users.end();
}

}  // namespace fwmail::service
