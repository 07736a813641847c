#include "sync/mailboxes.hpp"

#include <algorithm>
#include <tuple>

namespace fwmail::sync {

namespace {

constexpr std::size_t longest_name = 1000;

// Whether the value of `a` gives way to that of `b`.
bool gives_way(const Stamp& a, const std::string& value, const Stamp& b, const std::string& other) {
    if (value.empty() != other.empty() && a == b) return value.empty();
    return std::tie(a, other) < std::tie(b, value);
}

}  // namespace

MailboxState merge_mailboxes(const MailboxState& a, const MailboxState& b) {
    MailboxState merged = a;
    if (gives_way(a.named, a.name, b.named, b.name)) {
        merged.name = b.name;
        merged.named = b.named;
    }
    if (gives_way(a.used, a.special_use, b.used, b.special_use)) {
        merged.special_use = b.special_use;
        merged.used = b.used;
    }
    merged.deleted = a.deleted || b.deleted;
    return merged;
}

std::string name_beside(std::string_view name, MailboxId id, unsigned again) {
    std::string suffix = " (" + id.hex().substr(24) + (again ? ' ' + std::to_string(again) : "") + ")";
    std::size_t size = std::min(name.size(), longest_name - suffix.size());
    while (size < name.size() && size > 0 && (static_cast<unsigned char>(name[size]) & 0xc0) == 0x80) --size;
    return std::string(name.substr(0, size)) + suffix;
}

MailboxVerdict judge_at_core(const AtCore& here, MailboxId id, const MailboxState& theirs, Stamp stamp) {
    MailboxVerdict verdict;
    if (!here.known) {
        verdict.state = theirs;
        verdict.act = theirs.deleted ? MailboxVerdict::nothing : MailboxVerdict::add;
        if (verdict.act == MailboxVerdict::add && here.same_name) verdict.act = MailboxVerdict::join;
    } else {
        verdict.state = *here.known;
        if (here.known->deleted || (here.is_inbox && theirs.deleted)) return verdict;
        if (theirs.deleted) {
            verdict.act = MailboxVerdict::remove;
            return verdict;
        }
        verdict.state = merge_mailboxes(*here.known, theirs);
        if (here.is_inbox) verdict.state = *here.known;
        if (verdict.state != *here.known) verdict.act = MailboxVerdict::update;
        verdict.own = verdict.state != theirs;
    }
    if (verdict.act == MailboxVerdict::nothing) return verdict;
    if (verdict.act == MailboxVerdict::update && here.same_name && verdict.state.name == theirs.name) {
        verdict.state.name = name_beside(theirs.name, id);
        verdict.state.named = stamp;
        verdict.own = true;
    }
    if (here.use_taken && !verdict.state.special_use.empty() &&
        verdict.state.special_use == theirs.special_use &&
        (!here.known || here.known->special_use != theirs.special_use)) {
        verdict.state.special_use.clear();
        verdict.state.used = stamp;
        verdict.own = true;
    }
    return verdict;
}

Subscription merge_subscriptions(const Subscription& a, const Subscription& b) {
    return std::tie(a.stamp, a.on) < std::tie(b.stamp, b.on) ? b : a;
}

}  // namespace fwmail::sync
