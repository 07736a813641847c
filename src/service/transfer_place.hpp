// Where import reads and export writes, as it is given on the command line. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "config/host_port.hpp"

namespace fwmail::service {

struct TransferPlace {
    enum class Kind { maildir, mbox, mboxo, eml, imap, imaps } kind = Kind::maildir;
    std::string path;  // of the first four
    config::HostPort server;
    std::string user;

    bool is_server() const { return kind == Kind::imap || kind == Kind::imaps; }
    // The same for ever for the same place: names it in the account.
    std::string name() const;
};
// `maildir:PATH`, `mbox:PATH`, `mboxo:PATH`, `eml:PATH`, `imaps://USER@HOST[:PORT]`, `imap://...`. In USER,
// `%40` and the like stand for octets.
Result<TransferPlace> parse_transfer_place(std::string_view text);

}  // namespace fwmail::service
