#include "mime/structure.hpp"

#include <algorithm>
#include <cstring>

#include "base/encoding.hpp"
#include "mime/address.hpp"
#include "mime/encoded_word.hpp"
#include "mime/header.hpp"
#include "mime/transfer.hpp"

namespace fwmail::mime {

namespace {

constexpr std::size_t max_head = 512;      // a delimiter line, without its ending, is at most as long as this
constexpr std::size_t max_boundary = 256;  // RFC 2046 5.1.1 says 70

std::string_view without_cr(std::string_view line) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
}

std::string_view without_trailing_space(std::string_view text) {
    return text.substr(0, text.find_last_not_of(" \t\r") + 1);
}

bool is_token(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) {
        auto u = static_cast<unsigned char>(c);
        return u > 32 && u < 127 && std::string_view("()<>@,;:\\\"/[]?=").find(c) == std::string_view::npos;
    });
}

bool is_encoded(std::string_view encoding) {
    return transfer_encoding(encoding) != TransferEncoding::identity || encoding == "x-uuencode" ||
           encoding == "uuencode" || encoding == "x-uue";
}

bool may_hold_message(const Part& part) {
    return part.type == "message" && (part.subtype == "rfc822" || part.subtype == "global") &&
           !is_encoded(part.encoding);
}

// The boundary as delimiter lines show it; empty when there is none that can be used.
std::string boundary_of(const Part& part) {
    const std::string* plain = find_parameter(part.parameters, "boundary");
    std::string boundary = plain ? *plain : decode_parameter(part.parameters, "boundary").value_or("");
    boundary.resize(without_trailing_space(boundary).size());
    if (boundary.size() > max_boundary || boundary.find('\n') != std::string::npos) boundary.clear();
    return boundary;
}

void read_content_type(Part& part, const HeaderView& header, std::size_t max_parameters) {
    auto value = header.value("Content-Type");
    if (!value) return;
    auto parsed = parse_parameterized(*value, max_parameters);
    std::string_view type = parsed.value, subtype;
    if (std::size_t slash = type.find('/'); slash != std::string_view::npos) {
        subtype = type.substr(slash + 1);
        type = type.substr(0, slash);
    }
    // RFC 2045 5.2: what cannot be read is text/plain.
    part.type = "text";
    part.subtype = "plain";
    if (!is_token(type) || !is_token(subtype)) return;
    part.type = type;
    part.subtype = subtype;
    part.parameters = std::move(parsed.parameters);
}

void read_content_fields(Part& part, const HeaderView& header, std::size_t max_parameters) {
    read_content_type(part, header, max_parameters);
    if (auto encoding = header.value("Content-Transfer-Encoding")) {
        std::string word = parse_parameterized(*encoding, 0).value;
        if (is_token(word)) part.encoding = word;
    }
    if (auto disposition = header.value("Content-Disposition")) {
        auto parsed = parse_parameterized(*disposition, max_parameters - part.parameters.size());
        if (is_token(parsed.value)) {
            part.disposition = std::move(parsed.value);
            part.disposition_parameters = std::move(parsed.parameters);
        }
    }
    part.id = header.value("Content-ID");
    part.description = header.value("Content-Description");
    part.md5 = header.value("Content-MD5");
    part.location = header.value("Content-Location");
    if (auto languages = header.value("Content-Language")) {  // RFC 3282: tags with commas between
        std::string_view rest = *languages;
        while (!rest.empty() && part.language.size() < 20) {
            std::size_t comma = std::min(rest.find(','), rest.size());
            std::string tag = parse_parameterized(rest.substr(0, comma), 0).value;
            if (is_token(tag)) part.language.push_back(std::move(tag));
            rest.remove_prefix(std::min(comma + 1, rest.size()));
        }
    }
}

}  // namespace

StructureParser::StructureParser(StructureLimits limits) : limits_(limits) { open_part(0, true, false); }

void StructureParser::open_part(std::uint64_t offset, bool is_message, bool default_message) {
    Open& open = open_.emplace_back();
    open.part.header.offset = offset;
    open.is_message = is_message;
    open.default_message = default_message;
    ++parts_;
    in_header_ = first_line_ = true;
    header_.clear();
    header_line_ = 0;
    header_cut_ = false;
}

void StructureParser::store_header(std::string_view piece) {
    std::size_t room = std::min(limits_.header, limits_.headers - header_total_) - header_.size();
    if (piece.size() > room) header_cut_ = true;
    header_.append(piece.substr(0, room));
}

