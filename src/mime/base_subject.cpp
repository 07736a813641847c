#include "mime/base_subject.hpp"

#include "base/encoding.hpp"
#include "mime/encoded_word.hpp"

namespace fwmail::mime {
namespace {

constexpr std::string_view forward_header = "[fwd:", forward_trailer = "(fwd)";

bool starts_with_word(std::string_view text, std::string_view lower) {
    return text.size() >= lower.size() && equal_ignoring_case(text.substr(0, lower.size()), lower);
}

std::size_t spaces(std::string_view text) {
    std::size_t at = text.find_first_not_of(' ');
    return at == std::string_view::npos ? text.size() : at;
}

// subj-blob = "[" *BLOBCHAR "]" *WSP; the length of one at the head of `text`, or 0. Octets beyond ASCII
// count as BLOBCHAR: the grammar is from before the text was UTF-8.
std::size_t blob(std::string_view text) {
    if (!text.starts_with('[')) return 0;
    std::size_t end = text.find_first_of("[]", 1);
    if (end == std::string_view::npos || text[end] == '[') return 0;
    return end + 1 + spaces(text.substr(end + 1));
}

// subj-refwd = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":"; likewise.
std::size_t refwd(std::string_view text) {
    std::size_t at = starts_with_word(text, "fwd")                                  ? 3
                     : starts_with_word(text, "re") || starts_with_word(text, "fw") ? 2
                                                                                    : 0;
    if (!at) return 0;
    at += spaces(text.substr(at));
    at += blob(text.substr(at));
    return text.substr(at).starts_with(':') ? at + 1 : 0;
}

// (1): RFC 2047 undone, each run of white space one space.
std::string plain(std::string_view field) {
    std::string out;
    for (char c : decode_header(field)) {
        bool space = c == ' ' || c == '\t' || c == '\r' || c == '\n';
        if (space && out.ends_with(' ')) continue;
        out += space ? ' ' : c;
    }
    return out;
}

// (2)
void remove_trailers(std::string_view& text, bool& reply) {
    for (;;) {
        if (text.ends_with(' ')) {
            text.remove_suffix(1);
        } else if (text.size() >= forward_trailer.size() &&
                   starts_with_word(text.substr(text.size() - forward_trailer.size()), forward_trailer)) {
            text.remove_suffix(forward_trailer.size());
            reply = true;
        } else {
            return;
        }
    }
}

// (3) to (5): subj-leader = (*subj-blob subj-refwd) / WSP, and blobs that something stands behind. A run of
// blobs is read once, so that a subject full of them takes no quadratic time.
void remove_leaders(std::string_view& text, bool& reply) {
    for (;;) {
        text.remove_prefix(spaces(text));
        std::size_t run = 0, last = 0;
        while (std::size_t length = blob(text.substr(run))) {
            run += length;
            last = length;
        }
        if (std::size_t length = refwd(text.substr(run))) {
            text.remove_prefix(run + length);
            reply = true;
            continue;
        }
        text.remove_prefix(run < text.size() ? run : run - last);
        return;
    }
}

}  // namespace

BaseSubject base_subject(std::string_view field) {
    std::string whole = plain(field);
    std::string_view text = whole;
    bool reply = false;
    for (;;) {
        remove_trailers(text, reply);
        remove_leaders(text, reply);
        // (6)
        if (!starts_with_word(text, forward_header) || !text.ends_with(']')) break;
        text.remove_prefix(forward_header.size());
        text.remove_suffix(1);
        reply = true;
    }
    return {std::string(text), reply};
}

}  // namespace fwmail::mime
