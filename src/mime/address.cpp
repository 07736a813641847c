#include "mime/address.hpp"

#include <algorithm>

#include "base/encoding.hpp"

namespace fwmail::mime {

namespace {

bool is_space(char c) { return static_cast<unsigned char>(c) <= 32 || c == 127; }
bool is_atom_char(char c) {
    return !is_space(c) && std::string_view("()<>[]:;@\\,\"").find(c) == std::string_view::npos;
}

// Reads an address list, one address at a time, keeping the words since the last separator until it is known
// what they were. Every octet is looked at a bounded number of times.
class AddressReader {
  public:
    AddressReader(std::string_view text, std::size_t limit) : text_(text), limit_(limit) {}

    std::vector<Address> read() {
        while (at_ < text_.size() && has_room()) step();
        end_address();
        end_group();
        return std::move(out_);
    }

  private:
    struct Word {
        std::string text;
        bool space_before;
        bool quoted = false;
    };

    // Room for one entry, and for the end of an open group.
    bool has_room() const { return out_.size() + (in_group_ ? 1 : 0) < limit_; }

    void step() {
        char c = text_[at_];
        switch (c) {
            case '(':
                comment_ = comment();
                break;
            case '"':
                quoted();
                break;
            case '<':
                angle();
                break;
            case '@':
                at_sign();
                break;
            case '[':
                add_word(literal(), false);
                break;
            case ':':
                ++at_;
                start_group();
                break;
            case ';':
                ++at_;
                end_address();
                end_group();
                break;
            case ',':
                ++at_;
                end_address();
                break;
            case '\\':  // RFC 822 let a quoted pair stand in a word
                ++at_;
                if (at_ < text_.size() && !is_space(text_[at_]))
                    add_word(std::string(1, text_[at_++]), false);
                break;
            case '>':
            case ']':
            case ')':
                ++at_;
                break;  // stray
            default:
                if (is_space(c)) {
                    ++at_;
                    space_ = true;
                } else {
                    add_word(atom(), false);
                }
        }
    }
    // local@domain without angle brackets. The last of several '@' parts the two.
    void at_sign() {
        ++at_;
        std::string host = domain();
        if (in_angle_) return;
        if (has_at_) {
            local_ += "@" + domain_;
        } else {
            std::size_t start = local_start();
            for (std::size_t i = start; i < words_.size(); ++i) local_ += words_[i].text;
            words_.resize(start);
        }
        has_at_ = true;
        domain_ = std::move(host);
    }
    void add_word(std::string text, bool quoted) {
        words_.push_back({std::move(text), space_ && !words_.empty(), quoted});
        space_ = false;
    }
    std::string atom() {
        std::size_t from = at_;
        while (at_ < text_.size() && is_atom_char(text_[at_])) ++at_;
        return std::string(text_.substr(from, at_ - from));
    }
    // Reads what stands between text_[at_] and its `close`, without backslashes. Without a closing one only
    // the opening octet is taken, now and, through `none_left`, for the rest of the text: nothing is scanned
    // twice.
    std::string between(char close, bool& none_left) {
        std::size_t from = ++at_;
        if (none_left) return {};
        std::string out;
        for (std::size_t i = from; i < text_.size(); ++i) {
            if (text_[i] == close) {
                at_ = i + 1;
                return out;
            }
            if (text_[i] == '\\' && i + 1 < text_.size()) ++i;
            if (text_[i] != '\r' && text_[i] != '\n' && text_[i] != '\0') out += text_[i];
        }
        none_left = true;
        return {};
    }
    void quoted() {
        std::string text = between('"', no_quote_);
        if (!no_quote_) add_word(std::move(text), true);
    }
    std::string literal() {
        std::string text = between(']', no_bracket_);
        return no_bracket_ ? "" : "[" + text + "]";
    }
    std::string comment() {  // RFC 5322 3.2.2: they nest
        std::size_t from = ++at_;
        if (no_paren_) return {};
        std::string out;
        std::size_t depth = 1;
        for (std::size_t i = from; i < text_.size(); ++i) {
            char c = text_[i];
            if (c == '(') ++depth;
            if (c == ')' && --depth == 0) {
                at_ = i + 1;
                space_ = true;
                return trimmed(out);
            }
            if (c == '\\' && i + 1 < text_.size()) c = text_[++i];
            if (c != '\r' && c != '\n' && c != '\0') out += c;
        }
        no_paren_ = true;
        return {};
    }
    static std::string trimmed(const std::string& text) {
        std::size_t from = text.find_first_not_of(" \t");
        return from == std::string::npos ? "" : text.substr(from, text.find_last_not_of(" \t") - from + 1);
    }
    // A domain after '@'; white space around its dots is dropped (RFC 5322 4.4).
    std::string domain() {
        std::string out;
        bool space = false;
        while (at_ < text_.size()) {
            char c = text_[at_];
            if (is_space(c)) {
                ++at_;
                space = true;
            } else if (c == '(') {
                std::string text = comment();
                if (!text.empty()) comment_ = std::move(text);
                space = true;
            } else if (c == '[' && out.empty()) {
                out = literal();
            } else if (is_atom_char(c)) {
                if (space && !out.empty() && c != '.' && out.back() != '.') break;  // a word that is not ours
                out += atom();
                space = false;
            } else {
                break;
            }
        }
        return out;
    }
    // <[@route:]local@domain>, the closing one perhaps missing (RFC 5322 3.4, 4.4).
    void angle() {
        ++at_;
        std::string local;
        std::size_t last_at = std::string::npos;  // the last '@' outside of quotes parts local and domain
        while (at_ < text_.size()) {
            char c = text_[at_];
            if (c == '>') break;
            if ((c == ',' || c == ';') && !local.starts_with('@')) break;
            if (c == '<' && last_at != std::string::npos) break;
            if (c == '(')
                comment();
            else if (c == '"') {
                std::string text = between('"', no_quote_);
                if (last_at == std::string::npos) local += text;  // no domain is quoted
            } else if (c == '[')
                local += literal();
            else if (c == ':' && local.starts_with('@')) {  // the route, which RFC 5321 tells us to forget
                ++at_;
                local.clear();
                last_at = std::string::npos;
            } else {
                if (c == '@') last_at = local.size();
                if (!is_space(c)) local += c;
                ++at_;
            }
        }
        if (at_ < text_.size() && text_[at_] == '>') ++at_;
        std::string host;
        if (last_at != std::string::npos) {
            host = local.substr(last_at + 1);
            local.resize(last_at);
        }
        if (in_angle_) return;  // a second one in one address
        in_angle_ = true;
        if (has_at_)
            words_.push_back({local_ + "@" + domain_, !words_.empty()});  // an address as display name
        local_ = std::move(local);
        domain_ = std::move(host);
    }

