// Named places where a test can make the process die. Nothing of it is in a release build.
#pragma once

#include <string_view>

namespace fwmail {

// With FWMAIL_TEST_HOOKS, and FWMAIL_CRASH=NAME or NAME:N in the environment, the Nth passage (from 1) of the
// point NAME kills the process with SIGKILL. Otherwise nothing.
void crash_point(std::string_view name);

// Whether this is such a build.
bool has_test_hooks();

}  // namespace fwmail
