#include "service/sealed_mail.hpp"

#include <algorithm>
#include <charconv>

#include "base/encoding.hpp"
#include "crypto/hash.hpp"
#include "mime/fields.hpp"
#include "mime/header.hpp"
#include "service/foreign_sealed.hpp"

namespace fwmail::service {
namespace {

constexpr std::size_t header_limit = 256 * 1024;  // a longer header is carried as part of a whole message
constexpr std::size_t root_limit = 1024 * 1024;   // header_limit, HP-Outer fields and the like
constexpr std::size_t outer_limit = 256 * 1024;   // the outer header of a packed object
constexpr std::size_t read_size = 256 * 1024;

// In the place of the outer header's length: a user's own sealed mail follows, behind its EmailId.
constexpr std::string_view as_it_is_mark = "\xff\xff\xff\xff";
constexpr std::size_t email_octets = 16;

constexpr std::string_view outer_fields[] = {"From",       "To",           "Cc",          "Date",
                                             "Message-ID", "In-Reply-To",  "References",  "Subject",
                                             "FWMail-Id",  "MIME-Version", "Content-Type"};

// Lines end at LF; each field is handed over with its continuation lines. Nothing where a line is no field.
std::optional<std::vector<std::string_view>> split_fields(std::string_view header) {
    std::vector<std::string_view> fields;
    std::size_t at = 0;
    while (at < header.size()) {
        std::size_t newline = header.find('\n', at);
        if (newline == std::string_view::npos) return std::nullopt;
        std::string_view line = header.substr(at, newline + 1 - at);
        if (line[0] == ' ' || line[0] == '\t') {
            if (fields.empty()) return std::nullopt;
            fields.back() = {fields.back().data(), fields.back().size() + line.size()};
        } else {
            std::size_t colon = line.find(':');
            if (colon == 0 || colon == std::string_view::npos) return std::nullopt;
            for (char c : line.substr(0, colon))
                if (c < 33 || c > 126) return std::nullopt;
            fields.push_back(line);
        }
        if (fields.size() > 5000) return std::nullopt;
        at = newline + 1;
    }
    return fields;
}

// The length of the header with the empty line that ends it, or nothing where the octets hold no empty line.
std::optional<std::size_t> header_length(std::string_view octets) {
    std::size_t at = 0;
    while (at < octets.size()) {
        if (octets[at] == '\n') return at + 1;
        if (octets.substr(at).starts_with("\r\n")) return at + 2;
        std::size_t newline = octets.find('\n', at);
        if (newline == std::string_view::npos) return std::nullopt;
        at = newline + 1;
    }
    return std::nullopt;
}

bool is_structural(std::string_view field) {
    std::string name = ascii_lower(field.substr(0, field.find(':')));
    return name.starts_with("content-") || name == "mime-version";
}

// How the message is wrapped: `before` + its octets from `body_offset` on + `after` is what gets encrypted.
struct Wrap {
    std::string before, after;
    std::uint64_t body_offset = 0;
};

// Fields that the root has of its own, after those of the message; ends where its first part's header begins.
std::string root_end(std::string_view outer, std::string_view restore, std::string_view boundary) {
    std::string out;
    // RFC 9788 2.2: what the outside said, so that a reply knows what was confidential.
    for (auto field :
         split_fields(outer.substr(0, outer.size() - 2)).value_or(std::vector<std::string_view>{}))
        if (!is_structural(field) && !field.starts_with("FWMail-")) (out += "HP-Outer: ") += field;
    (((out += "FWMail-Restore: ") += restore) += "\r\n");
    out += "Content-Type: multipart/mixed; protected-headers=\"v1\"; hp=\"cipher\";\r\n boundary=\"";
    return (((out += boundary) += "\"\r\n\r\n--") += boundary) += "\r\n";
}

std::optional<Wrap> wrap_fields(std::string_view header, std::string_view outer, std::string_view boundary) {
    std::string_view fields_text = header;
    fields_text.remove_suffix(header.ends_with("\r\n") ? 2 : 1);
    auto fields = split_fields(fields_text);
    if (!fields) return std::nullopt;
    Wrap wrap;
    std::string moved, positions;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < fields->size(); ++i) {
        if (is_structural((*fields)[i])) {
            moved += (*fields)[i];
            if (!positions.empty()) positions += ',';
            positions += std::to_string(i);
        } else {
            wrap.before += (*fields)[i];
            ++kept;
        }
    }
    if (positions.size() > 800) return std::nullopt;
    wrap.before +=
        root_end(outer,
                 "fields=" + std::to_string(kept) + "; end=" + (header.ends_with("\r\n") ? "crlf" : "lf") +
                     "; moved=" + positions,
                 boundary);
    (wrap.before += moved) += "\r\n";
    wrap.body_offset = header.size();
    return wrap;
}

// The fields that outer header and a regenerated root share, from whatever the message has. 7-bit and
// bounded.
std::string regenerate_fields(std::string_view header, std::initializer_list<std::string_view> names) {
    mime::HeaderView fields(header);
    std::string out;
    for (auto name : names)
        if (const auto* field = fields.find(name)) out += mime::sanitize_field(name, field->value);
    return out;
}

// For a header that cannot be split and put together again: the message goes in as it is, as an attached one.
Wrap wrap_whole(std::string_view header, std::string_view outer, std::string_view boundary) {
    Wrap wrap;
    wrap.before = regenerate_fields(
        header, {"From", "To", "Cc", "Date", "Subject", "Message-ID", "In-Reply-To", "References"});
    wrap.before += root_end(outer, "whole", boundary);
    wrap.before += "Content-Type: message/rfc822\r\n\r\n";
    return wrap;
}

std::string outer_header(std::string_view header, const SealOrder& order, std::string_view boundary) {
    std::string out = order.outer == OuterHeader::ordinary
                          ? regenerate_fields(header, {"From", "To", "Cc", "Date", "Message-ID",
                                                       "In-Reply-To", "References"})
                          : regenerate_fields(header, {"Date"});
    out += "Subject: ...\r\nFWMail-Id: " + order.email_id.hex() + "\r\nMIME-Version: 1.0\r\n";
    out += "Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\";\r\n boundary=\"";
    return (out += boundary) += "\"\r\n\r\n";
}

std::string first_parts(std::string_view boundary) {
    std::string b(boundary);
    return "--" + b + "\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n--" + b +
           "\r\nContent-Type: application/octet-stream; name=\"encrypted.asc\"\r\n"
           "Content-Disposition: inline; filename=\"encrypted.asc\"\r\n\r\n";
}

std::string be32(std::uint32_t v) {
    return {static_cast<char>(v >> 24), static_cast<char>(v >> 16), static_cast<char>(v >> 8),
            static_cast<char>(v)};
}

// RFC 5322 2.1.1: lines of at most 998 octets, all of them plain, each ended by CRLF.
bool has_plain_lines(std::string_view header) {
    while (!header.empty()) {
        std::size_t end = header.find("\r\n");
        if (end > 998) return false;  // or there is none
        for (char c : header.substr(0, end))
            if ((c < 32 && c != '\t') || c > 126) return false;
        header.remove_prefix(end + 2);
    }
    return true;
}

// The seed's uses are kept apart, so that a boundary says nothing of a key.
std::string derived_boundary(const Octets32& seed, std::string_view use) {
    auto octets = crypto::hkdf_sha256({reinterpret_cast<const char*>(seed.data()), seed.size()}, use, 16);
    return "=_" + hex_encode(octets.view());
}

// Feeds `wrap` around the message's body to `sink`, in pieces. `head`: how the message begins.
Result<> stream_inner(const MessageSource& original, std::string_view head, const Wrap& wrap,
                      const std::string& closing, const Sink& sink) {
    TRY(sink(wrap.before));
    std::uint64_t at =
        std::max<std::uint64_t>(wrap.body_offset, std::min<std::uint64_t>(head.size(), original.size));
    TRY(sink(head.substr(wrap.body_offset, static_cast<std::size_t>(at - wrap.body_offset))));
    while (at < original.size) {
        auto want = static_cast<std::size_t>(std::min<std::uint64_t>(read_size, original.size - at));
        std::string piece = TRY(original.read(at, want));
        if (piece.size() != want)
            return fail(ErrorKind::internal, "a stored message is shorter than its size says");
        at += want;
        TRY(sink(piece));
        wipe(piece);
    }
    return sink(closing);
}

struct WipedAtEnd {
    std::string& octets;
    ~WipedAtEnd() { wipe(octets); }
};

// Whether two streams of octets are the same, where the first runs ahead of the second by a little.
class Comparison {
  public:
    ~Comparison() { wipe(ahead_); }
    void given(std::string_view octets) {
        ahead_.erase(0, std::exchange(compared_, 0));
        ahead_ += octets;
    }
    void restored(std::string_view octets) {
        equal_ &= std::string_view(ahead_).substr(compared_).starts_with(octets);
        compared_ = std::min(compared_ + octets.size(), ahead_.size());
    }
    bool same() const { return equal_ && compared_ == ahead_.size(); }

