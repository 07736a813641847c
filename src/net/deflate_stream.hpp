// A stream through which everything goes compressed (RFC 4978), over another stream.
#pragma once

#include "net/stream.hpp"

namespace fwmail::net {

// What is written is flushed at the end of each write_all. What comes is inflated piece by piece, as it is
// read: a bomb finds no more room than the reader gives. After some seconds of silence the codecs' memory is
// given back. TLS cannot be started on it.
StreamPtr make_deflate_stream(StreamPtr stream);

}  // namespace fwmail::net
