#include "base/hooks.hpp"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>

#include "base/clock.hpp"

namespace fwmail {

#ifdef FWMAIL_TEST_HOOKS
bool has_test_hooks() { return true; }

void crash_point(std::string_view name) {
    static const char* wanted = std::getenv("FWMAIL_CRASH");
    if (!wanted) return;
    static std::atomic<long> passages{0};
    std::string_view text = wanted;
    long count = 1;
    if (auto colon = text.find(':'); colon != std::string_view::npos) {
        count = std::atol(wanted + colon + 1);
        text = text.substr(0, colon);
    }
    if (text == name && ++passages == count) kill(getpid(), SIGKILL);
}
#else
bool has_test_hooks() { return false; }
void crash_point(std::string_view) {}
#endif

Clock system_clock() {
    return [] {
        timespec now{};
        clock_gettime(CLOCK_REALTIME, &now);
        std::int64_t ms = now.tv_sec * 1000LL + now.tv_nsec / 1000000;
#ifdef FWMAIL_TEST_HOOKS
        static const char* path = std::getenv("FWMAIL_CLOCK_OFFSET_FILE");
        if (path)
            if (FILE* file = std::fopen(path, "r")) {
                long long seconds = 0;
                if (std::fscanf(file, "%lld", &seconds) == 1) ms += seconds * 1000;
                std::fclose(file);
            }
#endif
        return UnixMillis{ms};
    };
}

}  // namespace fwmail
