// fwmail check: is what lies in the data-dir consistent, in each file and across them?
//
// Only while the node does not run. The accounts' files and system.db are not committed together: a message
// that is being appended or expunged is in one and not yet in the other, and nothing read while that goes on
// tells it from damage. (Reading accounts first and system.db last, as a backup does, makes a body that was
// expunged between the two look lost.) Under the lock nothing is under way.
#include <algorithm>
#include <set>
#include <system_error>

#include "service/admin.hpp"
#include "store/account_store.hpp"
#include "store/search_store.hpp"

namespace fwmail::service {
namespace json = boost::json;
namespace {

struct Check {
    AdminContext& context;
    std::vector<store::User> users;
    json::array problems = {};
    std::vector<store::AccountReferences> references = {};
    std::vector<ObjectId> bodies = {};
    std::set<std::string> unread = {};  // accounts whose file tells nothing
    std::uint64_t messages = 0, held_by_nothing = 0;

    void add(const std::string& text) { problems.emplace_back(text); }
};

std::string name_of(const Check& check, const store::User& user) {
    return (check.context.identity.role == NodeRole::core ? "user " : "copy of user ") + user.name;
}

// It may be missing or behind; what is in it must hold together.
void check_index(Check& check, const store::User& user) {
    std::error_code error;
    auto path = store::SearchStore::path_of(check.context.data_dir(), user.id);
    if (!std::filesystem::exists(path, error)) return;
    auto index = store::SearchStore::open(check.context.data_dir(), user.id, store::Access::read_only);
    if (!index && index.error().kind == ErrorKind::temporary)
        return;  // it was being made when the server died
    auto problems = index ? (*index)->check() : Result<std::vector<std::string>>(fail(index.error()));
    std::string what =
        name_of(check, user) + ": the search index, accounts/" + path.filename().string() + ": ";
    std::string advice = "; delete the file, and the server makes it anew";
    if (!problems)
        check.add(what + problems.error().text + advice);
    else
        for (const auto& problem : *problems) check.add(what + problem + advice);
}

Result<> check_account(Check& check, const store::User& user, store::AccountStore& account) {
    std::optional<Error> trouble;
    auto exists = [&](ObjectId object) {
        auto complete = check.context.system.object_complete(object);
        if (!complete && !trouble) trouble = complete.error();
        return complete && *complete;
    };
    auto problems = TRY(account.check(exists));
    for (const auto& problem : problems) check.add(name_of(check, user) + ": " + problem);
    if (trouble) return fail(*trouble);
    for (const auto& mailbox : TRY(account.load_mailboxes()))
        check.messages += TRY(account.status(mailbox.id)).messages;
    auto references = TRY(account.load_references());
    for (const auto& reference : references.references) check.bodies.push_back(reference.object);
    check.references.push_back(std::move(references));
    return {};
}

// What one file cannot be asked is a problem of that file, and the others are looked at all the same.
void check_user(Check& check, const store::User& user) {
    auto data_dir = check.context.data_dir();
    std::error_code error;
    if (!std::filesystem::exists(store::AccountStore::path_of(data_dir, user.id), error)) {
        // At the remote it is made when the first mail about the account has been applied.
        if (check.context.identity.role == NodeRole::core) {
            check.unread.insert(user.id.hex());
            check.add(name_of(check, user) + ": the file of the mailboxes is missing");
        }
        return;
    }
    check_index(check, user);
    auto account = store::AccountStore::open(data_dir, user.id, check.context.clock());
    auto result = account ? check_account(check, user, **account) : Result<>(fail(account.error()));
    if (result) return;
    check.unread.insert(user.id.hex());
    check.add(name_of(check, user) + ": " + result.error().text);
}

Result<> check_strange_files(Check& check) {
    std::set<AccountId> known;
    for (const auto& user : check.users) known.insert(user.id);
    std::error_code error;
    for (std::filesystem::directory_iterator it(check.context.data_dir() / "accounts", error), end;
         !error && it != end; it.increment(error)) {
        if (it->path().extension() != ".db") continue;
        auto stem = it->path().stem();
        if (stem.extension() == ".search") stem = stem.stem();
        auto id = AccountId::from_hex(stem.string());
        if (!id || !known.contains(*id))
            check.add("the file accounts/" + it->path().filename().string() + " belongs to no user");
    }
    if (error) return fail(ErrorKind::temporary, "cannot read the folder accounts: " + error.message());
    return {};
}

// A body that is held and that no message names takes room and harms nobody: a crash came between the two
// files, or one of them is out of a backup. It is told apart, and not if the account could not be asked.
Result<> check_system(Check& check) {
    constexpr std::string_view stray = " is held by nothing in account ";
    for (const auto& problem : TRY(check.context.system.check(check.references))) {
        auto at = problem.find(stray);
        if (at == std::string::npos)
            check.add(problem);
        else if (!check.unread.contains(problem.substr(at + stray.size())))
            ++check.held_by_nothing;
    }
    return {};
}

}  // namespace

Result<json::object> admin_check(AdminContext& context) {
    if (!context.listening.empty())
        return fail(ErrorKind::usage,
                    "the server is running: stop it first, for while mail moves nothing tells a change under "
                    "way from damage");
    Check check{context, TRY(context.system.load_users())};
    for (const auto& user : check.users) check_user(check, user);
    TRY(check_strange_files(check));
    TRY(check_system(check));
    std::ranges::sort(check.bodies);
    auto repeated = std::ranges::unique(check.bodies);
    check.bodies.erase(repeated.begin(), repeated.end());
    auto active = std::ranges::count(check.users, store::UserState::active, &store::User::state);
    return json::object{{"role", role_name(context.identity.role)},
                        {"problems", std::move(check.problems)},
                        {"users", static_cast<std::uint64_t>(active)},
                        {"messages", check.messages},
                        {"bodies", check.bodies.size()},
                        {"held_by_nothing", check.held_by_nothing}};
}

}  // namespace fwmail::service