  private:
    std::string ahead_;  // given, and not restored yet but for the first `compared_`
    std::size_t compared_ = 0;
    bool equal_ = true;
};

}  // namespace

MessageSource source_of(std::string_view octets) {
    return {octets.size(), [octets](std::uint64_t offset, std::size_t length) -> Result<std::string> {
                if (offset >= octets.size()) return std::string();
                return std::string(octets.substr(static_cast<std::size_t>(offset), length));
            }};
}

Result<SealedInfo> seal_mail(const MessageSource& original, const crypto::PublicKey& recipient,
                             const SealOrder& order, const Sink& packed) {
    std::string head =
        TRY(original.read(0, static_cast<std::size_t>(std::min<std::uint64_t>(original.size, header_limit))));
    WipedAtEnd wiped{head};
    auto length = header_length(head);
    std::string_view header = std::string_view(head).substr(0, length.value_or(head.size()));
    std::string inner_boundary = derived_boundary(order.seed, "inner boundary");
    std::string outer_boundary = derived_boundary(order.seed, "outer boundary");
    std::string outer = outer_header(header, order, outer_boundary);
    if (outer.size() > outer_limit)
        return fail(ErrorKind::refused, "the header's addresses and references are too large to seal");
    std::optional<Wrap> wrap = length ? wrap_fields(header, outer, inner_boundary) : std::nullopt;
    if (!wrap) wrap = wrap_whole(header, outer, inner_boundary);
    std::string closing = "\r\n--" + inner_boundary + "--\r\n";

    // Three things watch what is made: the unpacker, as the remote will; the restorer and the comparison, to
    // prove that the message comes back whole.
    SealedUnpacker unpacker({recipient.encryption_key_id()}, [](std::string_view) { return Result<>(); });
    Result<> result;
    auto hand_on = [&](std::string_view octets) {
        if (result) result = unpacker.feed(octets);
        if (result) result = packed(octets);
    };
    Comparison comparison;
    Restorer restorer([&](std::string_view octets) -> Result<> {
        comparison.restored(octets);
        return {};
    });
    if (wrap->body_offset) comparison.given(header);

    hand_on(be32(static_cast<std::uint32_t>(outer.size())));
    hand_on(outer);
    crypto::SealOptions options;
    options.seed = crypto::hkdf_sha256({reinterpret_cast<const char*>(order.seed.data()), order.seed.size()},
                                       "openpgp", crypto::seed_size);
    // INTERNALDATE reaches further than OpenPGP's four octets of seconds; the same each time, whatever it is.
    options.date = UnixMillis{std::clamp<std::int64_t>(order.date.value, 1000, 0xffffffffll * 1000)};
    options.plain_size = wrap->before.size() + (original.size - wrap->body_offset) + closing.size();
    auto sealer = TRY(crypto::Sealer::start({&recipient, 1}, options, hand_on));
    std::uint64_t fed = 0;
    TRY(stream_inner(original, head, *wrap, closing, [&](std::string_view octets) -> Result<> {
        if (fed >= wrap->before.size() && fed + closing.size() < options.plain_size) comparison.given(octets);
        fed += octets.size();
        TRY(restorer.feed(octets));
        TRY(sealer.feed(octets));
        return result;
    }));
    TRY(sealer.finish());
    TRY(std::move(result));
    auto info = TRY(unpacker.finish());
    TRY(restorer.finish());
    if (!comparison.same())
        return fail(ErrorKind::refused, "the sealed form would not restore this message exactly");
    return info;
}

