// UIDBATCHES (RFC 10022): ranges of UIDs that hold so many messages each, from what this session knows. That
// costs little, so asking again too soon (3.1.1) and for more than 100,000 messages (3.1.5) is not refused.
#include "imap/session_core.hpp"
#include "imap/writer.hpp"

namespace fwmail::imap {
namespace {

constexpr std::uint32_t least_size =
    500;  // RFC 10022 3.1.3.2: batches must not stand in for sequence numbers

class UidBatches : public Command {
  public:
    UidBatches(std::uint32_t size, std::uint32_t first, std::uint32_t last)
        : size_(size), first_(first), last_(last) {}

    void start(SessionCore& core) override {
        if (size_ < least_size)
            return core.no({ErrorKind::refused, "TOOFEW", "A batch has at least 500 messages"});
        if (first_ > last_) return core.bad("the first batch stands first", "CLIENTBUG");  // 3.1.5
        std::string ranges;
        // uid-range (RFC 9051 9) has two ends, also where they are the same.
        for (const auto& batch : core.selected->batches(size_, first_, last_ - first_ + 1)) {
            ranges +=
                (ranges.empty() ? " " : ",") + std::to_string(batch.last) + ':' + std::to_string(batch.first);
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
    }
    TRY(parser.end());
    return std::make_unique<UidBatches>(size, first, last);
}

}  // namespace fwmail::imap
