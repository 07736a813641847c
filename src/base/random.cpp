#include "base/random.hpp"

#include <sys/random.h>

#include <cerrno>
#include <cstdlib>

namespace fwmail {

void fill_random(std::span<std::uint8_t> out) {
    while (!out.empty()) {
        ssize_t got = getrandom(out.data(), out.size(), 0);
        if (got < 0) {
            if (errno == EINTR) continue;
            std::abort();  // a kernel without getrandom: nothing sensible can follow
        }
        out = out.subspan(static_cast<std::size_t>(got));
    }
}

std::string random_octets(std::size_t count) {
    std::string out(count, '\0');
    fill_random({reinterpret_cast<std::uint8_t*>(out.data()), out.size()});
    return out;
}

}  // namespace fwmail
