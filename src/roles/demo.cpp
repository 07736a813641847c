#include "roles/command.hpp"

namespace fwmail::roles {
int run_demo(const Arguments&) { return report("demo", {ErrorKind::usage, "not there yet"}); }
}  // namespace fwmail::roles
