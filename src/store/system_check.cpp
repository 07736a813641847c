// Is system.db in order?
#include <map>
#include <set>

#include "store/check.hpp"
#include "store/system_store.hpp"

namespace fwmail::store {
namespace {

Result<void> check_objects(Database& db, Problems& problems) {
    TRY(problems.each(db,
                      "SELECT hex(object) FROM objects o WHERE complete=1 AND "
                      "chunks<>(SELECT count(*) FROM chunks c WHERE c.id>=o.id<<20 AND c.id<(o.id+1)<<20)",
                      "a body lacks chunks or has too many: "));
    TRY(problems.each(db, "SELECT hex(object) FROM objects WHERE complete=1 AND chunks<>(size+262143)/262144",
                      "the size of a body and its chunks disagree: "));
    TRY(problems.each(
        db, "SELECT id FROM chunks c WHERE NOT EXISTS (SELECT 1 FROM objects o WHERE o.id=c.id>>20)",
        "a chunk belongs to no body: "));
    TRY(problems.each(db,
                      "SELECT hex(r.object) FROM object_refs r LEFT JOIN objects o ON o.object=r.object "
                      "WHERE o.complete IS NOT 1",
                      "a body is referenced and not complete: "));
    TRY(problems.each(db,
                      "SELECT hex(q.id) FROM queue q WHERE NOT EXISTS (SELECT 1 FROM object_refs r "
                      "WHERE r.object=q.object AND r.account=zeroblob(16) AND r.hold=q.id)",
                      "a mail in the queue does not hold its body: "));
    TRY(problems.each(db,
                      "SELECT hex(id) FROM queue q WHERE NOT EXISTS "
                      "(SELECT 1 FROM queue_recipients r WHERE r.queue=q.id)",
                      "a mail in the queue has no recipient: "));
    TRY(problems.each(db, "SELECT DISTINCT l.address FROM aliases l JOIN addresses a ON a.address=l.address",
                      "an address is a user's and an alias too: "));
    return problems.each(db,
                         "SELECT hex(hold) FROM object_refs r WHERE account=zeroblob(16) AND NOT EXISTS "
                         "(SELECT 1 FROM queue q WHERE q.id=r.hold AND q.object=r.object)",
                         "a body is held by no mail in the queue: ");
}

}  // namespace

Result<std::vector<std::string>> SystemStore::check(const std::vector<AccountReferences>& accounts) {
    Problems problems;
    TRY(problems.integrity(*db_));
    TRY(check_objects(*db_, problems));

    // Every hold of an account must be known on both sides. Spool rows share theirs with the message to come.
    std::map<AccountId, std::set<Reference>> given, held, known;
    for (const auto& a : accounts) {
        given[a.account].insert(a.references.begin(), a.references.end());
        known[a.account].insert(a.releasing.begin(), a.releasing.end());
    }
    {
        auto q = TRY(db_->query("SELECT account,object,hold FROM object_refs WHERE account<>zeroblob(16)"));
        while (TRY(q.next())) held[q.id<AccountId>(0)].insert({q.id<ObjectId>(1), q.id<HoldId>(2)});
        auto s = TRY(db_->query("SELECT account,object,delivery FROM spool"));
        while (TRY(s.next())) known[s.id<AccountId>(0)].insert({s.id<ObjectId>(1), s.id<HoldId>(2)});
    }
    for (const auto& [account, references] : held)
        for (const auto& r : references)
            if (!given[account].contains(r) && !known[account].contains(r))
                problems.add("the body " + r.object.hex() + " is held by nothing in account " +
                             account.hex());
    for (const auto& [account, references] : given)
        for (const auto& r : references)
            if (!held[account].contains(r))
                problems.add("account " + account.hex() + " names the body " + r.object.hex() +
                             " without holding it");
    return problems.take();
}

}  // namespace fwmail::store
