#include "support/source_dir.hpp"

namespace fwmail::test {

std::string source_dir() { return FWMAIL_SOURCE_DIR; }

}  // namespace fwmail::test
