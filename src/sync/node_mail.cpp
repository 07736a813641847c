#include "sync/node_mail.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "base/encoding.hpp"

namespace fwmail::sync {

namespace {

constexpr std::size_t max_address_octets = 254;  // RFC 5321 4.5.3.1.3, without the brackets
constexpr std::size_t max_message_id_octets = 320;
constexpr std::size_t max_subject_octets = 200;
constexpr std::string_view white = " \t\r\n";

std::unexpected<Error> refuse(std::string why) {
    return fail(ErrorKind::refused, "node mail: " + std::move(why));
}

std::string_view trim(std::string_view text) {
    std::size_t first = text.find_first_not_of(white);
    if (first == text.npos) return {};
    return text.substr(first, text.find_last_not_of(white) - first + 1);
}

bool is_visible(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
}

// A dot-string and a domain or address literal: all that a node address needs, and nothing that wants
// quoting.
bool is_node_address(std::string_view address) {
    std::size_t at = address.find('@');
    return at != address.npos && at != 0 && at + 1 < address.size() && address.size() <= max_address_octets &&
           address.find('@', at + 1) == address.npos && is_visible(address) &&
           address.find_first_of("<>()\",;\\") == address.npos;
}

// RFC 5322 3.3, always in UTC.
std::string date_text(UnixMillis date) {
    using namespace std::chrono;
    sys_seconds time = floor<seconds>(sys_time<milliseconds>(milliseconds(date.value)));
    sys_days day = floor<days>(time);
    year_month_day ymd(day);
    hh_mm_ss clock(time - day);
    static constexpr const char* weekdays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr const char* months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                             "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    char text[64];
    std::snprintf(text, sizeof text, "%s, %u %s %04d %02d:%02d:%02d +0000",
                  weekdays[weekday(day).c_encoding()], static_cast<unsigned>(ymd.day()),
                  months[static_cast<unsigned>(ymd.month()) - 1], static_cast<int>(ymd.year()),
                  static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                  static_cast<int>(clock.seconds().count()));
    return text;
}

// The fields that are read, unfolded and trimmed; and how often the two decisive ones stood.
struct Header {
    std::string from, to, message_id, subject, type, encoding;
    std::string hints;
    int types = 0, encodings = 0;
    std::size_t body = 0;   // offset
    bool complete = false;  // ended by an empty line
};

std::string unfold(std::string_view value) {
    std::string out;
    for (char c : value)
        if (c != '\r' && c != '\n') out += c;
    return std::string(trim(out));
}

void take_field(Header& header, std::string_view field) {
    std::size_t colon = field.find(':');
    if (colon == field.npos) return;  // as the "From " line of an mbox: not a field
    std::string name = ascii_lower(trim(field.substr(0, colon)));
    std::string value = unfold(field.substr(colon + 1));
    if (name == "from") header.from = std::move(value);
    if (name == "to") header.to = std::move(value);
    if (name == "message-id") header.message_id = std::move(value);
    if (name == "subject") header.subject = std::move(value);
    if (name == "fwmail-id") header.hints += ' ' + value;
    if (name == "content-type") {
        header.type = std::move(value);
        ++header.types;
    }
    if (name == "content-transfer-encoding") {
        header.encoding = std::move(value);
        ++header.encodings;
    }
}

Result<Header> scan_header(std::string_view octets, const NodeMailLimits& limits) {
    Header header;
    std::size_t fields = 0, field_begin = 0, at = 0;
    std::string_view head = octets.substr(0, limits.header_octets);
    while (at < head.size()) {
        std::size_t end = head.find('\n', at);
        if (end == head.npos) break;
        std::string_view line = head.substr(at, end - at);
        bool empty = line.empty() || line == "\r";
        bool continues = !empty && (line[0] == ' ' || line[0] == '\t');
        if (!continues) {
            if (at != field_begin) take_field(header, head.substr(field_begin, at - field_begin));
            field_begin = at;
            if (++fields > limits.header_fields) return refuse("the header has too many fields");
        }
        at = end + 1;
        if (empty) {
            header.body = at;
            header.complete = true;
            return header;
        }
    }
    if (octets.size() > head.size()) return refuse("the header is too large");
    return refuse("there is no body");
}

// A token without comments (RFC 5322 3.2.2) and parameters, in lower case.
std::string token(std::string_view value) {
    std::string out;
    int depth = 0;
    for (char c : value) {
        if (c == '(')
            ++depth;
        else if (c == ')' && depth > 0)
            --depth;
        else if (c == ';' && depth == 0)
            break;
        else if (depth == 0 && white.find(c) == white.npos)
            out += ascii_lower(c);
    }
    return out;
}

// `Name <address>` or the bare address; empty when it is neither.
std::string address_of(std::string_view value) {
    std::size_t open = value.rfind('<');
    if (open != value.npos) {
        std::size_t close = value.find('>', open);
        value = close == value.npos ? std::string_view{} : value.substr(open + 1, close - open - 1);
    }
    value = trim(value);
    return is_node_address(value) ? std::string(value) : std::string();
}

std::vector<EmailId> hints_of(std::string_view text) {
    std::vector<EmailId> hints;
    while (hints.size() < max_hints) {
        text = trim(text);
        if (text.empty()) break;
        std::size_t end = std::min(text.find_first_of(" \t"), text.size());
        if (auto id = EmailId::from_hex(text.substr(0, end))) hints.push_back(*id);
        text.remove_prefix(end);
    }
    return hints;
}

Result<void> check_structure(const Header& header) {
    if (header.types > 1 || header.encodings > 1) return refuse("Content-Type or its encoding stands twice");
    if (std::string type = token(header.type); type != node_mail_type)
        return refuse("its content type is not " + std::string(node_mail_type));
    if (std::string encoding = token(header.encoding); encoding != "base64")
        return refuse("its transfer encoding is not base64; a server on the way has changed it");
    return {};
}

// Line by line, as a mail of megabytes has nothing but line ends; other white space is the exception.
std::string without_white(std::string_view body) {
    std::string out;
    out.reserve(body.size());
    while (!body.empty()) {
        std::size_t end = std::min(body.find('\n'), body.size());
        std::string_view line = body.substr(0, end);
        body.remove_prefix(std::min(end + 1, body.size()));
        while (line.ends_with('\r')) line.remove_suffix(1);
        bool clean = true;
        for (char c : line) clean &= static_cast<unsigned char>(c) > ' ';
        if (clean)
            out += line;
        else
            std::ranges::copy_if(line, std::back_inserter(out),
                                 [](char c) { return white.find(c) == white.npos; });
    }
    return out;
}

}  // namespace

std::string node_message_id(const FrameId& frame, std::string_view from) {
    return "<" + frame.hex() + "@" + std::string(from.substr(from.find('@') + 1)) + ">";
}

Result<std::string> build_node_mail(const NodeMail& mail) {
    if (!is_node_address(mail.from) || !is_node_address(mail.to))
        return fail(ErrorKind::usage, "node mail: a node address is not of the form local@domain");
    const std::string& id = mail.message_id;
    if (id.size() < 5 || id.size() > max_message_id_octets || id.front() != '<' || id.back() != '>' ||
        !is_visible(id))
        return fail(ErrorKind::usage, "node mail: the Message-ID is not of the form <id@domain>");
    bool printable = std::ranges::all_of(mail.subject, [](char c) { return c >= ' ' && c < 0x7f; });
    if (mail.subject.size() > max_subject_octets || !printable || trim(mail.subject) != mail.subject)
        return fail(ErrorKind::usage, "node mail: the subject is not short printable ASCII");

    std::string out;
    std::string body = base64_encode_mime(mail.content);
    out.reserve(2048 + body.size());
    out += "From: " + mail.from + "\r\nTo: " + mail.to + "\r\nDate: " + date_text(mail.date);
    out += "\r\nMessage-ID: " + id + "\r\nSubject: " + mail.subject;
    out += "\r\nAuto-Submitted: auto-generated\r\n";  // RFC 3834 5
    for (std::size_t i = 0; i < std::min(mail.hints.size(), max_hints); ++i)
        out += (i == 0 ? "FWMail-Id: " : "\t") + mail.hints[i].hex() + "\r\n";
    out += "MIME-Version: 1.0\r\nContent-Type: " + std::string(node_mail_type);
    out += "\r\nContent-Transfer-Encoding: base64\r\n\r\n";
    out += body;
    return out;
}

Result<NodeMail> parse_node_mail(std::string_view octets, const NodeMailLimits& limits) {
    if (octets.size() > limits.octets) return refuse("too large");
    Header header = TRY(scan_header(octets, limits));
    TRY(check_structure(header));
    auto content = base64_decode(without_white(octets.substr(header.body)));
    if (!content || content->empty())
        return refuse("its base64 is damaged; a server on the way has changed it");
    return NodeMail{address_of(header.from),      address_of(header.to),     UnixMillis{},
                    std::move(header.message_id), std::move(header.subject), hints_of(header.hints),
                    std::move(*content)};
}

bool looks_like_node_mail(std::string_view octets) {
    auto header = scan_header(octets, {});
    return header && header->types == 1 && token(header->type) == node_mail_type;
}

}  // namespace fwmail::sync
