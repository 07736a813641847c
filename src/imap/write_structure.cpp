// ENVELOPE, BODY and BODYSTRUCTURE (RFC 3501 7.4.2, RFC 9051 7.5.2).
#include <map>

#include "imap/writer.hpp"

namespace fwmail::imap {
namespace {

// What mime's parser lets through is far less; this only guards the stack.
constexpr int deepest = 200;

std::string write_addresses(const std::vector<mime::Address>& addresses) {
    if (addresses.empty()) return "NIL";
    std::string out = "(";
    for (const auto& a : addresses)
        out += '(' + write_nstring(a.name) + " NIL " + write_nstring(a.mailbox) + ' ' +
               write_nstring(a.host) + ')';
    return out + ')';
}

// RFC 2231 3: one of the pieces `base*0`, `base*1*`, ... of a long parameter; a second `*` says that it is
// encoded.
struct Piece {
    std::string_view base;
    std::size_t number = 0;
    bool encoded = false;
};
std::optional<Piece> piece_of(std::string_view name) {
    Piece piece;
    std::size_t star = name.find('*');
    if (star == std::string_view::npos || star == 0) return std::nullopt;
    piece.base = name.substr(0, star);
    std::string_view digits = name.substr(star + 1);
    piece.encoded = digits.ends_with('*');
    if (piece.encoded) digits.remove_suffix(1);
    if (digits.empty() || digits.size() > 4 || (digits.size() > 1 && digits[0] == '0')) return std::nullopt;
    for (char c : digits) {
        if (c < '0' || c > '9') return std::nullopt;
        piece.number = piece.number * 10 + static_cast<unsigned>(c - '0');
    }
    return piece;
}

std::string percent_encoded(std::string_view text) {
    constexpr std::string_view hex = "0123456789ABCDEF";
    std::string out;
    for (char c : text) {
        auto octet = static_cast<unsigned char>(c);
        bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' ||
                     c == '-' || c == '_';
        out += plain ? std::string(1, c) : std::string{'%', hex[octet >> 4], hex[octet & 15]};
    }
    return out;
}

// The pieces of one parameter. `whole`: how many there are from 0 on, without a gap.
struct Pieces {
    std::map<std::size_t, std::pair<bool, std::string_view>> values;
    std::size_t whole = 0;
    bool encoded = false;

    void count() {
        for (; values.contains(whole); ++whole) encoded |= values.at(whole).first;
    }
    std::string text() const {
        std::string out = encoded && !values.at(0).first ? "''" : "";
        for (std::size_t i = 0; i < whole; ++i) {
            auto [is_encoded, value] = values.at(i);
            out += encoded && !is_encoded ? percent_encoded(value) : std::string(value);
        }
        return out;
    }
};

// RFC 2231 6: continuations are put together for the client. Where a piece is encoded, the whole is. Without
// a first piece, and behind a gap, they stay as they are.
mime::Parameters joined(const mime::Parameters& parameters) {
    std::map<std::string_view, Pieces> all;
    for (const auto& [name, value] : parameters)
        if (auto piece = piece_of(name))
            all[piece->base].values.try_emplace(piece->number, piece->encoded, value);
    for (auto& [base, pieces] : all) pieces.count();
    mime::Parameters out;
    for (const auto& [name, value] : parameters) {
        auto piece = piece_of(name);
        const Pieces* pieces = piece ? &all.at(piece->base) : nullptr;
        if (!piece || piece->number >= pieces->whole)
            out.emplace_back(name, value);
        else if (piece->number == 0)
            out.emplace_back(std::string(piece->base) + (pieces->encoded ? "*" : ""), pieces->text());
    }
    return out;
}

std::string write_parameters(const mime::Parameters& parameters) {
    if (parameters.empty()) return "NIL";
    std::string out = "(";
    for (const auto& [name, value] : joined(parameters))
        out += (out.size() > 1 ? " " : "") + write_string(name) + ' ' + write_string(value);
    return out + ')';
}

std::string write_disposition(const mime::Part& part) {
    if (!part.disposition) return "NIL";
    return '(' + write_string(*part.disposition) + ' ' + write_parameters(part.disposition_parameters) + ')';
}

std::string write_language(const mime::Part& part) {
    if (part.language.empty()) return "NIL";
    if (part.language.size() == 1) return write_string(part.language[0]);
    std::string out = "(";
    for (const auto& l : part.language) out += (out.size() > 1 ? " " : "") + write_string(l);
    return out + ')';
}

void write_part(std::string& out, const mime::Part& part, bool extended, int depth);

void write_extension(std::string& out, const mime::Part& part) {
    out += ' ' + write_disposition(part) + ' ' + write_language(part) + ' ' + write_nstring(part.location);
}

void write_multipart(std::string& out, const mime::Part& part, bool extended, int depth) {
    // The grammar wants at least one part.
    if (part.children.empty() || depth >= deepest)
        write_part(out, mime::Part{}, extended, depth + 1);
    else
        for (const auto& child : part.children) write_part(out, child, extended, depth + 1);
    out += ' ' + write_string(part.subtype);
    if (!extended) return;
    out += ' ' + write_parameters(part.parameters);
    write_extension(out, part);
}

void write_single(std::string& out, const mime::Part& part, bool extended, int depth) {
    bool message = part.type == "message" && (part.subtype == "rfc822" || part.subtype == "global");
    mime::Parameters implied;
    if (part.type == "text" && part.parameters.empty()) implied = {{"charset", "us-ascii"}};
    out += write_string(part.type) + ' ' + write_string(part.subtype) + ' ' +
           write_parameters(implied.empty() ? part.parameters : implied) + ' ' + write_nstring(part.id) +
           ' ' + write_nstring(part.description) + ' ' + write_string(part.encoding) + ' ' +
           std::to_string(part.body.length);
    if (message) {
        // A message/rfc822 without a message in it still needs the fields that the grammar has.
        bool whole = part.is_message() && depth < deepest;
        mime::Part none;
        const mime::Part& child = whole ? part.children[0] : none;
        out += ' ' + write_envelope(child.envelope.value_or(mime::Envelope{})) + ' ';
        write_part(out, child, extended, depth + 1);
    }
    if (message || part.type == "text") out += ' ' + std::to_string(part.body_lines);
    if (!extended) return;
    out += ' ' + write_nstring(part.md5);
    write_extension(out, part);
}

void write_part(std::string& out, const mime::Part& part, bool extended, int depth) {
    out += '(';
    if (part.is_multipart())
        write_multipart(out, part, extended, depth);
    else
        write_single(out, part, extended, depth);
    out += ')';
}

}  // namespace

std::string write_envelope(const mime::Envelope& e) {
    return '(' + write_nstring(e.date) + ' ' + write_nstring(e.subject) + ' ' + write_addresses(e.from) +
           ' ' + write_addresses(e.sender) + ' ' + write_addresses(e.reply_to) + ' ' + write_addresses(e.to) +
           ' ' + write_addresses(e.cc) + ' ' + write_addresses(e.bcc) + ' ' + write_nstring(e.in_reply_to) +
           ' ' + write_nstring(e.message_id) + ')';
}

std::string write_body(const mime::Part& root) {
    std::string out;
    write_part(out, root, false, 0);
    return out;
}

std::string write_bodystructure(const mime::Part& root) {
    std::string out;
    write_part(out, root, true, 0);
    return out;
}

}  // namespace fwmail::imap
