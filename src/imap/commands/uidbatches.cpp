// UIDBATCHES (RFC 10022): ranges of UIDs that hold so many messages each, from what this session knows.
#include "imap/session_core.hpp"
#include "imap/writer.hpp"

namespace fwmail::imap {
namespace {

constexpr std::uint32_t least_size = 500;  // RFC 10022 3.1: batches must not stand in for sequence numbers

class UidBatches : public Command {
  public:
    UidBatches(std::uint32_t size, std::uint32_t first, std::uint32_t last)
        : size_(size), first_(first), last_(last) {}

    void start(SessionCore& core) override {
        if (size_ < least_size)
            return core.no({ErrorKind::refused, "TOOFEW", "A batch has at least 500 messages"});
        if (core.options.message_limit && size_ > core.options.message_limit)
            return core.no(
                {ErrorKind::refused, core.message_limit_code(), "No command works on so many messages"});
        std::string ranges;
        for (const auto& batch : core.selected->batches(size_, first_, last_ - first_ + 1)) {
            ranges += (ranges.empty() ? " " : ",") + std::to_string(batch.last);
            if (batch.first != batch.last) ranges += ':' + std::to_string(batch.first);
        }
        core.send("* UIDBATCHES (TAG " + write_string(core.tag()) + ')' + ranges + "\r\n");
        core.ok("UIDBATCHES completed");
    }

  private:
    std::uint32_t size_, first_, last_;
};

}  // namespace

// SP nz-number [SP nz-number ":" nz-number]
CommandResult parse_uidbatches(CommandInput& input) {
    Parser& parser = input.parser;
    TRY(parser.space());
    std::uint32_t size = TRY(parser.nz_number()), first = 1, last = 0xffffffff;
    if (parser.accept(' ')) {
        first = TRY(parser.nz_number());
        TRY(parser.expect(':'));
        last = TRY(parser.nz_number());
        if (first > last) return fail(ErrorKind::protocol, "the first batch stands first");
    }
    TRY(parser.end());
    return std::make_unique<UidBatches>(size, first, last);
}

}  // namespace fwmail::imap
