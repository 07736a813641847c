#include "crypto/inflate.hpp"

#include <cryptopp/simple.h>
#include <cryptopp/zinflate.h>
#include <cryptopp/zlib.h>

#include "crypto/octets.hpp"
#include "crypto/packet.hpp"

namespace fwmail::crypto {

namespace {

// Crypto++ reports by exceptions only: an error of ours crosses it as one, and is caught in run().
struct Stop {
    Error error;
};

class OutputSink : public CryptoPP::Bufferless<CryptoPP::Sink> {
  public:
    OutputSink(std::uint64_t limit, Inflater::Output output) : left_(limit), output_(std::move(output)) {}

    std::size_t Put2(const CryptoPP::byte* octets, std::size_t count, int message_end, bool) override {
        if (count > 0) {
            // Crypto++ hands on unchanged whatever follows the compressed data.
            // QUIRK(sq): it hides the size of a message by padding there.
            if (ended) return 0;
            if (count > left_) throw Stop{{ErrorKind::protocol, "OpenPGP: the compressed data is too large"}};
            left_ -= count;
            auto result = output_({reinterpret_cast<const char*>(octets), count});
            if (!result) throw Stop{std::move(result).error()};
        }
        if (message_end) ended = true;
        return 0;
    }

    bool ended = false;

  private:
    std::uint64_t left_;
    Inflater::Output output_;
};

}  // namespace

struct Inflater::State {
    OutputSink* sink = nullptr;  // owned by `filter`
    std::unique_ptr<CryptoPP::BufferedTransformation> filter;
    std::unique_ptr<OutputSink> plain;  // for algorithm 0
};

Inflater::Inflater(std::unique_ptr<State> state) : state_(std::move(state)) {}
Inflater::Inflater(Inflater&&) noexcept = default;
Inflater& Inflater::operator=(Inflater&&) noexcept = default;
Inflater::~Inflater() = default;

Result<Inflater> Inflater::start(std::uint8_t algorithm, std::uint64_t limit, Output output) {
    if (algorithm > 2)
        return fail(ErrorKind::protocol, "OpenPGP: the compression is one that is not supported (BZip2)");
    auto state = std::make_unique<State>();
    auto sink = std::make_unique<OutputSink>(limit, std::move(output));
    state->sink = sink.get();
    if (algorithm == 0)
        state->plain = std::move(sink);
    else if (algorithm == 1)
        state->filter = std::make_unique<CryptoPP::Inflator>(sink.release());
    else
        state->filter = std::make_unique<CryptoPP::ZlibDecompressor>(sink.release());
    return Inflater(std::move(state));
}

template <class Work>
static Result<> run(Work work) {
    try {
        work();
    } catch (Stop& stop) {
        return fail(std::move(stop.error));
    } catch (const CryptoPP::Exception&) {
        return bad_openpgp("the compressed data is damaged");
    }
    return {};
}

Result<> Inflater::feed(std::string_view octets) {
    return run([&] {
        if (state_->plain)
            state_->plain->Put2(bytes(octets), octets.size(), 0, true);
        else
            state_->filter->Put(bytes(octets), octets.size());
    });
}

Result<> Inflater::finish() {
    if (state_->plain) return {};
    TRY(run([&] { state_->filter->MessageEnd(); }));
    if (!state_->sink->ended) return bad_openpgp("the compressed data is cut off");
    return {};
}

}  // namespace fwmail::crypto
