// COMPRESS (RFC 4978).
#include "imap/session_core.hpp"

namespace fwmail::imap {
namespace {

class Compress : public Command {
  public:
    void start(SessionCore& core) override {
        if (core.compressing)
            return core.no({ErrorKind::refused, "COMPRESSIONACTIVE", "everything is compressed already"});
        // RFC 4978 3: the client waits for the answer. What stands behind could not be told from DEFLATE.
        if (core.framer.buffered() > 0) return core.bad("nothing may follow COMPRESS before its answer");
        core.start_compression();
    }
};

}  // namespace

CommandResult parse_compress(CommandInput& input) {
    TRY(input.parser.space());
    std::string mechanism = TRY(input.parser.word());
    TRY(input.parser.end());
    if (mechanism != "DEFLATE") return fail(ErrorKind::protocol, "there is no compression but DEFLATE");
    return std::make_unique<Compress>();
}

}  // namespace fwmail::imap
