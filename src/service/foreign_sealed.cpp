#include "service/foreign_sealed.hpp"

#include <algorithm>

#include "base/encoding.hpp"
#include "crypto/armor.hpp"
#include "mime/header.hpp"

namespace fwmail::service {
namespace {

constexpr std::size_t header_limit = 64 << 10;
constexpr std::size_t part_header_limit = 2000;

// What is said outside is what the mail's envelope says anyway, and which program made it; and the id of what
// core has sealed, which comes home, or is filed anew by a client.
constexpr std::string_view outer_fields[] = {
    "from",         "sender",           "reply-to",   "to",      "cc",           "bcc",        "date",
    "message-id",   "in-reply-to",      "references", "subject", "mime-version", "user-agent", "x-mailer",
    "content-type", "content-language", "fwmail-id"};
// Subjects by which programs say that the true one is sealed (RFC 9788, and Thunderbird, Enigmail, K-9).
constexpr std::string_view no_subjects[] = {"...", "[...]", "Encrypted Message"};
// QUIRK(Thunderbird): the one preamble that is not a place to hide something.
constexpr std::string_view known_preamble =
    "This is an OpenPGP/MIME encrypted message (RFC 4880 and 3156)\r\n";

std::unexpected<Error> no(std::string_view what) { return fail(ErrorKind::refused, std::string(what)); }

bool is_plain(std::string_view text) {
    return std::ranges::all_of(
        text, [](char c) { return (c >= 32 && c < 127) || c == '\r' || c == '\n' || c == '\t'; });
}

// Takes a header with its empty line from the front. Every line of it is a field of the list.
template <std::size_t N>
Result<mime::HeaderView> take_header(std::string_view& text, const std::string_view (&names)[N],
                                     std::size_t limit) {
    std::string_view block = text.substr(0, limit);
    mime::HeaderView header(block);
    std::string_view octets = text.substr(0, header.length());
    if (!octets.ends_with("\r\n\r\n") || !is_plain(octets))
        return no("a header is not plain text, or too long");
    for (const auto& field : header) {
        if (std::ranges::count(names, ascii_lower(field.name)) == 0)
            return no("the field " + std::string(field.name.substr(0, 40)) + " is not one of sealed mail");
        if (header.find_all(field.name).size() != 1)
            return no("the field " + std::string(field.name) + " stands twice");
    }
    text.remove_prefix(header.length());
    return header;
}

Result<> take(std::string_view& text, std::string_view expected, std::string_view otherwise) {
    if (!text.starts_with(expected)) return no(otherwise);
    text.remove_prefix(expected.size());
    return {};
}

std::string_view trimmed(std::string_view text) {
    while (text.starts_with("\r\n")) text.remove_prefix(2);
    while (text.ends_with("\r\n")) text.remove_suffix(2);
    return text;
}

bool has_type(const mime::HeaderView& header, std::string_view type) {
    auto value = header.value("content-type");
    return value && mime::parse_parameterized(*value).value == type;
}

}  // namespace

Result<> check_foreign_sealed(std::string_view mail, const std::vector<crypto::KeyId>& allowed) {
    auto header = TRY(take_header(mail, outer_fields, header_limit));
    auto type = header.value("content-type");
    if (!type) return no("it is not encrypted (RFC 3156)");
    auto parsed = mime::parse_parameterized(*type);
    const auto* protocol = mime::find_parameter(parsed.parameters, "protocol");
    const auto* name = mime::find_parameter(parsed.parameters, "boundary");
    if (parsed.value != "multipart/encrypted" || !protocol ||
        ascii_lower(*protocol) != "application/pgp-encrypted" || !name || name->empty() || name->size() > 70)
        return no("it is not encrypted (RFC 3156)");
    if (auto subject = header.value("subject"); subject && std::ranges::count(no_subjects, *subject) == 0)
        return no("its subject is not sealed");
    if (auto id = header.value("fwmail-id"); id && !EmailId::from_hex(*id)) return no("its id is none");
    std::string delimiter = "--" + *name;

    if (mail.starts_with(known_preamble)) mail.remove_prefix(known_preamble.size());
    TRY(take(mail, delimiter + "\r\n", "something stands before its first part"));
    static constexpr std::string_view first_fields[] = {"content-type", "content-description"};
    auto first = TRY(take_header(mail, first_fields, part_header_limit));
    if (!has_type(first, "application/pgp-encrypted")) return no("its first part is not that of sealed mail");
    TRY(take(mail, "Version: 1\r\n", "its first part is not that of sealed mail"));
    while (mail.starts_with("\r\n")) mail.remove_prefix(2);
    TRY(take(mail, delimiter + "\r\n", "its first part is not that of sealed mail"));

    static constexpr std::string_view second_fields[] = {"content-type", "content-description",
                                                         "content-disposition", "content-transfer-encoding"};
    auto second = TRY(take_header(mail, second_fields, part_header_limit));
    if (!has_type(second, "application/octet-stream"))
        return no("its second part is not that of sealed mail");
    std::size_t end = mail.find("\r\n" + delimiter + "--");
    if (end == mail.npos) return no("its second part does not end");
    std::string_view armor = trimmed(mail.substr(0, end));
    mail.remove_prefix(end + 2 + delimiter.size() + 2);
    if (!trimmed(mail).empty()) return no("something stands behind its last part");
    // No armour headers: a comment is plain text.
    if (!armor.starts_with("-----BEGIN PGP MESSAGE-----\r\n\r\n") ||
        !armor.ends_with("-----END PGP MESSAGE-----") || armor.find("-----END") != armor.rfind("-----END"))
        return no("its second part is not one armoured message without comments");
    auto block = crypto::dearmor(armor, largest_appended);
    if (!block) return no("its armour is damaged: " + block.error().text);
    crypto::CheckOptions options;
    options.allow_partial = true;
    auto keys = crypto::check_sealed(block->octets, allowed, options);
    if (!keys) return no(keys.error().text);
    return {};
}

}  // namespace fwmail::service