Result<SealedInfo> pack_as_it_is(const MessageSource& source, EmailId email, const Sink& packed) {
    SealedInfo info{source.size, {}, size_as_it_is(source.size)};
    crypto::Sha256 hash;
    TRY(packed(head_as_it_is(email)));
    for (std::uint64_t at = 0; at < source.size;) {
        auto want = static_cast<std::size_t>(std::min<std::uint64_t>(read_size, source.size - at));
        std::string piece = TRY(source.read(at, want));
        if (piece.size() != want)
            return fail(ErrorKind::internal, "a stored message is shorter than its size says");
        at += want;
        hash.update(piece);
        TRY(packed(piece));
    }
    info.sha256 = hash.finish();
    return info;
}

std::string head_as_it_is(EmailId email) { return std::string(as_it_is_mark) + std::string(email.octets()); }

std::uint64_t size_as_it_is(std::uint64_t size) { return as_it_is_mark.size() + email_octets + size; }

// --- unpacking

SealedUnpacker::SealedUnpacker(std::vector<crypto::KeyId> allowed_keys, Sink octets)
    : sink_(std::move(octets)), allowed_(std::move(allowed_keys)), checker_(allowed_) {}

void SealedUnpacker::emit(std::string_view octets) {
    hash_.update(octets);
    info_.size += octets.size();
    if (sink_result_) sink_result_ = sink_(octets);
}

