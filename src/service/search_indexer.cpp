#include "service/search_indexer.hpp"

#include "base/co_try.hpp"
#include "base/hooks.hpp"
#include "service/search.hpp"
#include "service/search_candidate.hpp"

namespace fwmail::service {
namespace {

using Clock = std::chrono::steady_clock;
using Messages = std::vector<store::Message>;

constexpr std::size_t batch = 100;             // messages whose rows are read together
constexpr std::size_t batch_octets = 4 << 20;  // of texts that are written together
constexpr std::size_t ids_at_once = 5000;
constexpr std::size_t removals_at_once = 50;
// Mail has come to rest when nothing moved for half a second; but it is not waited for longer than this.
constexpr std::chrono::milliseconds rest{500}, longest_wait{10'000};

}  // namespace

net::Task<> SearchIndexer::run() {
    net::Notifier wake(co_await boost::asio::this_coro::executor);
    auto stop = node_.hub.subscribe(AccountId{}, wake);
    node_.hub.attach_indexer(wake);
    std::set<AccountId> accounts;
    auto load = [](store::SystemStore& system) { return system.load_users(); };
    if (auto users = co_await node_.read(store::system_file, load))
        for (const auto& user : *users) accounts.insert(user.id);
    while (!node_.stopping) {
        auto give_up = Clock::now() + longest_wait;
        bool moving = true;
        while (moving && !node_.stopping && Clock::now() < give_up)
            moving = co_await wake.wait(net::deadline_after(rest));
        accounts.merge(node_.hub.take_unindexed());
        accounts.erase(AccountId{});
        for (auto account : accounts) {
            if (node_.stopping) break;
            auto done = co_await catch_up(account);
            if (!done)
                node_.log.error(
                    "search",
                    done.error().text + "; the index stays behind, and searching reads the mail itself");
        }
        accounts.clear();
        if (!node_.stopping) (void)co_await wake.wait();
    }
}

net::Task<Result<>> SearchIndexer::catch_up(AccountId account) {
    CO_TRY(co_await take_out_old(account));
    CO_TRY(co_await add_new(account));
    co_return Result<>();
}

net::Task<Result<SearchIndexer::Batch>> SearchIndexer::read_texts(std::shared_ptr<const Messages> messages,
                                                                  std::size_t first) {
    auto job = [messages, first](store::SystemStore& system) -> Result<Batch> {
        Batch done;
        std::size_t octets = 0;
        auto until = Clock::now() + search_slice;
        for (std::size_t i = first; i < messages->size(); ++i) {
            if (done.messages && (Clock::now() >= until || octets >= batch_octets)) break;
            const auto& message = (*messages)[i];
            if (auto doc = read_search_doc(message, system)) {
                octets += doc->text ? doc->text->size() : 0;
                done.docs.push_back(std::move(*doc));
            }
            done.last = message.storage_id;
            ++done.messages;
        }
        return done;
    };
    co_return co_await node_.read(store::system_file, std::move(job));
}

net::Task<Result<>> SearchIndexer::add_new(AccountId account) {
    auto ask = [](store::SearchStore& index) { return index.mark(); };
    std::int64_t last = CO_TRY(co_await node_.read(store::SearchFile{account}, ask)).last;
    while (!node_.stopping) {
        auto load = [last](store::AccountStore& store) { return store.load_unindexed(last, batch); };
        auto messages = std::make_shared<const Messages>(CO_TRY(co_await node_.read(account, load)));
        if (messages->empty()) break;
        for (std::size_t at = 0; at < messages->size() && !node_.stopping;) {
            auto begin = Clock::now();
            Batch texts = CO_TRY(co_await read_texts(messages, at));
            at += texts.messages;
            last = texts.last;
            crash_point("search.texts-read");
            auto add = [docs = std::move(texts.docs), last](store::SearchStore& index) {
                return index.add(docs, last);
            };
            CO_TRY(co_await node_.write(store::SearchFile{account}, std::move(add)));
            crash_point("search.indexed");
            co_await net::sleep_for(std::min<Clock::duration>(Clock::now() - begin, std::chrono::seconds(1)));
        }
    }
    co_return Result<>();
}

net::Task<Result<>> SearchIndexer::take_out_old(AccountId account) {
    struct Look {
        ModSeq highest;
        bool expunged = false;
    };
    bool first = !swept_.contains(account);
    auto look = [since = swept_[account]](store::AccountStore& store) -> Result<Look> {
        return Look{TRY(store.highest_modseq()), !TRY(store.expunged_since(since, 1)).empty()};
    };
    Look now = CO_TRY(co_await node_.read(account, look));
    store::SearchFile file{account};
    auto ask = [](store::SearchStore& index) { return index.mark(); };
    std::int64_t last = CO_TRY(co_await node_.read(file, ask)).last;
    std::uint64_t kept = 0;
    for (std::int64_t after = 0; (first || now.expunged) && after < last && !node_.stopping;) {
        auto list = [after](store::AccountStore& store) {
            return store.load_storage_ids(after, ids_at_once);
        };
        auto present = CO_TRY(co_await node_.read(account, list));
        std::int64_t up_to = present.size() < ids_at_once ? last : std::min(last, present.back().first);
        for (const auto& [id, object] : present) kept += id <= last;
        for (std::size_t removed = removals_at_once; removed == removals_at_once;) {
            auto remove = [after, up_to, present](store::SearchStore& index) {
                return index.keep_only(after, up_to, present, removals_at_once);
            };
            removed = CO_TRY(co_await node_.write(file, std::move(remove)));
            crash_point("search.removed");
        }
        after = up_to;
    }
    if (first && !node_.stopping) {
        // Messages that it should have and has not: the account's file is another than it was.
        auto count = [](store::SearchStore& index) { return index.count(); };
        if (CO_TRY(co_await node_.read(file, count)) < kept) {
            node_.log.info("search", "the index of account " + account.hex() + " is made anew");
            auto clear = [](store::SearchStore& index) { return index.clear(); };
            CO_TRY(co_await node_.write(file, clear));
        }
    }
    if (!node_.stopping) swept_[account] = now.highest;
    co_return Result<>();
}

}  // namespace fwmail::service
