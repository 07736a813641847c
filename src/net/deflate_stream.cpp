#include "net/deflate_stream.hpp"

#include <algorithm>
#include <optional>

#include "base/deflate.hpp"

namespace fwmail::net {
namespace {

constexpr std::size_t most_input = 4 * 1024;  // compressed octets read at once
constexpr std::size_t piece = 16 * 1024;      // compressed at once, so that little lies about
constexpr auto busy_time = std::chrono::seconds(5);

class DeflateStream final : public Stream {
  public:
    explicit DeflateStream(StreamPtr stream) : stream_(std::move(stream)) {}

    Task<Result<std::size_t>> read_some(std::span<char> into, Deadline deadline) override {
        if (into.empty()) co_return fail(ErrorKind::internal, "read into nothing");
        if (next_) {
            into[0] = *std::exchange(next_, std::nullopt);
            auto more = inflater_.read(into.subspan(1));
            // An error is told by the next read.
            co_return 1 + (more ? *more : 0);
        }
        for (;;) {
            auto made = inflater_.read(into);
            if (!made || *made > 0) co_return made;
            auto more = co_await fill(deadline);
            if (!more || !*more) co_return more ? Result<std::size_t>(0) : std::unexpected(more.error());
        }
    }

    Task<Result<>> write_all(std::string_view octets, Deadline deadline) override {
        while (!octets.empty()) {
            if (!deflater_) deflater_ = std::make_unique<Deflater>();
            std::string out = deflater_->add(octets.substr(0, piece));
            octets.remove_prefix(std::min(piece, octets.size()));
            auto written = co_await stream_->write_all(out, deadline);
            if (!written) co_return written;
        }
        co_return Result<>{};
    }

    Task<Wake> wait_readable(Notifier& notifier, Deadline deadline) override {
        bool rested = false;
        for (;;) {
            if (next_ || ended_) co_return Wake::readable;
            char octet;
            auto made = inflater_.read(std::span(&octet, 1));
            if (!made) co_return Wake::readable;  // reading tells the error
            if (*made > 0) next_ = octet;
            if (next_) co_return Wake::readable;
            Deadline patience = rested ? deadline : std::min(deadline, deadline_after(busy_time));
            Wake wake = co_await stream_->wait_readable(notifier, patience);
            if (wake == Wake::notified) co_return wake;
            if (wake == Wake::deadline) {
                if (patience == deadline) co_return wake;
                deflater_.reset();
                inflater_.rest();
                rested = true;
                continue;
            }
            auto more = co_await fill(deadline);
            if (!more || !*more) ended_ = true;  // the next read tells it again
        }
    }

    Task<Result<>> start_tls_server(std::shared_ptr<TlsServer>, Deadline) override { co_return no_tls(); }
    Task<Result<>> start_tls_client(std::shared_ptr<TlsClient>, std::string, Deadline) override {
        co_return no_tls();
    }
    bool tls() const override { return stream_->tls(); }
    std::string tls_summary() const override { return stream_->tls_summary(); }
    std::string peer_certificate_sha256() const override { return stream_->peer_certificate_sha256(); }
    std::string channel_binding(ChannelBinding type) const override { return stream_->channel_binding(type); }
    std::string peer_address() const override { return stream_->peer_address(); }
    bool peer_gone() const override { return stream_->peer_gone(); }
    Task<Result<>> shutdown(Deadline deadline) override { return stream_->shutdown(deadline); }
    void close() override { stream_->close(); }
    Executor executor() const override { return stream_->executor(); }

  private:
    static std::unexpected<Error> no_tls() {
        return fail(ErrorKind::protocol, "TLS cannot begin inside of a compressed stream");
    }
    // False at the end.
    Task<Result<bool>> fill(Deadline deadline) {
        std::string input(most_input, '\0');
        auto got = co_await stream_->read_some(input, deadline);
        if (!got) co_return std::unexpected(got.error());
        input.resize(*got);
        if (*got > 0) inflater_.feed(std::move(input));
        co_return *got > 0;
    }

    StreamPtr stream_;
    std::unique_ptr<Deflater> deflater_;
    Inflater inflater_;
    std::optional<char> next_;  // inflated while waiting
    bool ended_ = false;
};

}  // namespace

StreamPtr make_deflate_stream(StreamPtr stream) { return std::make_unique<DeflateStream>(std::move(stream)); }

}  // namespace fwmail::net