Result<> SealedUnpacker::feed(std::string_view packed) {
    info_.packed_size += packed.size();
    if (in_packets_) return take_packets(packed);
    head_ += packed;
    if (head_.size() < 4) return {};
    as_it_is_ |= head_.starts_with(as_it_is_mark);
    if (as_it_is_ && head_.size() > size_as_it_is(largest_appended))
        return fail(ErrorKind::protocol, "a sealed mail is too large");
    if (as_it_is_) return {};
    std::size_t length = 0;
    for (int i = 0; i < 4; ++i)
        length = length << 8 | static_cast<unsigned char>(head_[static_cast<std::size_t>(i)]);
    if (length > outer_limit)
        return fail(ErrorKind::protocol, "the outer header of a sealed object is too long");
    if (head_.size() < 4 + length) return {};
    TRY(take_header(std::string_view(head_).substr(4, length)));
    in_packets_ = true;
    std::string rest = head_.substr(4 + length);
    head_.clear();
    return take_packets(rest);
}

Result<> SealedUnpacker::take_packets(std::string_view octets) {
    TRY(checker_.feed(octets));
    armor_->feed(octets);
    return sink_result_;
}

// Only what core writes: fields of the list, in its order, each once, 7-bit.
Result<> SealedUnpacker::take_header(std::string_view header) {
    auto bad = [](std::string_view what) {
        return fail(ErrorKind::protocol, "not a sealed object: " + std::string(what));
    };
    if (!has_plain_lines(header)) return bad("its outer header is not plain text");
    if (!header.ends_with("\r\n\r\n")) return bad("its outer header has no end");
    auto fields = split_fields(header.substr(0, header.size() - 2));
    if (!fields) return bad("its outer header is malformed");
    std::size_t next = 0;
    bool has_subject = false, has_version = false;
    for (auto field : *fields) {
        std::string_view name = field.substr(0, field.find(':'));
        while (next < std::size(outer_fields) && outer_fields[next] != name) ++next;
        if (next == std::size(outer_fields)) return bad("a field of its outer header is out of place");
        ++next;
        if (name == "Subject" && field != "Subject: ...\r\n") return bad("it has a subject");
        if (name == "MIME-Version" && field != "MIME-Version: 1.0\r\n")
            return bad("its version of MIME is malformed");
        has_subject |= name == "Subject";
        has_version |= name == "MIME-Version";
        if (name == "FWMail-Id") {
            auto id = EmailId::from_hex(field.substr(std::min<std::size_t>(11, field.size()), 32));
            if (!id || field != "FWMail-Id: " + id->hex() + "\r\n") return bad("its id is malformed");
            email_id_ = *id;
        }
        if (name == "Content-Type") {
            constexpr std::string_view before =
                "Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\";\r\n boundary=\"";
            if (!field.starts_with(before) || field.size() != before.size() + 34 + 3)
                return bad("its type is not multipart/encrypted");
            boundary_ = field.substr(before.size(), 34);
            if (!boundary_.starts_with("=_") || !hex_decode(std::string_view(boundary_).substr(2)) ||
                !field.ends_with("\"\r\n"))
                return bad("its boundary is malformed");
        }
    }
    if (boundary_.empty() || email_id_.is_zero() || !has_subject || !has_version)
        return bad("its outer header lacks a field");
    emit(header);
    emit(first_parts(boundary_));
    armor_.emplace(crypto::ArmorType::message, [this](std::string_view text) { emit(text); });
    return sink_result_;
}

