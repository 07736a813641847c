#include "mime/sort_keys.hpp"

#include "mime/address.hpp"
#include "mime/base_subject.hpp"
#include "mime/date.hpp"
#include "mime/encoded_word.hpp"
#include "mime/fold.hpp"

// version, bits (1: sent is there, 2: reply), sent, message_id, base_subject, the number of references and
// these, then for each text a length of two octets and its octets. Numbers of eight octets, the least first.
namespace fwmail::mime {
namespace {

constexpr char version = 1;
constexpr std::size_t longest_text = 255, most_references = 64;
constexpr std::size_t fixed = 2 + 3 * 8 + 1;

// FNV-1a, and a last mixing of the bits. Never 0.
std::uint64_t hash_of(std::string_view text) {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    hash = (hash ^ (hash >> 32)) * 0xd6e8feb86659fd93;
    hash ^= hash >> 32;
    return hash ? hash : 1;
}

void append_number(std::string& out, std::uint64_t n, int octets = 8) {
    for (int i = 0; i < octets; ++i) out += static_cast<char>(n >> 8 * i & 255);
}

std::uint64_t read_number(std::string_view octets, std::size_t at, std::size_t count = 8) {
    std::uint64_t n = 0;
    for (std::size_t i = count; i-- > 0;) n = n << 8 | static_cast<unsigned char>(octets[at + i]);
    return n;
}

// RFC 5256 3: ids that differ in quoting alone are one; without a left and a right side it is none.
std::optional<std::uint64_t> normal_id(std::string_view id) {
    std::string out;
    bool quoted = false;
    std::size_t at = std::string::npos;
    for (std::size_t i = 0; i < id.size(); ++i) {
        if (id[i] == '"') {
            quoted = !quoted;
            continue;
        }
        if (quoted && id[i] == '\\' && i + 1 < id.size()) ++i;
        if (!quoted && id[i] == '@') at = out.size();
        out += id[i];
    }
    if (at == std::string::npos || at < 2 || at + 2 >= out.size()) return std::nullopt;
    return hash_of(out);
}

std::vector<std::uint64_t> ids_of(const std::optional<std::string>& field) {
    std::vector<std::uint64_t> out;
    if (!field) return out;
    for (const auto& id : parse_message_ids(*field, field->size()))
        if (auto normal = normal_id(id)) out.push_back(*normal);
    return out;
}

// RFC 5256 3: References, or else the first id of In-Reply-To.
std::vector<std::uint64_t> references_of(const Envelope& envelope) {
    auto ids = ids_of(envelope.references);
    if (ids.empty()) {
        ids = ids_of(envelope.in_reply_to);
        if (ids.size() > 1) ids.resize(1);
    }
    if (ids.size() > most_references)
        ids.erase(ids.begin() + 1, ids.end() - static_cast<std::ptrdiff_t>(most_references - 1));
    return ids;
}

std::string mailbox_of(const std::vector<Address>& list) {
    return list.empty() ? std::string() : list[0].mailbox.value_or("");
}

// RFC 5957 3: the name; without one the address; of a group, its name.
std::string display_of(const std::vector<Address>& list) {
    if (list.empty()) return {};
    std::string name = list[0].name ? decode_header(*list[0].name) : std::string();
    if (!name.empty()) return name;
    std::string host = list[0].host.value_or("");
    return list[0].mailbox.value_or("") + (host.empty() ? "" : "@" + host);
}

void append_text(std::string& out, std::string key) {
    if (key.size() > longest_text) {
        std::uint64_t hash = hash_of(key);
        key.resize(longest_text);
        append_number(key, hash);
    }
    append_number(out, key.size(), 2);
    out += key;
}

}  // namespace

std::uint64_t SortKeys::reference(std::size_t index) const {
    return read_number(reference_octets, index * 8);
}

std::string write_sort_keys(const Envelope& envelope) {
    auto subject = base_subject(envelope.subject.value_or(""));
    std::string key = casemap(subject.text);
    auto sent = parse_date(envelope.date.value_or(""), BadTime::midnight);
    auto own = ids_of(envelope.message_id);
    auto references = references_of(envelope);
    std::string out{version, static_cast<char>((sent ? 1 : 0) | (subject.reply ? 2 : 0))};
    append_number(out, static_cast<std::uint64_t>(sent ? sent->seconds : 0));
    append_number(out, own.empty() ? 0 : own[0]);
    append_number(out, key.empty() ? 0 : hash_of(key));
    out += static_cast<char>(references.size());
    for (auto id : references) append_number(out, id);
    append_text(out, std::move(key));
    append_text(out, casemap(mailbox_of(envelope.from)));
    append_text(out, casemap(mailbox_of(envelope.to)));
    append_text(out, casemap(mailbox_of(envelope.cc)));
    append_text(out, casemap(display_of(envelope.from)));
    append_text(out, casemap(display_of(envelope.to)));
    return out;
}

Result<SortKeys> parse_sort_keys(std::string_view octets) {
    auto damaged = [] {
        return fail(ErrorKind::internal, "a message's stored keys for sorting are damaged");
    };
    if (octets.size() < fixed || octets[0] != version) return damaged();
    SortKeys keys;
    if (octets[1] & 1) keys.sent = static_cast<std::int64_t>(read_number(octets, 2));
    keys.reply = octets[1] & 2;
    keys.message_id = read_number(octets, 10);
    keys.base_subject = read_number(octets, 18);
    std::size_t references = static_cast<unsigned char>(octets[fixed - 1]) * 8;
    octets.remove_prefix(fixed);
    if (octets.size() < references) return damaged();
    keys.reference_octets = octets.substr(0, references);
    octets.remove_prefix(references);
    for (auto& text : keys.texts) {
        if (octets.size() < 2) return damaged();
        auto length = static_cast<std::size_t>(read_number(octets, 0, 2));
        octets.remove_prefix(2);
        if (octets.size() < length) return damaged();
        text = octets.substr(0, length);
        octets.remove_prefix(length);
    }
    if (!octets.empty()) return damaged();
    return keys;
}

}  // namespace fwmail::mime
