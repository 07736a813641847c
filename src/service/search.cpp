#include "service/search.hpp"

#include <algorithm>
#include <chrono>

#include "base/co_try.hpp"
#include "service/object_ids.hpp"
#include "service/search_candidate.hpp"

namespace fwmail::service {
namespace {

using Clock = std::chrono::steady_clock;
using Messages = std::vector<store::Message>;

constexpr std::size_t page = 1000;          // rows at a time
constexpr std::size_t page_of_bodies = 64;  // of messages whose structure is needed
constexpr std::int64_t near = 16;           // ids so close are read in one go, with what lies between

enum class Verdict { no, yes, unknown };

// One search under way.
struct Search {
    AccountId account;
    MailboxId mailbox;
    std::shared_ptr<const imap::SearchKey> key;
    std::uint32_t columns = 0;              // that the key looks at
    std::shared_ptr<const IndexView> view;  // null: no index
    std::vector<SearchHit> hits;
    std::function<bool()> gone;

    bool unwanted() const { return gone && gone(); }
};

// What the index has of the messages from `first` on. Their ids lie close
// together, unless they were moved.
Result<IndexedCandidate::Docs> docs_of(store::SearchStore& index, const Messages& messages,
                                       std::size_t first) {
    std::vector<std::int64_t> ids;
    for (std::size_t i = first; i < messages.size(); ++i) ids.push_back(messages[i].storage_id);
    std::ranges::sort(ids);
    IndexedCandidate::Docs docs;
    for (std::size_t i = 0; i < ids.size();) {
        std::size_t end = i + 1;
        while (end < ids.size() && ids[end] - ids[end - 1] < near) ++end;
        auto more = TRY(index.find_between(ids[i], ids[end - 1]));
        docs.insert(docs.end(), more.begin(), more.end());
        i = end;
    }
    return docs;
}

// Judges messages from `first` on by the index until the time is up.
net::Task<Result<std::vector<Verdict>>> judge(Node& node, Search& search,
                                              std::shared_ptr<const Messages> messages, std::size_t first) {
    auto job = [key = search.key, view = search.view, messages,
                first](store::SearchStore& index) -> Result<std::vector<Verdict>> {
        std::vector<Verdict> verdicts;
        if (TRY(index.mark()).epoch != view->mark.epoch) {
            verdicts.resize(messages->size() - first, Verdict::unknown);
            return verdicts;
        }
        auto docs = TRY(docs_of(index, *messages, first));
        auto until = Clock::now() + search_slice;
        for (std::size_t i = first; i < messages->size() && (i == first || Clock::now() < until); ++i) {
            IndexedCandidate candidate((*messages)[i], index, *view, docs);
            bool match = imap::matches(*key, candidate);
            verdicts.push_back(candidate.unanswered() ? Verdict::unknown
                               : match                ? Verdict::yes
                                                      : Verdict::no);
        }
        return verdicts;
    };
    co_return co_await node.read(store::SearchFile{search.account}, std::move(job));
}

// Those of the messages that the index knows, judged; the UIDs of the others.
net::Task<Result<UidSet>> by_index(Node& node, Search& search, std::shared_ptr<const Messages> messages) {
    UidSet unknown;
    for (std::size_t at = 0; at < messages->size();) {
        std::vector<Verdict> verdicts;
        if (search.view) {
            auto judged = co_await judge(node, search, messages, at);
            if (judged) {
                verdicts = std::move(*judged);
            } else {
                node.log.warning("search", judged.error().text + "; the mail itself is searched");
                search.view = nullptr;
            }
        }
        if (search.unwanted()) break;
        if (verdicts.empty()) verdicts.resize(messages->size() - at, Verdict::unknown);
        for (auto verdict : verdicts) {
            const auto& message = (*messages)[at++];
            if (verdict == Verdict::yes) search.hits.push_back({message.uid, message.modseq});
            if (verdict == Verdict::unknown) unknown.add(message.uid.value);
        }
    }
    co_return unknown;
}

// Reads bodies until the time is up; returns how many messages were judged.
net::Task<Result<std::size_t>> read_bodies(Node& node, Search& search,
                                           std::shared_ptr<const Messages> messages, std::size_t first) {
    struct Judged {
        std::vector<SearchHit> hits;
        std::size_t count = 0;
    };
    auto job = [key = search.key, messages, first](store::SystemStore& system) -> Result<Judged> {
        Judged judged;
        auto until = Clock::now() + search_slice;
        for (std::size_t i = first; i < messages->size() && (i == first || Clock::now() < until); ++i) {
            const auto& message = (*messages)[i];
            StoredCandidate candidate(message, system);
            bool match = imap::matches(*key, candidate);
            ++judged.count;
            if (auto read = candidate.result(); !read) {
                // It may have been expunged a moment ago: then it matches nothing.
                if (TRY(system.object_complete(message.object))) return fail(read.error());
            } else if (match) {
                judged.hits.push_back({message.uid, message.modseq});
            }
        }
        return judged;
    };
    auto judged = CO_TRY(co_await node.read(store::system_file, std::move(job)));
    search.hits.insert(search.hits.end(), judged.hits.begin(), judged.hits.end());
    co_return judged.count;
}

// A page of the mailbox, by the ids that clients are shown.
net::Task<Result<Messages>> load_page(Node& node, const Search& search, const UidSet& uids,
                                      std::uint32_t columns, std::size_t page, Uid after) {
    auto load = [mailbox = search.mailbox, uids, columns, page, after](store::AccountStore& account) {
        return account.load_messages(mailbox, uids, columns, page, after);
    };
    auto messages = CO_TRY(co_await node.read(search.account, std::move(load)));
    for (auto& message : messages) message.email_id = shown_email_id(node, message);
    co_return messages;
}

net::Task<Result<>> by_bodies(Node& node, Search& search, UidSet uids) {
    for (Uid after;;) {
        auto rows = CO_TRY(co_await load_page(node, search, uids, search.columns | store::column_parts,
                                              page_of_bodies, after));
        if (rows.empty()) co_return Result<>();
        after = rows.back().uid;
        bool last = rows.size() < page_of_bodies;
        auto messages = std::make_shared<const Messages>(std::move(rows));
        for (std::size_t at = 0; at < messages->size() && !search.unwanted();)
            at += CO_TRY(co_await read_bodies(node, search, messages, at));
        if (last || node.stopping || search.unwanted()) co_return Result<>();
    }
}

void by_rows(Search& search, const Messages& messages) {
    for (const auto& message : messages) {
        class Row final : public RowCandidate {
          public:
            using RowCandidate::RowCandidate;
            std::optional<imap::Day> sent_day() override { return std::nullopt; }
            bool header_contains(std::string_view, std::string_view) override { return false; }
            bool contains_in_body(std::string_view) override { return false; }
            bool contains_in_text(std::string_view) override { return false; }
        } candidate(message);
        if (imap::matches(*search.key, candidate)) search.hits.push_back({message.uid, message.modseq});
    }
}

}  // namespace

net::Task<Result<std::vector<SearchHit>>> search_mailbox(Node& node, AccountId account, MailboxId mailbox,
                                                         imap::SearchKey key, std::function<bool()> gone) {
    std::uint32_t columns = columns_for(key);
    bool octets = columns & store::column_parts;
    columns &= ~store::column_parts;  // the index is asked first
    Search search{account,        mailbox, std::make_shared<const imap::SearchKey>(std::move(key)),
                  columns,        nullptr, {},
                  std::move(gone)};
    if (octets && node.is_core()) {
        auto look = [key = search.key](store::SearchStore& index) { return look_into_index(index, *key); };
        auto view = co_await node.read(store::SearchFile{account}, std::move(look));
        if (view)
            search.view = std::make_shared<const IndexView>(std::move(*view));
        else
            node.log.warning("search", view.error().text + "; the mail itself is searched");
    }
    UidSet all;
    all.add(1, 0xffffffff);
    for (Uid after;;) {
        auto rows = CO_TRY(co_await load_page(node, search, all, search.columns, page, after));
        if (rows.empty()) break;
        after = rows.back().uid;
        bool last = rows.size() < page;
        auto messages = std::make_shared<const Messages>(std::move(rows));
        if (octets) {
            UidSet unknown = CO_TRY(co_await by_index(node, search, messages));
            if (!unknown.empty()) CO_TRY(co_await by_bodies(node, search, std::move(unknown)));
        } else {
            by_rows(search, *messages);
        }
        if (node.stopping) co_return fail(ErrorKind::temporary, "the server is being stopped");
        if (search.unwanted()) co_return fail(ErrorKind::temporary, "the client has gone");
        if (last) break;
    }
    std::ranges::sort(search.hits, {}, &SearchHit::uid);
    co_return std::move(search.hits);
}

}  // namespace fwmail::service
