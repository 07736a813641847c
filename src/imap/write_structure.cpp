// ENVELOPE, BODY and BODYSTRUCTURE (RFC 3501 7.4.2, RFC 9051 7.5.2).
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

std::string write_parameters(const mime::Parameters& parameters) {
    if (parameters.empty()) return "NIL";
    std::string out = "(";
    for (const auto& [name, value] : parameters)
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
