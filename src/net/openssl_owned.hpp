// OpenSSL's objects with their owner.
#pragma once

#include <memory>

namespace fwmail::net {

template <auto free>
struct FreeWith {
    template <class T>
    void operator()(T* object) const {
        free(object);
    }
};
template <class T, auto free>
using Owned = std::unique_ptr<T, FreeWith<free>>;

// Before anything else of OpenSSL; any number of times.
void openssl_init();

}  // namespace fwmail::net
