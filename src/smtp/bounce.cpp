#include "smtp/bounce.hpp"

#include <algorithm>

#include "base/encoding.hpp"
#include "smtp/dsn_parameters.hpp"
#include "smtp/harmless.hpp"

namespace fwmail::smtp {

namespace {

constexpr std::size_t max_header = 64 * 1024;
constexpr std::size_t max_whole = 256 * 1024;
constexpr std::size_t max_named = 100;  // recipients told of in the human part

// Whole lines only, at most max_header octets, nothing of the body.
std::string_view bounded_header(std::string_view header) {
    std::size_t end = header.find("\r\n\r\n");
    if (end != std::string_view::npos) header = header.substr(0, end + 2);
    if (header.size() <= max_header) return header;
    std::size_t last = header.substr(0, max_header).rfind("\r\n");
    return header.substr(0, last == std::string_view::npos ? max_header : last + 2);
}

bool is_plain_7bit(std::string_view text) {
    std::size_t length = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        char c = text[i];
        bool crlf = c == '\r' && i + 1 < text.size() && text[i + 1] == '\n';
        if (crlf) {
            length = 0;
            ++i;
        } else if (++length > 900 || c == '\0' || c == '\r' || c == '\n' ||
                   static_cast<unsigned char>(c) > 127) {
            return false;
        }
    }
    return true;
}

// RFC 2045 6.7. CRLF stays a line ending; all else that is not printable is encoded.
std::string quoted_printable(std::string_view text) {
    static constexpr char digits[] = "0123456789ABCDEF";
    std::string out;
    std::size_t column = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        auto c = static_cast<unsigned char>(text[i]);
        bool line_end = text.substr(i).starts_with("\r\n");
        if (line_end) {
            out += "\r\n";
            column = 0;
            ++i;
            continue;
        }
        bool before_end = i + 1 == text.size() || text.substr(i + 1).starts_with("\r\n");
        bool plain = (c > ' ' && c <= '~' && c != '=') || ((c == ' ' || c == '\t') && !before_end);
        if (column + (plain ? 1 : 3) > 75) {
            out += "=\r\n";
            column = 0;
        }
        if (plain) {
            out += static_cast<char>(c);
            ++column;
        } else {
            out += {'=', digits[c >> 4], digits[c & 15]};
            column += 3;
        }
    }
    return out;
}

struct Wording {
    std::string_view action;  // RFC 3464 2.3.3
    std::string_view subject;
    std::string_view opening;
    std::uint16_t status_class;
};

Wording wording_of(DsnKind kind) {
    switch (kind) {
        case DsnKind::failed:
            return {"failed", "Undelivered mail returned to sender",
                    "Your message could not be delivered to the following recipients, and it will\r\nnot be "
                    "tried again:\r\n",
                    5};
        case DsnKind::delayed:
            return {"delayed", "Delayed mail (still being retried)",
                    "THIS IS A WARNING ONLY. YOU DO NOT NEED TO SEND YOUR MESSAGE AGAIN.\r\n\r\n"
                    "Your message has not yet been delivered to the following recipients:\r\n",
                    4};
        case DsnKind::delivered:
            return {"delivered", "Delivered mail", "Your message has been delivered to:\r\n", 2};
        case DsnKind::relayed:
            return {"relayed", "Relayed mail",
                    "Your message has been passed on for the following recipients, to a server\r\nthat sends "
                    "no notices of delivery:\r\n",
                    2};
    }
    return {};
}

// RFC 3464 2.3.4; a delivery given up after a temporary error keeps its 4.y.z there, RFC 3463 allows both.
std::string status_text(const DsnInput& input, const Reply& reply) {
    unsigned wanted = wording_of(input.kind).status_class;
    bool fits = (reply.status.status_class == 2) == (wanted == 2);
    if (!reply.status.is_none() && fits) return reply.status.text();
    return std::to_string(wanted) + ".0.0";
}

