#include "base/log.hpp"

#include <time.h>
#include <unistd.h>

#include <cstdio>

#include "base/utf8.hpp"

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
    while (!text.empty()) {
        // C1 control characters too: some terminals obey them. What is no UTF-8 goes octet by octet.
        char32_t code = 0;
        std::string_view before = text;
        bool good = take_utf8(text, code) && code >= 0x20 && (code < 0x7f || code >= 0xa0);
        std::size_t size = good || text.size() < before.size() ? before.size() - text.size() : 1;
        text = before.substr(size);
        for (char c : before.substr(0, size)) {
            char escaped[8];
            std::snprintf(escaped, sizeof escaped, "\\x%02x", static_cast<unsigned char>(c));
            if (good)
                line += c;
            else
                line += escaped;
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
