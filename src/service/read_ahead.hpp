// One piece of work that goes on while its owner does something else, such as sending what came before.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>

#include "service/node.hpp"

namespace fwmail::service {

template <class T>
class ReadAhead {
  public:
    explicit operator bool() const { return state_ != nullptr; }
    // `owner` is where take() will be called. It need not be: then the work ends by itself, so that `work`
    // must own whatever it uses.
    void start(Node& node, net::Executor owner, net::Task<T> work) {
        state_ = std::make_shared<State>(std::move(owner));
        node.runtime.spawn("read-ahead", run(state_, std::move(work)));
    }

    net::Task<T> take() {
        auto state = std::exchange(state_, nullptr);
        bool done = false;
        while (!done) done = co_await state->done.wait();
        std::lock_guard lock(state->mutex);
        if (!state->value) throw std::runtime_error("reading ahead was ended by an exception");
        co_return std::move(*state->value);
    }

  private:
    struct State {
        explicit State(net::Executor owner) : done(std::move(owner)) {}
        net::Notifier done;
        std::mutex mutex;
        std::optional<T> value;
    };
    // Tells the owner, whatever becomes of the work.
    struct Telling {
        State& state;
        ~Telling() { state.done.notify(); }
    };

    static net::Task<> run(std::shared_ptr<State> state, net::Task<T> work) {
        Telling telling{*state};
        T value = co_await std::move(work);
        std::lock_guard lock(state->mutex);
        state->value.emplace(std::move(value));
    }

    std::shared_ptr<State> state_;
};

}  // namespace fwmail::service
