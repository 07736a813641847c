// Time as a value. Pure code is handed a Clock; only system_clock() asks the kernel.
#pragma once

#include <functional>

#include "base/ids.hpp"

namespace fwmail {

// Wall time, in milliseconds since 1970. With FWMAIL_TEST_HOOKS the seconds in the file that the environment
// variable FWMAIL_CLOCK_OFFSET_FILE names are added.
using Clock = std::function<UnixMillis()>;
Clock system_clock();

}  // namespace fwmail