    // All words as they stood, one space where there was any.
    std::string phrase(std::size_t count) const {
        std::string out;
        for (std::size_t i = 0; i < count; ++i) {
            if (words_[i].space_before) out += ' ';
            out += words_[i].text;
        }
        return out;
    }
    static std::optional<std::string> non_empty(std::string text) {
        if (text.empty()) return std::nullopt;
        return text;
    }
    // Where the local part starts in the words: those that touch, or have a dot between them, are one (RFC
    // 5322 4.4).
    std::size_t local_start() const {
        std::size_t i = words_.empty() ? 0 : words_.size() - 1;
        while (i > 0 && (!words_[i].space_before || (!words_[i].quoted && words_[i].text.starts_with('.')) ||
                         (!words_[i - 1].quoted && words_[i - 1].text.ends_with('.'))))
            --i;
        return i;
    }
    void end_address() {
        Address address;
        if (in_angle_) {
            std::string name = phrase(words_.size());
            if (name.empty()) name = comment_;
            if (!local_.empty() || !domain_.empty() || !name.empty())
                out_.push_back({non_empty(name), std::move(local_), std::move(domain_)});
        } else if (has_at_) {
            std::string name = phrase(words_.size());
            if (name.empty()) name = comment_;
            if (!local_.empty() || !domain_.empty())
                out_.push_back({non_empty(name), std::move(local_), std::move(domain_)});
        } else if (words_.size() == 1 || (!words_.empty() && local_start() == 0)) {
            out_.push_back({non_empty(comment_), phrase(words_.size()), ""});
        } else if (!words_.empty()) {
            out_.push_back({phrase(words_.size()), "", ""});
        }
        clear();
    }
    void start_group() {
        if (in_group_ || in_angle_ || has_at_ || words_.empty() || out_.size() + 2 > limit_) return;
        out_.push_back({std::nullopt, phrase(words_.size()), std::nullopt});
        in_group_ = true;
        clear();
    }
    void end_group() {
        if (in_group_) out_.emplace_back();
        in_group_ = false;
    }
    void clear() {
        words_.clear();
        local_.clear();
        domain_.clear();
        comment_.clear();
        in_angle_ = has_at_ = space_ = false;
    }