Result<SealedInfo> SealedUnpacker::finish() {
    if (as_it_is_) {
        std::string_view rest = std::string_view(head_).substr(as_it_is_mark.size());
        auto email = EmailId::from_octets(rest.substr(0, email_octets));
        if (!email) return fail(ErrorKind::protocol, "a sealed object is cut short in its header");
        email_id_ = *email;
        rest.remove_prefix(email_octets);
        TRY(check_foreign_sealed(rest, allowed_));
        emit(rest);
        TRY(sink_result_);
        info_.sha256 = hash_.finish();
        return info_;
    }
    if (!in_packets_) return fail(ErrorKind::protocol, "a sealed object is cut short in its header");
    TRY(checker_.finish());
    armor_->finish();
    emit("--" + boundary_ + "--\r\n");
    TRY(sink_result_);
    info_.sha256 = hash_.finish();
    return info_;
}

// --- restoring

Result<> Restorer::feed(std::string_view inner) {
    held_ += inner;
    for (;;) {
        if (at_ == At::body) return emit_body();
        auto length = header_length(held_);
        if (!length) {
            if (held_.size() > root_limit)
                return fail(ErrorKind::protocol, "not a message sealed by fwmail: its header is too long");
            return {};
        }
        std::string header = held_.substr(0, *length);
        held_.erase(0, *length);
        if (at_ == At::root) {
            TRY(take_root(header));
            at_ = At::part;
        } else {
            TRY(take_part(header));
            at_ = At::body;
        }
    }
}

