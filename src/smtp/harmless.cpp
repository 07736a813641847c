#include "smtp/harmless.hpp"

namespace fwmail::smtp {

std::string harmless(std::string_view text, std::size_t limit) {
    std::string out(text.substr(0, limit));
    for (char& c : out) {
        if ((c >= 0 && c < ' ') || c == 127) c = ' ';
        if (static_cast<unsigned char>(c) > 127) c = '?';
    }
    return out;
}

std::string harmless_in_comment(std::string_view text, std::size_t limit) {
    std::string out = harmless(text, limit);
    for (char& c : out)
        if (c == '(' || c == ')' || c == '\\') c = '?';
    return out;
}

}  // namespace fwmail::smtp
