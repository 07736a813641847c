// Links to other nodes, and the log of what was refused.
#include "store/database.hpp"
#include "store/system_store.hpp"

namespace fwmail::store {
namespace {

constexpr std::string_view select_by_peer =
    "SELECT "
    "peer,name,role,state,own_address,peer_address,next_hop,peer_certificate,own_epoch,peer_epoch,created,"
    "last_sent,last_received,mails_sent,mails_received,mails_refused,last_error FROM links WHERE peer=?";
constexpr std::string_view select_by_name =
    "SELECT "
    "peer,name,role,state,own_address,peer_address,next_hop,peer_certificate,own_epoch,peer_epoch,created,"
    "last_sent,last_received,mails_sent,mails_received,mails_refused,last_error FROM links WHERE name=?";
constexpr std::string_view select_all =
    "SELECT "
    "peer,name,role,state,own_address,peer_address,next_hop,peer_certificate,own_epoch,peer_epoch,created,"
    "last_sent,last_received,mails_sent,mails_received,mails_refused,last_error FROM links ORDER BY name";

Link read_link(const Query& q) {
    Link link;
    link.peer = q.id<NodeId>(0);
    link.name = q.text(1);
    link.role = q.text(2);
    link.state = q.enumerator<LinkState>(3);
    link.own_address = q.text(4);
    link.peer_address = q.text(5);
    link.next_hop = q.text(6);
    link.peer_certificate = q.text(7);
    link.own_epoch = q.text(8);
    link.peer_epoch = q.text(9);
    link.created = q.time(10);
    link.last_sent = q.optional_time(11);
    link.last_received = q.optional_time(12);
    link.mails_sent = q.natural(13);
    link.mails_received = q.natural(14);
    link.mails_refused = q.natural(15);
    link.last_error = q.text(16);
    return link;
}

Result<std::optional<Link>> one_link(Query q) {
    if (!TRY(q.next())) return std::nullopt;
    return read_link(q);
}

}  // namespace

Result<void> SystemStore::save_link(const Link& link) {
    auto done = db_->run(
        "INSERT INTO links(peer,name,role,state,own_address,peer_address,next_hop,peer_certificate,own_epoch,"
        "peer_epoch,created) VALUES(?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT(peer) DO UPDATE SET "
        "name=excluded.name,"
        "role=excluded.role,state=excluded.state,own_address=excluded.own_address,peer_address=excluded.peer_"
        "address,"
        "next_hop=excluded.next_hop,peer_certificate=excluded.peer_certificate,own_epoch=excluded.own_epoch,"
        "peer_epoch=excluded.peer_epoch,created=excluded.created",
        link.peer, link.name, link.role, link.state, link.own_address, link.peer_address, link.next_hop,
        Blob{link.peer_certificate}, Blob{link.own_epoch}, Blob{link.peer_epoch}, link.created);
    if (!done && done.error().kind == ErrorKind::refused)
        return fail(ErrorKind::refused, "there is a link " + link.name + " already");
    return done;
}

Result<void> SystemStore::remove_link(NodeId peer) {
    return db_->run("DELETE FROM links WHERE peer=?", peer);
}

Result<std::optional<Link>> SystemStore::find_link(NodeId peer) {
    return one_link(TRY(db_->query(select_by_peer, peer)));
}

Result<std::optional<Link>> SystemStore::find_link(std::string_view name) {
    return one_link(TRY(db_->query(select_by_name, name)));
}

Result<std::vector<Link>> SystemStore::load_links() {
    auto q = TRY(db_->query(select_all));
    std::vector<Link> links;
    while (TRY(q.next())) links.push_back(read_link(q));
    return links;
}

Result<void> SystemStore::note_link_mail(NodeId peer, LinkEvent event, UnixMillis when,
                                         std::string_view error) {
    switch (event) {
        case LinkEvent::sent:
            return db_->run("UPDATE links SET mails_sent=mails_sent+1,last_sent=?,last_error=? WHERE peer=?",
                            when, error, peer);
        case LinkEvent::received:
            return db_->run(
                "UPDATE links SET mails_received=mails_received+1,last_received=?,last_error=? WHERE peer=?",
                when, error, peer);
        case LinkEvent::refused:
            return db_->run(
                "UPDATE links SET mails_refused=mails_refused+1,last_error=iif(?1='',last_error,?1) WHERE "
                "peer=?2",
                error, peer);
        case LinkEvent::deferred:
            return db_->run("UPDATE links SET last_error=? WHERE peer=?", error, peer);
    }
    return {};
}

Result<void> SystemStore::add_refusal(UnixMillis when, std::string_view what, std::string_view reason) {
    // What a stranger sent ends up here: bounded.
    constexpr std::size_t longest = 500;
    return atomically(*db_, [&]() -> Result<void> {
        TRY(db_->run("INSERT INTO refusals(happened,what,reason) VALUES(?,?,?)", when,
                     what.substr(0, longest), reason.substr(0, longest)));
        return db_->run("DELETE FROM refusals WHERE id<=?", db_->last_rowid() - 1000);
    });
}

Result<std::vector<Refusal>> SystemStore::load_refusals(std::size_t limit) {
    auto q = TRY(db_->query("SELECT happened,what,reason FROM refusals ORDER BY id DESC LIMIT ?", limit));
    std::vector<Refusal> refusals;
    while (TRY(q.next())) refusals.push_back({q.time(0), q.text(1), q.text(2)});
    return refusals;
}

}  // namespace fwmail::store
