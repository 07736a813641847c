#include "mime/mbox.hpp"

namespace fwmail::mime {

std::string LineEndsToCrlf::add(std::string_view octets) {
    if (!convert_) {
        std::size_t end = octets.find('\n');
        if (end != std::string_view::npos) convert_ = !(end == 0 ? after_cr_ : octets[end - 1] == '\r');
    }
    std::string out;
    out.reserve(octets.size() + octets.size() / 32);
    for (char c : octets) {
        if (c == '\n' && convert_.value_or(false) && !after_cr_) out += '\r';
        after_cr_ = c == '\r';
        out += c;
    }
    return out;
}

std::string LineEndsToLf::add(std::string_view octets) {
    std::string out;
    out.reserve(octets.size());
    for (char c : octets) {
        if (after_cr_ && c != '\n') out += '\r';
        after_cr_ = c == '\r';
        if (!after_cr_) out += c;
    }
    return out;
}

std::string LineEndsToLf::finish() { return after_cr_ ? "\r" : ""; }

void LineEndsCheck::add(std::string_view octets) {
    for (char c : octets) {
        if ((c == '\n') != after_cr_) good_ = false;
        after_cr_ = c == '\r';
    }
}

}  // namespace fwmail::mime
