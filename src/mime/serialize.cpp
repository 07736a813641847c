#include "mime/serialize.hpp"

#include <cstdint>

#include "mime/structure.hpp"

// version, then one part:
//   part     = header.offset header.length body.offset body.length body_lines   (numbers)
//              type subtype encoding parameters  id description md5 disposition location  (optional strings)
//              disposition_parameters  languages  [0 | 1 envelope]  children
//   number   = LEB128, at most 10 octets; string = length octets; optional = 0, or length + 1 octets
//   a list   = its count, then its entries
namespace fwmail::mime {

namespace {

constexpr char version = 1;

class Writer {
  public:
    std::string out{version};

    void number(std::uint64_t n) {
        for (; n >= 128; n >>= 7) out += static_cast<char>(n | 128);
        out += static_cast<char>(n);
    }
    void string(const std::string& text) {
        number(text.size());
        out += text;
    }
    void optional(const std::optional<std::string>& text) {
        number(text ? text->size() + 1 : 0);
        if (text) out += *text;
    }
    void parameters(const Parameters& list) {
        number(list.size());
        for (const auto& [name, value] : list) {
            string(name);
            string(value);
        }
    }
    void addresses(const std::vector<Address>& list) {
        number(list.size());
        for (const auto& address : list) {
            optional(address.name);
            optional(address.mailbox);
            optional(address.host);
        }
    }
    void envelope(const Envelope& e) {
        for (const auto* text : {&e.date, &e.subject, &e.in_reply_to, &e.message_id, &e.references})
            optional(*text);
        for (const auto* list : {&e.from, &e.sender, &e.reply_to, &e.to, &e.cc, &e.bcc}) addresses(*list);
    }
    void part(const Part& p) {
        number(p.header.offset);
        number(p.header.length);
        number(p.body.offset);
        number(p.body.length);
        number(p.body_lines);
        string(p.type);
        string(p.subtype);
        string(p.encoding);
        parameters(p.parameters);
        for (const auto* text : {&p.id, &p.description, &p.md5, &p.disposition, &p.location}) optional(*text);
        parameters(p.disposition_parameters);
        number(p.language.size());
        for (const auto& tag : p.language) string(tag);
        number(p.envelope ? 1 : 0);
        if (p.envelope) envelope(*p.envelope);
        number(p.children.size());
        for (const auto& child : p.children) part(child);
    }
};

// Sticky: after the first trouble everything reads as empty and ok() is false.
class Reader {
  public:
    explicit Reader(std::string_view octets) : rest_(octets) {}

    bool ok() const { return ok_; }
    bool at_end() const { return rest_.empty(); }

    std::uint64_t number() {
        std::uint64_t n = 0;
        for (int shift = 0; ok_; shift += 7) {
            if (rest_.empty() || shift > 63) break;
            auto octet = static_cast<unsigned char>(rest_[0]);
            rest_.remove_prefix(1);
            if (shift == 63 && octet > 1) break;
            n |= static_cast<std::uint64_t>(octet & 127) << shift;
            if (octet < 128) return n;
        }
        ok_ = false;
        return 0;
    }
    std::string string() { return take(number()); }
    std::optional<std::string> optional() {
        std::uint64_t n = number();
        if (!ok_ || n == 0) return std::nullopt;
        return take(n - 1);
    }
    // The count of a list whose entries are at least `least` octets long, out of what is left of `budget`.
    std::size_t count(std::size_t least, std::size_t& budget) {
        std::uint64_t n = number();
        if (n > budget || n > rest_.size() / least) ok_ = false;
        if (!ok_) return 0;
        budget -= static_cast<std::size_t>(n);
        return static_cast<std::size_t>(n);
    }
    Parameters parameters() {
        Parameters list(count(2, parameters_));
        for (auto& [name, value] : list) {
            name = string();
            value = string();
        }
        return list;
    }
    std::vector<Address> addresses() {
        std::vector<Address> list(count(3, addresses_));
        for (auto& address : list) {
            address.name = optional();
            address.mailbox = optional();
            address.host = optional();
        }
        return list;
    }
    Envelope envelope() {
        Envelope e;
        for (auto* text : {&e.date, &e.subject, &e.in_reply_to, &e.message_id, &e.references})
            *text = optional();
        for (auto* list : {&e.from, &e.sender, &e.reply_to, &e.to, &e.cc, &e.bcc}) *list = addresses();
        return e;
    }
    void ranges(Part& p) {
        p.header.offset = number();
        p.header.length = number();
        p.body.offset = number();
        p.body.length = number();
    }
    Part part(std::size_t depth) {
        Part p;
        ranges(p);
        p.body_lines = number();
        p.type = string();
        p.subtype = string();
        p.encoding = string();
        p.parameters = parameters();
        for (auto* text : {&p.id, &p.description, &p.md5, &p.disposition, &p.location}) *text = optional();
        p.disposition_parameters = parameters();
        p.language.resize(count(1, languages_));
        for (auto& tag : p.language) tag = string();
        std::uint64_t has_envelope = number();
        if (has_envelope > 1) ok_ = false;
        if (has_envelope == 1) p.envelope = envelope();
        std::size_t children = count(20, parts_);
        if (children > 0 && depth == limits_.depth) ok_ = false;
        for (std::size_t i = 0; ok_ && i < children; ++i) p.children.push_back(part(depth + 1));
        return p;
    }

  private:
    std::string take(std::uint64_t n) {
        if (n > rest_.size()) ok_ = false;
        if (!ok_) return {};
        std::string out(rest_.substr(0, static_cast<std::size_t>(n)));
        rest_.remove_prefix(static_cast<std::size_t>(n));
        return out;
    }

    std::string_view rest_;
    bool ok_ = true;
    StructureLimits limits_;
    std::size_t parts_ = limits_.parts, parameters_ = limits_.parameters, addresses_ = 2 * limits_.addresses;
    std::size_t languages_ = 20 * limits_.parts;
};

}  // namespace

std::string write_part(const Part& part) {
    Writer writer;
    writer.part(part);
    return std::move(writer.out);
}

Result<Part> parse_part(std::string_view octets) {
    if (octets.empty() || octets[0] != version)
        return fail(ErrorKind::internal, "a stored message structure is of an unknown version");
    Reader reader(octets.substr(1));
    Part part = reader.part(1);
    if (!reader.ok() || !reader.at_end())
        return fail(ErrorKind::internal, "a stored message structure is damaged");
    return part;
}

Result<Part> parse_part_ranges(std::string_view octets) {
    if (octets.empty() || octets[0] != version)
        return fail(ErrorKind::internal, "a stored message structure is of an unknown version");
    Reader reader(octets.substr(1));
    Part part;
    reader.ranges(part);
    if (!reader.ok()) return fail(ErrorKind::internal, "a stored message structure is damaged");
    return part;
}

}  // namespace fwmail::mime
