// fwmail demo: the whole journey on this machine.
#include <cstdio>

#include "roles/client.hpp"
#include "roles/demo_journey.hpp"

namespace fwmail::roles {
namespace {

Result<> demo(const Arguments& arguments) {
    auto words = TRY(parse_words(arguments, {}, {"once", "keep"}));
    if (!words.positional.empty()) return fail(ErrorKind::usage, "unexpected word " + words.positional[0]);
    HeldSignals signals;
    auto folder = TRY(TemporaryFolder::make("fwmail-demo-"));
    if (words.has("keep")) folder.keep();
    std::printf("fwmail demo, in %s\n", folder.path().c_str());
    {
        Journey journey(folder.path(), signals);
        auto result = journey.run();
        if (result && !words.has("once")) {
            journey.print_how_to_look();
            result = journey.watch();
        }
        auto stopped = journey.stop();
        if (result) result = stopped;
        if (!result) {
            journey.print_logs();
            return result;
        }
    }
    std::printf(
        words.has("keep") ? "Both are stopped; %s is kept.\n" : "Both are stopped, and %s is removed.\n",
        folder.path().c_str());
    return {};
}

}  // namespace

int run_demo(const Arguments& arguments) {
    auto result = demo(arguments);
    if (result) return exit_success;
    std::fflush(stdout);
    std::fprintf(stderr, "\n");
    return report("demo", result.error());
}

}  // namespace fwmail::roles
