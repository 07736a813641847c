// At a remote: numbers that it has given to messages itself, until core says what became of them.
//
// Invariants: what core says of a number that it has not confirmed is of another message, which is never
// shown here, or comes again: nothing but its confirmation is applied to it. Nor is anything
// said of such a number, since core would take it for its own message's: no flags, no expunge, no copy. A
// number that was given up is known for a day, so that whoever was told of it finds the message. A message
// of such a number outlives its mailbox, unseen: core, which has deleted that, may never have had it.
#pragma once

#include "store/account_store.hpp"

namespace fwmail::store {

// `body`: what is to go home for it; zero: nothing. Its reference was taken in system.db before.
Result<void> note_provisional(AccountStore& account, const Place& place, EmailId email, Reference body,
                              UnixMillis now);
// What is to go home for this number: zero where nothing is, or nobody wants it any more. Nothing: core has
// confirmed the number.
Result<std::optional<Reference>> find_home_body(AccountStore& account, const Place& place);
// A client has expunged these: what was to go home for them, and for nothing else, need not.
Result<void> drop_unwanted_bodies(AccountStore& account, MailboxId mailbox, const UidSet& uids);
// A client has expunged these, which core has not confirmed: it hears of it then.
Result<void> note_expunged(AccountStore& account, MailboxId mailbox, const UidSet& uids);
// `place` was copied from `from`, which is not confirmed: its request waits for that.
Result<void> hold_request(AccountStore& account, const Place& place, const Place& from,
                          std::string_view request);
// Those of these numbers that core has not confirmed.
Result<UidSet> unconfirmed(AccountStore& account, MailboxId mailbox, const UidSet& among);
// How many messages core has announced that are not shown yet, and how many of these numbers there are.
struct Waiting {
    std::uint64_t bodies = 0, unconfirmed = 0;
    std::optional<UnixMillis> latest;  // when core last spoke of something that it is still to send
};
Result<Waiting> summarize_waiting(AccountStore& account);
struct Confirmed {
    bool expunged = false;  // core is to hear of that now
    bool leaves = false;    // its message is in another mailbox
    struct Request {
        Place place;
        std::string octets;
    };
    std::vector<Request> requests;  // that waited for this
};
// What core has made of a number. Where it is another one the message comes anew, and stays until then: in
// the same mailbox for given_up() to name. Nothing: it is confirmed already, or was never given.
Result<std::optional<Confirmed>> confirm(AccountStore& account, const Place& place, const Place& now_at,
                                         UnixMillis now);
// What has another number in this mailbox than it was given here, whether it has come under that one or not.
struct GivenUp {
    Uid given;
    bool leaving;  // it is still there, and has come under the other one, or will not
};
Result<std::vector<GivenUp>> given_up(AccountStore& account, MailboxId mailbox);
// All numbers of the mailbox that were given up, wherever the messages are.
Result<UidSet> all_given_up(AccountStore& account, MailboxId mailbox);
// Of what has another number in this mailbox, those whose message is in it under that one.
Result<std::vector<UidPair>> successors(AccountStore& account, MailboxId mailbox);
// `uids` as they are now: a session names a number until it has been told that the message has another one.
Result<UidSet> follow_successors(AccountStore& account, MailboxId mailbox, UidSet uids);
// Whatever is known of the number is forgotten: it is as core's.
Result<void> forget_provisional(AccountStore& account, const Place& place);
// What a client has expunged before core gave it another number goes under that one too: core may have lost
// the request.
Result<void> expunge_successors(AccountStore& account);
// Numbers that core has acknowledged and not confirmed, and so may have lost: they are told like all others.
// `requested`: those whose request is still in the outbox. Returns those that a client has expunged, which
// core is to hear.
Result<std::vector<Place>> forget_unsettled(AccountStore& account, const std::vector<Place>& requested);
// Those that were given up before this time.
Result<void> forget_successors(AccountStore& account, UnixMillis before);

}  // namespace fwmail::store
