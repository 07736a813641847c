// A small file, replaced whole or not at all.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string_view>

#include "base/result.hpp"

namespace fwmail {

// Written beside, as PATH.new, synced, and renamed; durable when it returns. The error is of kind usage where
// no file can be made there, else temporary.
Result<> replace_file(const std::filesystem::path& path, std::string_view octets, mode_t mode = 0600);

}  // namespace fwmail
