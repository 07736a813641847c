// What FETCH needs more of a body than its octets: decoded parts (RFC 3516) and previews (RFC 8970).
#include <algorithm>
#include <utility>

#include "base/co_try.hpp"
#include "service/mailbox_service.hpp"
#include "service/preview.hpp"

namespace fwmail::service {
namespace {

constexpr std::uint64_t small =
    64 * 1024;  // what comes out and is kept; more is decoded again while it is sent

}  // namespace

// Runs through the range once: how much comes out within `wanted`, and whether a NUL is among it.
net::Task<Result<MailboxService::Decoded>> MailboxService::decode(imap::ObjectRange range,
                                                                  imap::Partial wanted) {
    Decoded result;
    mime::TransferDecoder decoder(range.encoding);
    std::uint64_t at = 0;  // octets that have come out
    auto take = [&](std::string_view octets) {
        std::uint64_t skip =
            std::min<std::uint64_t>(wanted.offset > at ? wanted.offset - at : 0, octets.size());
        at += octets.size();
        octets.remove_prefix(skip);
        octets = octets.substr(0, std::min<std::uint64_t>(octets.size(), wanted.length - result.octets));
        result.octets += octets.size();
        result.nul |= octets.find('\0') != std::string_view::npos;
        if (result.text.size() <= small) result.text += octets.substr(0, small + 1 - result.text.size());
    };
    while (range.length && result.octets < wanted.length) {
        std::uint64_t want = std::min<std::uint64_t>(range.length, store::chunk_size);
        auto job = [object = range.object, offset = range.offset, want](store::SystemStore& system) {
            return system.read_object(object, offset, want);
        };
        std::string octets = CO_TRY(co_await node_.read(store::system_file, job));
        if (octets.size() != want)
            co_return fail(ErrorKind::internal, "a stored message is shorter than its size says");
        std::string out;
        decoder.feed(octets, out);
        take(out);
        range.offset += want;
        range.length -= want;
    }
    std::string rest;
    if (!range.length) decoder.finish(rest);
    take(rest);
    co_return result;
}

// The lengths of literals must be known before they begin: each binary section is run through once, and small
// ones are kept.
net::Task<Result<>> MailboxService::decode_pieces(imap::FetchBatch& batch) {
    const auto& sections = fetch_->request->items.sections;
    for (auto& row : batch.rows)
        for (std::size_t s = 0; s < sections.size(); ++s) {
            auto& data = row.sections[s];
            if (!sections[s].binary || !data || data->empty()) continue;
            auto range = std::get<imap::ObjectRange>(data->front());
            auto wanted = sections[s].partial.value_or(imap::Partial{0, ~std::uint64_t{}});
            auto decoded = CO_TRY(co_await decode(range, wanted));
            if (decoded.octets <= small) {
                data->front() = std::move(decoded.text);
                continue;
            }
            range.nul = decoded.nul;
            range.skip = wanted.offset;
            range.decoded = decoded.octets;
            if (range.encoding == mime::TransferEncoding::identity) {
                range.offset += std::exchange(range.skip, 0);
                range.length = decoded.octets;
            }
            data->front() = range;
        }
    co_return Result<>();
}

// BINARY.SIZE. A part that is not there has none (RFC 3516 4.2 leaves open what to say).
net::Task<Result<>> MailboxService::measure(imap::FetchBatch& batch, std::vector<imap::SectionData> parts) {
    std::size_t each = fetch_->request->items.binary_sizes.size();
    for (std::size_t i = 0; i < parts.size(); ++i) {
        std::uint64_t octets = 0;
        if (parts[i] && !parts[i]->empty()) {
            auto range = std::get<imap::ObjectRange>(parts[i]->front());
            octets = range.length;
            if (range.encoding != mime::TransferEncoding::identity)
                octets = CO_TRY(co_await decode(range, {0, ~std::uint64_t{}})).octets;
        }
        batch.rows[i / each].binary_sizes.push_back(octets);
    }
    co_return Result<>();
}

// One read for a batch. What is sealed shows nothing, and is not looked at.
net::Task<Result<>> MailboxService::add_previews(imap::FetchBatch& batch,
                                                 std::vector<PreviewSource> sources) {
    if (!node_.is_core()) co_return Result<>();
    auto job = [sources](store::SystemStore& system) -> Result<std::vector<std::string>> {
        std::vector<std::string> texts;
        for (const auto& source : sources)
            texts.push_back(
                source.length
                    ? preview_of(source, TRY(system.read_object(source.object, source.offset, source.length)))
                    : std::string());
        return texts;
    };
    auto texts = CO_TRY(co_await node_.read(store::system_file, std::move(job)));
    for (std::size_t i = 0; i < texts.size(); ++i) batch.rows[i].preview = std::move(texts[i]);
    co_return Result<>();
}

}  // namespace fwmail::service
