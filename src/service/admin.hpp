// What the commands do to a node, whether it runs (then through its control socket) or not (then on the
// opened store). A request is a JSON object with `command`; so is the answer, or it is an Error.
#pragma once

#include <boost/json.hpp>
#include <map>
#include <set>

#include "config/config.hpp"
#include "service/identity.hpp"
#include "service/line_state.hpp"

namespace fwmail::service {

struct AdminContext {
    store::SystemStore& system;
    const config::Config& config;
    const Secret& master_key;
    const Identity& identity;
    Clock clock;
    std::vector<std::string> listening;  // "imap 127.0.0.1:143"; empty when the node does not run
    // What was changed, so that a running node takes notice.
    bool users_changed = false, links_changed = false;
    std::set<AccountId> accounts_changed, accounts_hurried;
    bool queue_changed = false;
    bool compare = false;                    // the hurried accounts are compared with the other side's
    std::map<NodeId, LineState> lines = {};  // of those links that are dialled, when the node runs

    std::filesystem::path data_dir() const { return config.path("data-dir"); }
};

Result<boost::json::object> execute_admin(AdminContext& context, const boost::json::object& request);
// Such a request changes nothing, so a read connection will do. Others belong into one transaction.
bool only_reads(const boost::json::object& request);
// Overwrites passwords and keys in a request or an answer that has been used.
void wipe_secrets(boost::json::object& message);

// The parts, by area; `command` is without its prefix.
Result<boost::json::object> admin_user(AdminContext& context, std::string_view command,
                                       const boost::json::object& request);
Result<boost::json::object> admin_key(AdminContext& context, std::string_view command,
                                      const boost::json::object& request);
Result<boost::json::object> admin_link(AdminContext& context, std::string_view command,
                                       const boost::json::object& request);
Result<boost::json::object> admin_alias(AdminContext& context, std::string_view command,
                                        const boost::json::object& request);
Result<boost::json::object> admin_queue(AdminContext& context, std::string_view command,
                                        const boost::json::object& request);
Result<boost::json::object> admin_expunged(AdminContext& context, std::string_view command,
                                           const boost::json::object& request);
Result<boost::json::object> admin_state(AdminContext& context, std::string_view command,
                                        const boost::json::object& request);
Result<boost::json::object> admin_status(AdminContext& context);
Result<boost::json::object> admin_sync(AdminContext& context, const boost::json::object& request);
Result<boost::json::object> admin_check(AdminContext& context);

// The text under `name`, or nothing.
std::string text_of(const boost::json::object& request, std::string_view name);

}  // namespace fwmail::service
