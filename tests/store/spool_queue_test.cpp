// The spool with its duplicate guard, and the queue with its leases.
#include "support.hpp"

using namespace fwmail;
using namespace fwmail::store;
using namespace fwmail::store::test;

namespace {

SpoolRequest request(std::uint64_t n, std::string digest = {}) {
    SpoolRequest r;
    r.object = id_of<ObjectId>(n);
    r.content = "Subject: " + std::to_string(n) + "\r\n\r\n";
    r.digest = std::move(digest);
    r.now = at(0);
    r.repeat_since = at(-86400);
    for (std::uint64_t account : {1, 2}) {
        SpoolRow row;
        row.delivery = id_of<DeliveryId>(n * 10 + account);
        row.account = id_of<AccountId>(account);
        row.email_id = id_of<EmailId>(n);
        row.received = at(0);
        row.envelope_sender = "a@example.org";
        row.texts = {"e", "b", "s", std::string("\0p", 2), std::string("\0k", 2), "h"};
        row.size = 15;
        row.flags = flags("\\Flagged $Junk");
        r.rows.push_back(row);
    }
    return r;
}

QueueItem item(std::uint64_t n, int priority = 0) {
    QueueItem i;
    i.id = id_of<QueueId>(n);
    i.object = id_of<ObjectId>(n);
    i.sender = "a@example.org";
    i.created = at(static_cast<std::int64_t>(n));
    i.expires = at(9999);
    i.priority = priority;
    i.next_attempt = at(10);
    i.recipients = {{"b@example.org"}, {"c@example.org"}};
    return i;
}

}  // namespace

TEST_CASE("a spooled message is there with its body and taken up once") {
    TempDir dir;
    auto store = must(SystemStore::open(dir.path));
    CHECK(must(store->spool_message(request(1, std::string(32, 'd')))) == Spooled::stored);
    CHECK(must(store->spool_message(request(2, std::string(32, 'd')))) == Spooled::repeated);
    CHECK(!must(store->find_object(id_of<ObjectId>(2))));
    // Nor does one stay that was too large to be kept until the end.
    must(store->put_object(id_of<ObjectId>(2), "written before", t0));
    CHECK(must(store->spool_message(request(2, std::string(32, 'd')))) == Spooled::repeated);
    CHECK(!must(store->find_object(id_of<ObjectId>(2))));
    CHECK(must(store->spool_message(request(3, std::string(32, 'e')))) == Spooled::stored);
    CHECK(must(store->accounts_with_spool()).size() == 2);
    auto rows = must(store->load_spool(id_of<AccountId>(1), 10));
    REQUIRE(rows.size() == 2);
    CHECK(rows[0].delivery == id_of<DeliveryId>(11));
    CHECK(rows[0].object == id_of<ObjectId>(1));
    CHECK(rows[0].mailbox == "INBOX");
    CHECK(rows[0].texts.parts == std::string("\0p", 2));
    CHECK(rows[0].texts.keys == std::string("\0k", 2));
    CHECK(rows[0].texts.header == "h");
    CHECK(rows[0].flags == flags("\\Flagged $Junk"));
    CHECK(must(store->find_object(id_of<ObjectId>(1)))->references == 2);
    CHECK(must(store->check({})).empty());

    // Taken up: the account holds the body now.
    must(store->delete_spool({id_of<DeliveryId>(11), id_of<DeliveryId>(31)}));
    AccountReferences taken{
        id_of<AccountId>(1),
        {{id_of<ObjectId>(1), id_of<HoldId>(11)}, {id_of<ObjectId>(3), id_of<HoldId>(31)}},
        {}};
    CHECK(must(store->check({taken})).empty());

    must(store->prune_digests(at(1)));
    CHECK(!must(store->seen_within(std::string(32, 'd'), at(-86400))));
}

