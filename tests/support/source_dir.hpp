// Where the sources lie: the tests' own files, and scripts that generate some.
#pragma once

#include <string>

namespace fwmail::test {

// Absolute, without a slash at the end.
std::string source_dir();

}  // namespace fwmail::test
