// Threads of messages (RFC 5256 3): THREAD=REFERENCES and THREAD=ORDEREDSUBJECT. Pure; nothing recurses, so
// that threads may be as deep as they like, and nothing is quadratic in honest mail.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "base/ids.hpp"
#include "base/sliced_sort.hpp"

namespace fwmail::imap {

enum class ThreadBy { references, ordered_subject };

// Message ids and base subjects as numbers: the same ones are equal, 0 is none.
struct ThreadMessage {
    Uid uid;
    std::int64_t sent = 0;
    std::uint64_t message_id = 0;
    std::uint64_t base_subject = 0;
    bool reply = false;                 // or a forward, by its subject
    std::uint32_t first_reference = 0;  // of ThreadInput::references
    std::uint32_t references = 0;       // how many; the last one is the parent
};
struct ThreadInput {
    std::vector<ThreadMessage> messages;  // by sequence number
    std::vector<std::uint64_t> references;
};

// The threads one after the other, each message before its children.
struct ThreadNode {
    Uid uid;  // 0: a message that is not there, whose children are at least two
    std::uint32_t depth = 0;
    bool operator==(const ThreadNode&) const = default;
};

class Threader {
  public:
    // Without `by_subject` no threads are joined because their subjects agree (step 5 of REFERENCES).
    Threader(ThreadBy by, ThreadInput input, bool by_subject = true);
    Threader(const Threader&) = delete;
    Threader& operator=(const Threader&) = delete;

    // Some of the work; true: it is done.
    bool step();
    std::vector<ThreadNode> take() { return std::move(nodes_); }

  private:
    // A message (by its place in the input) or, behind these, one that is referred to and is not there.
    using Node = std::uint32_t;
    static constexpr Node none = 0xffffffff;
    enum class Phase { ids, link, prune, dates, subjects, write, done };
    struct Id {
        std::uint64_t id;
        std::uint32_t place;  // of a message; of a reference, behind all messages
    };
    struct IdLess {
        bool operator()(const Id& a, const Id& b) const {
            return a.id != b.id ? a.id < b.id : a.place < b.place;
        }
    };
    struct Date {
        std::int64_t sent;
        Node message;
    };
    struct DateLess {
        bool operator()(const Date& a, const Date& b) const {
            return a.sent != b.sent ? a.sent < b.sent : a.message < b.message;
        }
    };

    std::uint32_t messages() const { return static_cast<std::uint32_t>(input_.messages.size()); }
    bool is_dummy(Node node) const { return node >= messages(); }
    void name_nodes();
    Node add_dummy();
    void link_message(Node message);
    void link(Node parent, Node child);
    void unlink(Node child);
    bool is_below(Node node, Node top) const;
    Node next_below(Node node, Node top) const;
    void prune();
    std::vector<Node> roots_by_date() const;
    void join_by_subject();
    void join_group(const std::vector<Node>& roots);
    void thread_by_subject();
    void write();

    ThreadBy by_;
    ThreadInput input_;
    bool by_subject_;
    Phase phase_ = Phase::ids;
    std::vector<Id> ids_;
    SlicedSort<Id, IdLess> sort_ids_{IdLess{}};
    std::vector<Node> referred_;  // the node of each reference
    Node linked_ = 0;             // messages that are linked already
    std::vector<Node> parent_, child_, next_,
        previous_;             // child_: the first one; siblings are chained both ways
    std::vector<Node> moved_;  // of a dummy that is gone: where its children went
    std::vector<Date> dates_;  // all messages, the oldest first
    SlicedSort<Date, DateLess> sort_dates_{DateLess{}};
    std::vector<ThreadNode> nodes_;
};

// All steps at once.
std::vector<ThreadNode> thread(ThreadBy by, ThreadInput input, bool by_subject = true);

}  // namespace fwmail::imap
