#include "service/sort.hpp"

#include <algorithm>
#include <chrono>

#include "base/co_try.hpp"
#include "mime/sort_keys.hpp"

namespace fwmail::service {
namespace {

using Clock = std::chrono::steady_clock;

// The UIDs that a key admits, if it names UIDs only: then there is nothing to search.
std::optional<UidSet> only_uids(const imap::SearchKey& key) {
    using Kind = imap::SearchKey::Kind;
    UidSet uids;
    uids.add(1, 0xffffffff);
    if (key.kind == Kind::all) return uids;
    if (key.kind == Kind::uids) return key.uids;
    if (key.kind != Kind::conjunction) return std::nullopt;
    for (const auto& child : key.children) {
        auto some = only_uids(child);
        if (!some) return std::nullopt;
        std::uint64_t from = 0;  // what lies between the intervals goes
        for (const auto& i : some->list()) {
            if (i.first > from) uids.remove(static_cast<std::uint32_t>(from), i.first - 1);
            from = std::uint64_t{i.last} + 1;
        }
        if (from <= 0xffffffff) uids.remove(static_cast<std::uint32_t>(from), 0xffffffff);
    }
    return uids;
}

net::Task<Result<UidSet>> find(Node& node, AccountId account, MailboxId mailbox, imap::SearchKey key) {
    if (auto uids = only_uids(key)) co_return std::move(*uids);
    UidSet found;
    for (auto hit : CO_TRY(co_await search_mailbox(node, account, mailbox, std::move(key))))
        found.add(hit.uid.value);
    co_return found;
}

// Collects from each message; Run::add(row) takes one, Run::step() does the work thereafter and says when it
// is done. Each job works for one slice.
template <class Run>
net::Task<Result<>> run_through(Node& node, AccountId account, MailboxId mailbox,
                                std::shared_ptr<const UidSet> uids, std::shared_ptr<Run> run) {
    for (bool done = false; !done && !node.stopping;) {
        auto load = [mailbox, uids, run](store::AccountStore& store) -> Result<bool> {
            auto until = Clock::now() + search_slice;
            return store.visit_keys(mailbox, *uids, run->last, run->with_keys(),
                                    [&](const store::KeyRow& row) -> Result<bool> {
                                        TRY(run->add(row));
                                        run->last = row.uid;
                                        return Clock::now() < until;
                                    });
        };
        done = CO_TRY(co_await node.read(account, load));
    }
    run->loaded();
    for (bool done = false; !done && !node.stopping;) {
        auto work = [run](store::AccountStore&) -> Result<bool> {
            auto until = Clock::now() + search_slice;
            bool finished = false;
            while (!finished && Clock::now() < until) finished = run->step();
            return finished;
        };
        done = CO_TRY(co_await node.read(account, work));
    }
    if (node.stopping) co_return fail(ErrorKind::temporary, "the server is being stopped");
    co_return Result<>();
}

// In the whole seconds that INTERNALDATE shows.
std::int64_t seconds(UnixMillis when) { return when.value / 1000; }

struct SortRun {
    explicit SortRun(std::vector<imap::SortCriterion> criteria) : table(std::move(criteria)) {}

    bool with_keys() const {
        return std::ranges::any_of(table.criteria(), [](const auto& criterion) {
            return criterion.by != imap::SortBy::arrival && criterion.by != imap::SortBy::size;
        });
    }
    Result<> add(const store::KeyRow& row) {
        mime::SortKeys keys;
        if (with) keys = TRY(mime::parse_sort_keys(row.keys));
        values.clear();
        for (const auto& criterion : table.criteria()) values.push_back(value(criterion.by, row, keys));
        table.add(values);
        hits.push_back({row.uid, row.modseq});
        return {};
    }
    static imap::SortValue value(imap::SortBy by, const store::KeyRow& row, const mime::SortKeys& keys) {
        using enum imap::SortBy;
        switch (by) {
            case arrival:
                return {seconds(row.date), {}};
            case date:
                return {keys.sent.value_or(seconds(row.date)), {}};
            case size:
                return {static_cast<std::int64_t>(row.size), {}};
            case cc:
                return {0, keys.text(mime::SortText::cc)};
            case from:
                return {0, keys.text(mime::SortText::from)};
            case subject:
                return {0, keys.text(mime::SortText::subject)};
            case to:
                return {0, keys.text(mime::SortText::to)};
            case display_from:
                return {0, keys.text(mime::SortText::display_from)};
            case display_to:
                return {0, keys.text(mime::SortText::display_to)};
        }
        return {};
    }
    void loaded() {}
    bool step() { return table.step(); }

    imap::SortTable table;
    const bool with = with_keys();
    std::vector<imap::SortValue> values;
    std::vector<SearchHit> hits;
    Uid last;
};

struct ThreadRun {
    ThreadRun(imap::ThreadBy how, bool join) : by(how), by_subject(join) {}

    bool with_keys() const { return true; }
    Result<> add(const store::KeyRow& row) {
        auto keys = TRY(mime::parse_sort_keys(row.keys));
        imap::ThreadMessage message{row.uid,
                                    keys.sent.value_or(seconds(row.date)),
                                    keys.message_id,
                                    keys.base_subject,
                                    keys.reply,
                                    static_cast<std::uint32_t>(input.references.size()),
                                    static_cast<std::uint32_t>(keys.references())};
        if (by == imap::ThreadBy::references)
            for (std::size_t i = 0; i < keys.references(); ++i) input.references.push_back(keys.reference(i));
        input.messages.push_back(message);
        return {};
    }
    void loaded() { threader.emplace(by, std::move(input), by_subject); }
    bool step() { return threader->step(); }

    imap::ThreadBy by;
    bool by_subject;
    imap::ThreadInput input;
    std::optional<imap::Threader> threader;
    Uid last;
};

}  // namespace

net::Task<Result<std::vector<SearchHit>>> sort_mailbox(Node& node, AccountId account, MailboxId mailbox,
                                                       imap::SearchKey key,
                                                       std::vector<imap::SortCriterion> criteria) {
    UidSet found = CO_TRY(co_await find(node, account, mailbox, std::move(key)));
    auto uids = std::make_shared<const UidSet>(std::move(found));
    auto run = std::make_shared<SortRun>(std::move(criteria));
    CO_TRY(co_await run_through(node, account, mailbox, uids, run));
    std::vector<SearchHit> hits;
    hits.reserve(run->hits.size());
    for (std::size_t i = 0; i < run->hits.size(); ++i) hits.push_back(run->hits[run->table.at(i)]);
    co_return hits;
}

net::Task<Result<std::vector<imap::ThreadNode>>> thread_mailbox(Node& node, AccountId account,
                                                                MailboxId mailbox, imap::SearchKey key,
                                                                imap::ThreadBy by) {
    UidSet found = CO_TRY(co_await find(node, account, mailbox, std::move(key)));
    auto uids = std::make_shared<const UidSet>(std::move(found));
    auto run = std::make_shared<ThreadRun>(by, node.is_core());
    CO_TRY(co_await run_through(node, account, mailbox, uids, run));
    co_return run->threader->take();
}

}  // namespace fwmail::service
