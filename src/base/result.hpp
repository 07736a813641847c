// Results and errors. Errors are values; exceptions mean a bug or no memory.
#pragma once

#include <expected>
#include <string>
#include <type_traits>
#include <utility>

namespace fwmail {

enum class ErrorKind {
    usage,      // the command line or configuration is wrong: exit status 2
    protocol,   // the peer broke the protocol: BAD, 5xx
    refused,    // understood and turned down, for good: NO, 5xx
    temporary,  // may work later: NO, 4xx
    internal,   // our own trouble: full text to the log, a plain sentence to the peer
};

// `text` is one sentence without a full stop: what, where, and what to do. It never holds secrets.
struct Error {
    ErrorKind kind = ErrorKind::internal;
    std::string text;
};

template <class T = void>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(ErrorKind kind, std::string text) {
    return std::unexpected(Error{kind, std::move(text)});
}
inline std::unexpected<Error> fail(Error error) { return std::unexpected(std::move(error)); }

namespace detail {
template <class T>
auto take(std::expected<T, Error>& result) {
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}
}  // namespace detail

}  // namespace fwmail

// TRY(expr) is the value of a Result, or returns its error from the enclosing function. The first error wins.
#define TRY(...)                                                                      \
    ({                                                                                \
        auto try_result_ = (__VA_ARGS__);                                             \
        if (!try_result_) return ::std::unexpected(::std::move(try_result_).error()); \
        ::fwmail::detail::take(try_result_);                                          \
    })
