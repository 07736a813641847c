#include "base/log.hpp"

#include <time.h>
#include <unistd.h>

#include <cstdio>

namespace fwmail {

void Log::write(LogLevel level, std::string_view area, std::string_view text) {
    if (level < least_) return;
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    tm parts{};
    gmtime_r(&now.tv_sec, &parts);
    char head[64];
    static constexpr const char* names[] = {"debug", "info", "warning", "error"};
    std::snprintf(head, sizeof head, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ %s ", parts.tm_year + 1900,
                  parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                  now.tv_nsec / 1000000, names[static_cast<int>(level)]);
    std::string line = head;
    line += area;
    line += ": ";
    for (char c : text) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
            char escaped[8];
            std::snprintf(escaped, sizeof escaped, "\\x%02x", static_cast<unsigned char>(c));
            line += escaped;
        } else {
            line += c;
        }
    }
    line += '\n';
    std::lock_guard lock(mutex_);
    std::string_view rest = line;
    while (!rest.empty()) {
        ssize_t written = ::write(fd_, rest.data(), rest.size());
        if (written <= 0) return;  // a full or closed log must not stop the mail
        rest.remove_prefix(static_cast<std::size_t>(written));
    }
}

}  // namespace fwmail
