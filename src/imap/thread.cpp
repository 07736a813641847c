#include "imap/thread.hpp"

#include <algorithm>

namespace fwmail::imap {
namespace {

constexpr std::uint32_t links_at_once = 4096;

}  // namespace

Threader::Threader(ThreadBy by, ThreadInput input, bool by_subject)
    : by_(by), input_(std::move(input)), by_subject_(by_subject) {
    parent_.assign(messages(), none);
    dates_.reserve(messages());
    for (Node i = 0; i < messages(); ++i) dates_.push_back({input_.messages[i].sent, i});
    if (by_ == ThreadBy::ordered_subject) {
        phase_ = Phase::dates;
        return;
    }
    ids_.reserve(messages() + input_.references.size());
    for (Node i = 0; i < messages(); ++i)
        if (auto id = input_.messages[i].message_id) ids_.push_back({id, i});
    for (std::size_t i = 0; i < input_.references.size(); ++i)
        ids_.push_back({input_.references[i], messages() + static_cast<std::uint32_t>(i)});
}

bool Threader::step() {
    switch (phase_) {
        case Phase::ids:
            if (!sort_ids_.step(ids_)) return false;
            name_nodes();
            phase_ = Phase::link;
            return false;
        case Phase::link:
            for (Node end = std::min(messages(), linked_ + links_at_once); linked_ < end; ++linked_)
                link_message(linked_);
            if (linked_ == messages()) phase_ = Phase::prune;
            return false;
        case Phase::prune:
            prune();
            phase_ = Phase::dates;
            return false;
        case Phase::dates:
            if (sort_dates_.step(dates_)) phase_ = Phase::subjects;
            return false;
        case Phase::subjects:
            if (by_ == ThreadBy::ordered_subject)
                thread_by_subject();
            else if (by_subject_)
                join_by_subject();
            phase_ = Phase::write;
            return false;
        case Phase::write:
            write();
            phase_ = Phase::done;
            return true;
        case Phase::done:
            return true;
    }
    return true;
}

// Gives each reference the message that has this id, the first of several, or one dummy for all that name it.
void Threader::name_nodes() {
    child_ = next_ = previous_ = parent_;
    referred_.assign(input_.references.size(), none);
    for (std::size_t i = 0; i < ids_.size();) {
        Node node = ids_[i].place < messages() ? ids_[i].place : add_dummy();
        std::uint64_t id = ids_[i].id;
        for (; i < ids_.size() && ids_[i].id == id; ++i)
            if (ids_[i].place >= messages()) referred_[ids_[i].place - messages()] = node;
    }
    ids_ = {};
}

Threader::Node Threader::add_dummy() {
    for (auto* list : {&parent_, &child_, &next_, &previous_}) list->push_back(none);
    return static_cast<Node>(parent_.size() - 1);
}

// Step 1.
void Threader::link_message(Node message) {
    const auto& row = input_.messages[message];
    const Node* nodes = referred_.data() + row.first_reference;
    // (A): a link that is there already stays, as References may be shortened.
    for (std::uint32_t i = 1; i < row.references; ++i)
        if (parent_[nodes[i]] == none && !is_below(nodes[i - 1], nodes[i])) link(nodes[i - 1], nodes[i]);
    // (B): the last one is certainly the parent; a message without references has none.
    Node last = row.references ? nodes[row.references - 1] : none;
    if (parent_[message] == last) return;
    if (parent_[message] != none) unlink(message);
    if (last != none && !is_below(last, message)) link(last, message);
}

void Threader::link(Node parent, Node child) {
    parent_[child] = parent;
    next_[child] = child_[parent];
    previous_[child] = none;
    if (next_[child] != none) previous_[next_[child]] = child;
    child_[parent] = child;
}

void Threader::unlink(Node child) {
    if (previous_[child] == none)
        child_[parent_[child]] = next_[child];
    else
        next_[previous_[child]] = next_[child];
    if (next_[child] != none) previous_[next_[child]] = previous_[child];
    parent_[child] = next_[child] = previous_[child] = none;
}

// Whether `node` is `top` or below it. Looked at from both ends at once, from the node upwards and from the
// top through all that is below, so that the shorter way decides: else a long chain under which small threads
// are hung one after the other would cost quadratic time.
bool Threader::is_below(Node node, Node top) const {
    Node up = node, down = top;
    while (up != none && down != none) {
        if (up == top || down == node) return true;
        up = parent_[up];
        down = next_below(down, top);
    }
    return false;
}

// What comes after `node` when all below `top` is walked through, parents first.
Threader::Node Threader::next_below(Node node, Node top) const {
    if (child_[node] != none) return child_[node];
    while (node != top && next_[node] == none) node = parent_[node];
    return node == top ? none : next_[node];
}

// Steps 2 and 3: a dummy stays only as the head of a thread that has no other, with two children at least.
// From here on only parent_ counts.
void Threader::prune() {
    std::vector<Node> above(parent_.size(), none);  // of each dummy: what its children hang under
    std::vector<std::uint32_t> children(parent_.size(), 0);
    std::vector<Node> parent(parent_.size(), none);
    for (Node top = 0; top < parent_.size(); ++top) {
        if (parent_[top] != none) continue;
        for (Node node = top; node != none; node = next_below(node, top)) {
            Node given = parent_[node];
            Node under = given == none || !is_dummy(given) ? given : above[given];
            if (is_dummy(node)) {
                above[node] = under == none ? node : under;
                continue;
            }
            parent[node] = under;
            if (under != none) ++children[under];
        }
    }
    for (Node node = 0; node < messages(); ++node)
        if (parent[node] != none && is_dummy(parent[node]) && children[parent[node]] == 1)
            parent[node] = none;
    parent_ = std::move(parent);
    child_ = next_ = previous_ = referred_ = {};
}

// Step 4: the heads of threads, a dummy by the date of its first child.
std::vector<Threader::Node> Threader::roots_by_date() const {
    std::vector<Node> roots;
    std::vector<bool> seen(parent_.size(), false);
    for (const auto& date : dates_) {
        Node root = parent_[date.message] == none ? date.message : parent_[date.message];
        if (root != date.message && !is_dummy(root)) continue;
        if (!seen[root]) roots.push_back(root);
        seen[root] = true;
    }
    return roots;
}

// Step 5.
void Threader::join_by_subject() {
    std::vector<Node> roots = roots_by_date();
    std::vector<Node> first_child(parent_.size(), none);  // of dummies
    for (const auto& date : dates_) {
        Node parent = parent_[date.message];
        if (parent != none && is_dummy(parent) && first_child[parent] == none)
            first_child[parent] = date.message;
    }
    std::vector<std::pair<std::uint64_t, std::uint32_t>> by_subject;
    for (std::uint32_t i = 0; i < roots.size(); ++i) {
        Node speaker = is_dummy(roots[i]) ? first_child[roots[i]] : roots[i];
        if (auto subject = input_.messages[speaker].base_subject) by_subject.emplace_back(subject, i);
    }
    std::ranges::sort(by_subject);
    moved_.assign(parent_.size(), none);
    for (std::size_t i = 0; i < by_subject.size();) {
        std::vector<Node> group;
        std::uint64_t subject = by_subject[i].first;
        for (; i < by_subject.size() && by_subject[i].first == subject; ++i)
            group.push_back(roots[by_subject[i].second]);
        join_group(group);
    }
    for (Node node = 0; node < messages(); ++node) {
        Node parent = parent_[node];
        if (parent < moved_.size() && moved_[parent] != none) parent_[node] = moved_[parent];
    }
}

// Threads of one subject, the oldest first.
void Threader::join_group(const std::vector<Node>& roots) {
    auto reply = [&](Node node) { return !is_dummy(node) && input_.messages[node].reply; };
    // (B): the one that the others go to.
    Node chosen = roots[0];
    for (Node root : roots)
        if (!is_dummy(chosen) && (is_dummy(root) || (reply(chosen) && !reply(root)))) chosen = root;
    // (C)
    const Node skipped = chosen;
    for (Node root : roots) {
        if (root == skipped) continue;
        if (is_dummy(chosen) && is_dummy(root)) {
            moved_[root] = chosen;
        } else if (is_dummy(chosen) || (reply(root) && !reply(chosen))) {
            parent_[root] = chosen;
        } else {
            Node dummy = static_cast<Node>(parent_.size());
            parent_.push_back(none);
            parent_[root] = parent_[chosen] = dummy;
            chosen = dummy;
        }
    }
}

// Below the first message of a subject lie all others.
void Threader::thread_by_subject() {
    std::vector<std::pair<std::uint64_t, std::uint32_t>> by_subject;
    for (std::uint32_t i = 0; i < dates_.size(); ++i)
        by_subject.emplace_back(input_.messages[dates_[i].message].base_subject, i);
    std::ranges::sort(by_subject);
    for (std::size_t i = 1, first = 0; i < by_subject.size(); ++i) {
        if (by_subject[i].first != by_subject[first].first)
            first = i;
        else
            parent_[dates_[by_subject[i].second].message] = dates_[by_subject[first].second].message;
    }
}

// Step 6: children are filed by date, so each set of siblings is in order.
void Threader::write() {
    std::vector<std::uint32_t> begin(parent_.size() + 1, 0);
    for (Node node = 0; node < messages(); ++node)
        if (parent_[node] != none) ++begin[parent_[node] + 1];
    for (std::size_t i = 1; i < begin.size(); ++i) begin[i] += begin[i - 1];
    std::vector<Node> children(begin.back());
    std::vector<std::uint32_t> filled(begin.begin(), begin.end() - 1);
    for (const auto& date : dates_)
        if (Node parent = parent_[date.message]; parent != none) children[filled[parent]++] = date.message;
    std::vector<std::pair<Node, std::uint32_t>> waiting;
    nodes_.reserve(parent_.size());
    for (Node root : roots_by_date()) {
        waiting.emplace_back(root, 0);
        while (!waiting.empty()) {
            auto [node, depth] = waiting.back();
            waiting.pop_back();
            nodes_.push_back({is_dummy(node) ? Uid{} : input_.messages[node].uid, depth});
            for (std::uint32_t i = begin[node + 1]; i-- > begin[node];)
                waiting.emplace_back(children[i], depth + 1);
        }
    }
}

std::vector<ThreadNode> thread(ThreadBy by, ThreadInput input, bool by_subject) {
    Threader threader(by, std::move(input), by_subject);
    while (!threader.step()) {
    }
    return threader.take();
}

}  // namespace fwmail::imap
