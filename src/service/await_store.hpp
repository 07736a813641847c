// Store work from coroutines: the job runs on a store thread, the coroutine goes on on its own executor.
#pragma once

#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#include "net/runtime.hpp"
#include "store/executor.hpp"

namespace fwmail::service {

template <class Key>
struct StoreOf {
    using Type = store::AccountStore;
};
template <>
struct StoreOf<store::SystemFile> {
    using Type = store::SystemStore;
};
template <>
struct StoreOf<store::SearchFile> {
    using Type = store::SearchStore;
};

// `job` is a Result<T>(SystemStore&) for store::system_file, a Result<T>(AccountStore&) for an AccountId, a
// Result<T>(SearchStore&) for a SearchFile. The
// result is there when the commit is durable. `octets`: about how much is written.
template <class Key, class Job>
auto store_write(store::Executor& executor, Key key, Job job, std::size_t octets = 0)
    -> net::Task<std::invoke_result_t<Job&, typename StoreOf<Key>::Type&>> {
    using Store = typename StoreOf<Key>::Type;
    using R = std::invoke_result_t<Job&, Store&>;
    auto shared = std::make_shared<Job>(std::move(job));
    std::function<void(std::function<void(R)>)> start = [&executor, key, shared,
                                                         octets](std::function<void(R)> done) {
        executor.write(
            key, [shared](Store& store) -> R { return (*shared)(store); }, std::move(done), octets);
    };
    co_return co_await net::async_from_callback<R>(std::move(start));
}

template <class Key, class Job>
auto store_read(store::Executor& executor, Key key, Job job)
    -> net::Task<std::invoke_result_t<Job&, typename StoreOf<Key>::Type&>> {
    using Store = typename StoreOf<Key>::Type;
    using R = std::invoke_result_t<Job&, Store&>;
    auto shared = std::make_shared<Job>(std::move(job));
    std::function<void(std::function<void(R)>)> start = [&executor, key,
                                                         shared](std::function<void(R)> done) {
        executor.read(key, [shared](Store& store) -> R { return (*shared)(store); }, std::move(done));
    };
    co_return co_await net::async_from_callback<R>(std::move(start));
}

}  // namespace fwmail::service
