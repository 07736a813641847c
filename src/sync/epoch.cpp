#include "sync/epoch.hpp"

#include <cinttypes>
#include <cstdio>

namespace fwmail::sync {

std::string Epoch::text() const {
    if (is_none()) return "none";
    char text[48];
    std::snprintf(text, sizeof text, "%" PRIu64 "/%016" PRIx64, counter, random);
    return text;
}

}  // namespace fwmail::sync
