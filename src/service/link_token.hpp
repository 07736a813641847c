// The short texts that pair two nodes: an invitation, and the answer to it.
#pragma once

#include <string>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "sync/epoch.hpp"

namespace fwmail::service {

struct LinkToken {
    bool answer = false;
    std::string role;  // of the node that made it: core or remote
    NodeId node;
    std::string key;       // crypto::write_compact_key
    std::string address;   // where its node mail goes
    std::string next_hop;  // host:port at which its SMTP can be reached, or empty
    sync::Epoch epoch;
    NodeId nonce;  // of the invitation; the answer repeats it
};

// One word of letters, digits, '-' and '_' behind "fwmail1-", with a checksum.
std::string write_link_token(const LinkToken& token);
// Usage error: not a token, or mistyped.
Result<LinkToken> parse_link_token(std::string_view text);

}  // namespace fwmail::service