void StructureParser::read_header(Open& open) {
    Part& part = open.part;
    if (header_cut_) header_.resize(header_.rfind('\n') + 1);  // half a line is none
    header_total_ += header_.size();
    HeaderView header(header_);
    if (open.default_message) {
        part.type = "message";
        part.subtype = "rfc822";
    }
    read_content_fields(part, header, std::min<std::size_t>(100, limits_.parameters - parameters_));
    parameters_ += part.parameters.size() + part.disposition_parameters.size();
    if (open.is_message) {
        Envelope& e = part.envelope.emplace(
            parse_envelope(header, std::min<std::size_t>(1000, (limits_.addresses - addresses_) / 8)));
        addresses_ +=
            e.from.size() + e.sender.size() + e.reply_to.size() + e.to.size() + e.cc.size() + e.bcc.size();
    }
    header_.clear();
}

// The header of the innermost part ends before the octet `header_end`, where its body starts.
void StructureParser::end_header(std::uint64_t header_end, std::uint64_t body_lf) {
    Open& open = open_.back();
    read_header(open);
    open.part.header.length = header_end - open.part.header.offset;
    open.part.body.offset = header_end;
    open.lf_at_body = body_lf;
    in_header_ = first_line_ = false;
    bool room = open_.size() < limits_.depth && parts_ < limits_.parts;
    if (open.part.is_multipart()) {
        std::string boundary = boundary_of(open.part);
        if (boundary.empty()) {
            open.part.type = "text";
            open.part.subtype = "plain";
            open.part.parameters.clear();
        } else if (room) {
            open.in_digest = open.part.subtype == "digest";
            boundaries_.push_back({std::move(boundary), open_.size() - 1});
        }
    } else if (room && may_hold_message(open.part)) {
        open_part(header_end, true, false);  // invalidates `open`
    }
}

// The innermost part ends before the octet `end`.
void StructureParser::close_part(std::uint64_t end, std::uint64_t lf_before_end, bool unterminated) {
    Open open = std::move(open_.back());
    open_.pop_back();
    while (!boundaries_.empty() && boundaries_.back().level >= open_.size()) boundaries_.pop_back();
    Part& part = open.part;
    if (end > part.body.offset) {
        part.body.length = end - part.body.offset;
        part.body_lines = lf_before_end - open.lf_at_body + (unterminated ? 1 : 0);
    }
    open_.back().part.children.push_back(std::move(part));
}

bool StructureParser::match(std::string_view content, std::size_t& index, bool& closing) const {
    std::string_view text = without_trailing_space(content).substr(2);
    for (std::size_t i = boundaries_.size(); i-- > 0;) {
        const std::string& boundary = boundaries_[i].text;
        if (text.size() != boundary.size() && text.size() != boundary.size() + 2) continue;
        closing = text.size() != boundary.size();
        if (!text.starts_with(boundary) || (closing && !text.ends_with("--"))) continue;
        index = i;
        return true;
    }
    return false;
}

// Whether the line was a delimiter, which it then has acted on.
bool StructureParser::on_delimiter_line(std::string_view content, bool has_lf) {
    std::size_t index = 0;
    bool closing = false;
    if (boundaries_off_ || !content.starts_with("--") || !match(content, index, closing)) return false;
    if (!closing && parts_ >= limits_.parts) {
        boundaries_off_ = true;
        return false;
    }
    std::size_t level = boundaries_[index].level;
    header_.resize(std::min(header_.size(), header_line_));
    while (in_header_) {
        end_header(std::max(open_.back().part.header.offset, prev_ending_), lf_);
    }
    // The line ending before a delimiter belongs to it, unless it ends a header or another delimiter.
    std::uint64_t end = prev_ending_, lf = lf_ - 1;
    bool unterminated = prev_ending_ != prev_line_start_;
    while (open_.size() > level + 1) {
        if (open_.back().part.body.offset > end) {
            end = line_start_;
            lf = lf_;
            unterminated = false;
        }
        close_part(end, lf, unterminated);
    }
    advance(has_lf);
    if (closing)
        boundaries_.pop_back();
    else
        open_part(line_start_, false, open_[level].in_digest);
    return true;
}

// A first line that is no field makes an empty header: what was taken for one is body, here and in a message
// that starts at the same octet.
void StructureParser::decide_first_line(std::string_view head) {
    while (in_header_ && first_line_ && !starts_field(head) && !is_mbox_from(head)) {
        header_.clear();
        header_cut_ = false;
        end_header(line_start_, lf_);
    }
    first_line_ = false;
}