TEST_CASE("the duplicate guard forgets with time and needs a digest") {
    TempDir dir;
    auto store = must(SystemStore::open(dir.path));
    must(store->spool_message(request(1)));
    CHECK(must(store->spool_message(request(2))) == Spooled::stored);
    must(store->spool_message(request(3, "digest")));
    auto later = request(4, "digest");
    later.now = at(100'000);
    later.repeat_since = at(100'000 - 86400);
    CHECK(must(store->spool_message(later)) == Spooled::stored);
    // The same deliveries once more, as after a lost answer without a guard: nothing doubles.
    must(store->spool_message(request(1)));
    CHECK(must(store->load_spool(id_of<AccountId>(1), 10)).size() == 4);
}

TEST_CASE("a spooling that fails leaves nothing") {
    TempDir dir;
    auto store = must(SystemStore::open(dir.path));
    auto r = request(1, "digest");
    r.content.reset();  // and the object was never written
    CHECK(!store->spool_message(r));
    CHECK(must(store->accounts_with_spool()).empty());
    CHECK(!must(store->seen_within("digest", at(-1))));
}

TEST_CASE("the queue hands out each mail once, the urgent first") {
    TempDir dir;
    auto store = must(SystemStore::open(dir.path));
    CHECK(must(store->enqueue(item(1), "one")));
    CHECK(!must(store->enqueue(item(1), "other")));
    CHECK(must(store->enqueue(item(2, 5), "second")));
    CHECK(must(store->enqueue(item(3), "three")));
    must(store->set_held(id_of<QueueId>(3), true));
    CHECK(!store->set_held(id_of<QueueId>(9), true));
    CHECK(must(store->next_due_time()) == at(10));
    CHECK(must(store->due(at(9), at(100), 10)).empty());

    auto due = must(store->due(at(10), at(100), 10));
    REQUIRE(due.size() == 2);
    CHECK(due[0].id == id_of<QueueId>(2));
    CHECK(due[0].size == 6);
    CHECK(due[0].recipients.size() == 2);
    CHECK(must(store->due(at(50), at(200), 10)).empty());
    CHECK(must(store->next_due_time()) == at(100));

    auto done = due[0].recipients[0];
    done.state = RecipientState::delivered;
    done.attempts = 1;
    done.last_reply = "250 ok";
    must(store->update_recipients(due[0].id, {done}));
    must(store->reschedule(due[0].id, at(60)));
    due = must(store->due(at(60), at(200), 10));
    REQUIRE(due.size() == 1);
    CHECK(due[0].recipients.size() == 2);  // what became of each, so that nobody is forgotten in the end
    CHECK(must(store->find_queue_item(due[0].id))->recipients[0].last_reply == "250 ok");

    // A lease does not outlive the process.
    store.reset();
    store = must(SystemStore::open(dir.path));
    CHECK(must(store->due(at(60), at(200), 10)).size() == 2);
    // Nor does one that has lapsed block anything.
    CHECK(must(store->due(at(200), at(300), 1)).size() == 1);

    auto sum = must(store->queue_summary(NodeId{}));
    CHECK(sum.count == 3);
    CHECK(sum.octets == 14);
    CHECK(sum.oldest == at(1));
    CHECK(must(store->load_queue(2)).size() == 2);
    CHECK(must(store->check({})).empty());
    must(store->remove(id_of<QueueId>(1)));
    must(store->remove(id_of<QueueId>(1)));
    CHECK(!must(store->find_object(id_of<ObjectId>(1))));
    CHECK(!must(store->find_queue_item(id_of<QueueId>(1))));
    CHECK(must(store->check({})).empty());
}

TEST_CASE("one body serves spool and queue") {
    TempDir dir;
    auto store = must(SystemStore::open(dir.path));
    must(store->spool_message(request(1)));
    CHECK(must(store->enqueue(item(1))));
    must(store->remove(id_of<QueueId>(1)));
    CHECK(must(store->find_object(id_of<ObjectId>(1)))->references == 2);
    CHECK(!store->enqueue(item(2)));  // no such body
    CHECK(must(store->load_queue(10)).empty());
}