std::string human_part(const DsnInput& input) {
    std::string out = "This is the mail system at host " + harmless(input.reporting_mta, 255) + ".\r\n\r\n";
    out += wording_of(input.kind).opening;
    for (std::size_t i = 0; i < std::min(input.recipients.size(), max_named); ++i) {
        const DsnRecipient& r = input.recipients[i];
        out += "\r\n<" + harmless(r.recipient.text(), 320) + ">:\r\n";
        if (!r.remote_mta.empty()) out += "    " + harmless(r.remote_mta, 255) + " said:\r\n";
        out += "    " + harmless(r.reply.one_line(), 800) + "\r\n";
    }
    if (input.recipients.size() > max_named)
        out += "\r\nand " + std::to_string(input.recipients.size() - max_named) +
               " more; see the report below.\r\n";
    if (input.kind == DsnKind::delayed) {
        out += "\r\nDelivery goes on";
        if (!input.retry_until.empty()) out += " until " + harmless(input.retry_until, 64);
        out += ".\r\n";
    }
    return out;
}

// RFC 3464 2.3
std::string recipient_block(const DsnInput& input, const DsnRecipient& r) {
    std::string out = "\r\n";
    if (auto semicolon = r.orcpt.find(';'); semicolon != std::string::npos)
        out += "Original-Recipient: " + harmless(r.orcpt.substr(0, semicolon), 64) + "; " +
               decode_xtext(r.orcpt.substr(semicolon + 1)) + "\r\n";
    out += "Final-Recipient: rfc822; " + harmless(r.recipient.text(), 320) + "\r\n";
    out += "Action: " + std::string(wording_of(input.kind).action) + "\r\n";
    out += "Status: " + status_text(input, r.reply) + "\r\n";
    if (!r.remote_mta.empty()) out += "Remote-MTA: dns; " + harmless(r.remote_mta, 255) + "\r\n";
    out += "Diagnostic-Code: smtp; " + harmless(r.reply.one_line(), 800) + "\r\n";
    if (!r.last_attempt.empty()) out += "Last-Attempt-Date: " + harmless(r.last_attempt, 64) + "\r\n";
    if (input.kind == DsnKind::delayed && !input.retry_until.empty())
        out += "Will-Retry-Until: " + harmless(input.retry_until, 64) + "\r\n";
    return out;
}

}  // namespace

std::string write_dsn(const DsnInput& input) {
    std::string out;
    out += "From: Mail Delivery System <" + harmless(input.from, 320) + ">\r\n";
    out += "To: <" + harmless(input.to.text(), 320) + ">\r\n";
    out += "Subject: " + std::string(wording_of(input.kind).subject) + "\r\n";
    out += "Date: " + harmless(input.date, 64) + "\r\n";
    out += "Message-ID: " + harmless(input.message_id, 320) + "\r\n";
    out += "Auto-Submitted: auto-replied\r\n";  // RFC 3834 5
    out += "MIME-Version: 1.0\r\n";
    out += "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"" + input.boundary +
           "\"\r\n\r\n";

    std::string delimiter = "--" + input.boundary;
    out += delimiter +
           "\r\nContent-Description: Notification\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n";
    out += human_part(input);

    out += "\r\n" + delimiter +
           "\r\nContent-Description: Delivery report\r\nContent-Type: message/delivery-status\r\n\r\n";
    if (!input.envid.empty()) out += "Original-Envelope-Id: " + decode_xtext(input.envid) + "\r\n";
    out += "Reporting-MTA: dns; " + harmless(input.reporting_mta, 255) + "\r\n";
    if (!input.arrival_date.empty()) out += "Arrival-Date: " + harmless(input.arrival_date, 64) + "\r\n";
    for (const auto& recipient : input.recipients) out += recipient_block(input, recipient);

    if (!input.original.empty() && input.original.size() <= max_whole && is_plain_7bit(input.original))
        return out + "\r\n" + delimiter +
               "\r\nContent-Description: The message\r\nContent-Type: message/rfc822\r\n\r\n" +
               input.original + "\r\n" + delimiter + "--\r\n";

    // RFC 6522 3: the header alone; the body may be large, or private.
    std::string_view header = bounded_header(input.original_header);
    bool plain = is_plain_7bit(header);
    out += "\r\n" + delimiter +
           "\r\nContent-Description: Headers of the message\r\nContent-Type: text/rfc822-headers\r\n";
    out += plain ? "\r\n" : "Content-Transfer-Encoding: quoted-printable\r\n\r\n";
    out += plain ? std::string(header) : quoted_printable(header);
    return out + "\r\n" + delimiter + "--\r\n";
}

}  // namespace fwmail::smtp