void StructureParser::advance(bool has_lf) {
    prev_line_start_ = line_start_;
    line_start_ = pos_;
    if (has_lf) ++lf_;
    line_ = Line::fresh;
    head_.clear();
    header_line_ = header_.size();
}

// pos_ is behind the line. `head` is the line without LF, if `whole`, otherwise its first octets or nothing.
void StructureParser::end_line(std::string_view head, bool whole, bool has_lf) {
    std::string_view content = has_lf ? without_cr(head) : head;
    std::uint64_t ending = has_lf ? pos_ - 1 - (last_ == '\r' && pos_ - 1 > line_start_ ? 1 : 0) : pos_;
    if (whole && on_delimiter_line(content, has_lf)) {
        prev_ending_ = ending;
        return;
    }
    bool empty = in_header_ && whole && has_lf && content.empty();
    if (in_header_ && first_line_ && whole && !empty) decide_first_line(head);
    advance(has_lf);
    prev_ending_ = ending;
    if (empty) end_header(line_start_, lf_);
}

// Body text up to a line that has to be looked at.
const char* StructureParser::skip_body(const char* p, const char* end) {
    bool look = !boundaries_.empty() && !boundaries_off_;
    while (p < end) {
        if (line_ == Line::fresh) {
            if (look && *p == '-') return p;
            line_ = Line::skipping;
        }
        const char* lf = static_cast<const char*>(std::memchr(p, '\n', static_cast<std::size_t>(end - p)));
        const char* stop = lf ? lf : end;
        if (stop > p) last_ = stop[-1];
        pos_ += static_cast<std::uint64_t>(stop - p) + (lf ? 1 : 0);
        if (!lf) return end;
        prev_ending_ = pos_ - 1 - (last_ == '\r' && pos_ - 1 > line_start_ ? 1 : 0);
        prev_line_start_ = line_start_;
        line_start_ = pos_;
        last_ = '\n';
        ++lf_;
        line_ = Line::fresh;
        p = lf + 1;
    }
    return p;
}

// A piece of a line that may be a delimiter or belongs to a header.
void StructureParser::collect(const char*& p, const char* end) {
    const char* lf = static_cast<const char*>(std::memchr(p, '\n', static_cast<std::size_t>(end - p)));
    const char* stop = lf ? lf : end;
    std::string_view piece(p, static_cast<std::size_t>(stop - p));
    pos_ += piece.size() + (lf ? 1 : 0);
    if (!piece.empty()) last_ = piece.back();
    if (in_header_) store_header(std::string_view(p, piece.size() + (lf ? 1 : 0)));
    p = lf ? lf + 1 : end;
    std::string_view head;
    if (line_ == Line::skipping) {  // of a header line too long to be anything else
    } else if (head_.empty() && lf && piece.size() <= max_head) {
        head = piece;
    } else {
        head_.append(piece.substr(0, max_head + 1 - head_.size()));
        head = head_;
        if (head_.size() > max_head) {
            if (in_header_ && first_line_) decide_first_line(head.substr(0, max_head));
            line_ = Line::skipping;
            head_.clear();
            head = {};
        } else {
            line_ = Line::collecting;
        }
    }
    if (!lf) return;
    end_line(head, line_ != Line::skipping, true);
    last_ = '\n';
}

void StructureParser::feed(std::string_view octets) {
    if (in_header_ && open_.size() == 1 && top_.size() < kept_header)
        top_ += octets.substr(0, kept_header - top_.size());
    const char* p = octets.data();
    const char* end = p + octets.size();
    while (p < end) {
        if (!in_header_ && line_ != Line::collecting) p = skip_body(p, end);
        if (p < end) collect(p, end);
    }
}

Part StructureParser::finish() {
    if (line_ != Line::fresh) end_line(head_, line_ == Line::collecting, false);
    while (in_header_) end_header(pos_, lf_);
    bool unterminated = pos_ > 0 && last_ != '\n';
    while (open_.size() > 1) close_part(pos_, lf_, unterminated);
    Part root = std::move(open_[0].part);
    top_length_ = root.header.length;
    if (pos_ > root.body.offset) {
        root.body.length = pos_ - root.body.offset;
        root.body_lines = lf_ - open_[0].lf_at_body + (unterminated ? 1 : 0);
    }
    return root;
}

std::optional<std::string_view> StructureParser::header() const {
    if (top_length_ > top_.size()) return std::nullopt;
    return std::string_view(top_).substr(0, top_length_);
}

Part parse_structure(std::string_view message) {
    StructureParser parser;
    parser.feed(message);
    return parser.finish();
}

}  // namespace fwmail::mime
