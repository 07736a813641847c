// THREAD and UID THREAD (RFC 5256 3, 4).
#include <algorithm>

#include "imap/commands/search_return.hpp"

namespace fwmail::imap {
namespace {

// Whether each node is the only child of its parent.
std::vector<bool> only_children(const std::vector<ThreadNode>& nodes) {
    std::vector<bool> only(nodes.size());
    std::vector<std::size_t> path;  // from a head down to the node before
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        std::uint32_t depth = nodes[i].depth;
        bool sibling = path.size() > depth;
        only[i] = depth > 0 && !sibling;
        if (sibling) only[path[depth]] = false;
        path.resize(depth);
        path.push_back(i);
    }
    return only;
}

class ThreadCommand : public Command {
  public:
    ThreadCommand(ThreadBy by, SearchKey key, bool uid) : by_(by), key_(std::move(key)), uid_(uid) {}

    void start(SessionCore& core) override {
        if (!prepare_search(core, key_, TooMany::refuse)) return;
        // What the client has not been told of would leave a gap in its thread.
        SearchKey known;
        known.kind = SearchKey::Kind::conjunction;
        known.children.resize(2);
        known.children[0].kind = SearchKey::Kind::uids;
        if (Uid last = core.selected->last_uid(); last != Uid{}) known.children[0].uids.add(1, last.value);
        known.children[1] = std::move(key_);
        core.ask(Thread{std::move(known), by_});
    }

    void on_reply(SessionCore& core, Reply& reply) override {
        const auto* threads = std::get_if<Threads>(&reply);
        auto numbers = threads ? numbers_of(core, threads->nodes) : std::nullopt;
        if (!numbers) return core.unexpected(reply);
        send(core, threads->nodes, *numbers);
        core.ok("THREAD completed", uid_ ? News::if_changed : News::never);
    }

  private:
    // 0 for a message that is not there.
    std::optional<std::vector<std::uint32_t>> numbers_of(const SessionCore& core,
                                                         const std::vector<ThreadNode>& nodes) const {
        std::vector<std::uint32_t> numbers;
        for (const auto& node : nodes) {
            if (uid_ || node.uid == Uid{}) {
                numbers.push_back(node.uid.value);
                continue;
            }
            auto number = core.selected->seq_of(node.uid);
            if (!number) return std::nullopt;
            numbers.push_back(number->value);
        }
        return numbers;
    }
    // thread-list = "(" (thread-members / thread-nested) ")": an only child follows its parent, several
    // children stand in parentheses each.
    static void send(SessionCore& core, const std::vector<ThreadNode>& nodes,
                     const std::vector<std::uint32_t>& numbers) {
        std::vector<bool> only = only_children(nodes), open;  // `open`: by depth, what has to be closed
        std::string out = nodes.empty() ? "* THREAD" : "* THREAD ";
        auto close_to = [&](std::uint32_t depth) {
            for (; open.size() > depth; open.pop_back()) out += open.back() ? ")" : "";
        };
        for (std::size_t i = 0; i < nodes.size(); ++i) {
            close_to(nodes[i].depth);
            bool below = i > 0 && nodes[i - 1].depth < nodes[i].depth && numbers[i - 1];
            if (below) out += ' ';
            if (!only[i]) out += '(';
            if (numbers[i]) out += std::to_string(numbers[i]);
            open.push_back(!only[i]);
        }
        close_to(0);
        core.send(out + "\r\n");
    }

    ThreadBy by_;
    SearchKey key_;
    bool uid_;
};

}  // namespace

CommandResult parse_thread(CommandInput& input) {
    TRY(input.parser.space());
    std::string algorithm = TRY(input.parser.word());
    if (algorithm != "REFERENCES" && algorithm != "ORDEREDSUBJECT")
        return fail(ErrorKind::protocol, "unknown threading algorithm");
    TRY(input.parser.space());
    SearchKey key = TRY(input.parser.charset_search_keys());
    return std::make_unique<ThreadCommand>(
        algorithm == "REFERENCES" ? ThreadBy::references : ThreadBy::ordered_subject, std::move(key),
        input.uid);
}

}  // namespace fwmail::imap
