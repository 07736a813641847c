// Listening unix sockets as files. For net's own .cpp files, and tests.
#pragma once

#include <sys/stat.h>
#include <sys/un.h>

#include <filesystem>
#include <string>

#include "base/result.hpp"

namespace fwmail::net {

struct UnixPlace {
    std::filesystem::path path;
    mode_t mode = 0600;
    std::string group = {};  // by name or number; empty: the process's
};

struct UnixSocket {
    int fd = -1;  // listens
    struct stat file = {};
};

// A socket that nobody listens on any more is replaced; one in use, or what is no socket, is a usage error.
// Nobody can connect whom `mode` and `group` keep out, not for a moment.
Result<UnixSocket> listen_unix(const UnixPlace& place);
// Unless another one has taken its place since.
void remove_unix(const std::filesystem::path& path, const UnixSocket& socket);

Result<sockaddr_un> unix_address(const std::filesystem::path& path);

}  // namespace fwmail::net
