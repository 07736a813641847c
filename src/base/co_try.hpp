// TRY for coroutines.
#pragma once

#include "base/result.hpp"

// CO_TRY(co_await f()) is the value of a Result, or ends the enclosing coroutine with its error. Use it as a
// statement of its own or on the right of a declaration, never inside a larger expression.
#define CO_TRY(...)                                                                      \
    ({                                                                                   \
        auto try_result_ = (__VA_ARGS__);                                                \
        if (!try_result_) co_return ::std::unexpected(::std::move(try_result_).error()); \
        ::fwmail::detail::take(try_result_);                                             \
    })