Result<> Restorer::take_root(std::string_view root) {
    auto foreign = [] {
        return fail(ErrorKind::refused, "not a message sealed by fwmail, so there is no original to restore");
    };
    if (!root.ends_with("\r\n")) return foreign();
    auto fields = split_fields(root.substr(0, root.size() - 2));
    if (!fields || fields->size() < 2) return foreign();
    std::string_view restore = (*fields)[fields->size() - 2], type = fields->back();
    constexpr std::string_view name = "FWMail-Restore: ", before = "boundary=\"";
    std::size_t at = type.rfind(before);
    if (!restore.starts_with(name) || !restore.ends_with("\r\n") || at == std::string_view::npos)
        return foreign();
    std::string_view boundary = type.substr(at + before.size());
    boundary = boundary.substr(0, boundary.find('"'));
    closing_ = "\r\n--" + std::string(boundary) + "--\r\n";
    restore = restore.substr(name.size(), restore.size() - name.size() - 2);
    if (restore == "whole") {
        whole_ = true;
        return {};
    }
    std::size_t kept = 0;
    constexpr std::string_view moved = "; moved=", crlf = "; end=crlf", lf = "; end=lf";
    if (!restore.starts_with("fields=")) return foreign();
    auto [next, error] = std::from_chars(restore.data() + 7, restore.data() + restore.size(), kept);
    if (error != std::errc() || kept > fields->size() - 2) return foreign();
    restore.remove_prefix(static_cast<std::size_t>(next - restore.data()));
    if (restore.starts_with(crlf))
        end_ = "\r\n", restore.remove_prefix(crlf.size());
    else if (restore.starts_with(lf))
        end_ = "\n", restore.remove_prefix(lf.size());
    else
        return foreign();
    if (!restore.starts_with(moved)) return foreign();
    restore.remove_prefix(moved.size());
    while (!restore.empty()) {
        std::size_t position = 0;
        auto [after, trouble] = std::from_chars(restore.data(), restore.data() + restore.size(), position);
        if (trouble != std::errc() || position > 5000 || moved_.size() > 5000) return foreign();
        moved_.push_back(position);
        restore.remove_prefix(static_cast<std::size_t>(after - restore.data()));
        if (restore.starts_with(",")) restore.remove_prefix(1);
    }
    for (std::size_t i = 0; i < kept; ++i) kept_.emplace_back((*fields)[i]);
    return {};
}

Result<> Restorer::take_part(std::string_view part) {
    auto damaged = [] { return fail(ErrorKind::protocol, "the sealed message's first part is damaged"); };
    std::string delimiter = closing_.substr(2, closing_.size() - 6) + "\r\n";
    if (!part.starts_with(delimiter) || !part.ends_with("\r\n")) return damaged();
    if (whole_) return {};
    auto fields = split_fields(part.substr(delimiter.size(), part.size() - delimiter.size() - 2));
    if (!fields || fields->size() != moved_.size()) return damaged();
    std::size_t kept = 0, moved = 0;
    for (std::size_t i = 0; i < kept_.size() + moved_.size(); ++i) {
        if (moved < moved_.size() && moved_[moved] == i) {
            TRY(sink_((*fields)[moved++]));
        } else if (kept < kept_.size()) {
            TRY(sink_(kept_[kept++]));
        } else {
            return damaged();
        }
    }
    return sink_(end_);
}

// The closing delimiter may be at the very end only, so that many octets are held back.
Result<> Restorer::emit_body() {
    if (held_.size() <= closing_.size()) return {};
    std::size_t ready = held_.size() - closing_.size();
    TRY(sink_(std::string_view(held_).substr(0, ready)));
    held_.erase(0, ready);
    return {};
}

Result<> Restorer::finish() {
    if (at_ != At::body || held_ != closing_)
        return fail(ErrorKind::protocol, "the sealed message is cut short");
    wipe(held_);
    return {};
}

Result<std::string> sealed_packets(std::string_view served) {
    std::size_t begin = served.find("-----BEGIN PGP MESSAGE-----");
    constexpr std::string_view end_line = "-----END PGP MESSAGE-----";
    std::size_t end = served.find(end_line, begin == std::string_view::npos ? 0 : begin);
    if (begin == std::string_view::npos || end == std::string_view::npos)
        return fail(ErrorKind::refused, "no OpenPGP message in it");
    auto block = TRY(crypto::dearmor(served.substr(begin, end + end_line.size() - begin), served.size() + 1));
    return std::move(block.octets);
}

}  // namespace fwmail::service