    std::string_view text_;
    std::size_t limit_;
    std::size_t at_ = 0;
    std::vector<Address> out_;
    std::vector<Word> words_;
    std::string local_, domain_, comment_;
    bool in_angle_ = false, has_at_ = false, in_group_ = false, space_ = false;
    bool no_quote_ = false, no_paren_ = false, no_bracket_ = false;
};

bool is_atext_word(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) {
        return static_cast<unsigned char>(c) >= 128 || (c >= '0' && c <= '9') ||
               (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') ||
               std::string_view("!#$%&'*+-/=?^_`{|}~").find(c) != std::string_view::npos;
    });
}

std::string quote(std::string_view text) {
    std::string out = "\"";
    for (char c : text) {
        if (c == '\r' || c == '\n' || c == '\0') continue;
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + '"';
}

// A display name or group name: atoms with single spaces, else quoted (RFC 5322 3.2.5).
std::string write_phrase(std::string_view text) {
    std::size_t from = 0;
    while (from <= text.size()) {
        std::size_t space = std::min(text.find(' ', from), text.size());
        if (!is_atext_word(text.substr(from, space - from))) return quote(text);
        from = space + 1;
    }
    return std::string(text);
}

bool is_dot_atom(std::string_view text) {
    std::size_t from = 0;
    while (from <= text.size()) {
        std::size_t dot = std::min(text.find('.', from), text.size());
        if (!is_atext_word(text.substr(from, dot - from))) return false;
        from = dot + 1;
    }
    return true;
}

}  // namespace

std::vector<Address> parse_addresses(std::string_view value, std::size_t limit) {
    return AddressReader(value, limit).read();
}

std::string write_addr_spec(const Address& address) {
    std::string local = address.mailbox.value_or("");
    std::string out = is_dot_atom(local) ? local : quote(local);
    if (address.host && !address.host->empty()) out += "@" + *address.host;
    return out;
}

std::string write_addresses(const std::vector<Address>& addresses) {
    std::string out;
    bool separate = false;
    for (const auto& address : addresses) {
        if (!address.host) {
            if (address.mailbox)
                out += (separate ? ", " : "") + write_phrase(*address.mailbox) + ": ";
            else
                out += ";";
            separate = !address.mailbox;
            continue;
        }
        if (separate) out += ", ";
        if (address.name)
            out += write_phrase(*address.name) + " <" + write_addr_spec(address) + ">";
        else
            out += write_addr_spec(address);
        separate = true;
    }
    return out;
}

Envelope parse_envelope(std::string_view header, std::size_t max_addresses) {
    return parse_envelope(HeaderView(header), max_addresses);
}

Envelope parse_envelope(const HeaderView& header, std::size_t max_addresses) {
    auto addresses = [&](std::string_view name) {
        const Field* field = header.find(name);
        return field ? parse_addresses(unfold(field->value), max_addresses) : std::vector<Address>();
    };
    Envelope envelope;
    envelope.date = header.value("Date");
    envelope.subject = header.value("Subject");
    envelope.from = addresses("From");
    envelope.sender = addresses("Sender");
    envelope.reply_to = addresses("Reply-To");
    envelope.to = addresses("To");
    envelope.cc = addresses("Cc");
    envelope.bcc = addresses("Bcc");
    envelope.in_reply_to = header.value("In-Reply-To");
    envelope.message_id = header.value("Message-ID");
    envelope.references = header.value("References");
    if (envelope.sender.empty()) envelope.sender = envelope.from;
    if (envelope.reply_to.empty()) envelope.reply_to = envelope.from;
    return envelope;
}

std::vector<std::string> parse_message_ids(std::string_view value, std::size_t limit) {
    std::vector<std::string> ids;
    std::size_t at = 0;
    while (ids.size() < limit && (at = value.find('<', at)) != std::string_view::npos) {
        std::size_t end = value.find('>', at);
        if (end == std::string_view::npos) break;
        std::string id;
        for (char c : value.substr(at, end + 1 - at))
            if (!is_space(c)) id += c;
        if (std::size_t nested = id.rfind('<'); nested > 0) id.erase(0, nested);  // an unclosed one before it
        if (id.size() > 2) ids.push_back(std::move(id));
        at = end + 1;
    }
    return ids;
}

}  // namespace fwmail::mime
