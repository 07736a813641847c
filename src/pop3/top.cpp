#include "pop3/top.hpp"

#include <utility>

namespace fwmail::pop3 {

std::string_view TopCutter::take(std::string_view octets) {
    std::size_t used = 0;
    while (!done_ && used < octets.size()) {
        std::size_t end = octets.find('\n', used);
        std::string_view piece = octets.substr(used, end == std::string_view::npos ? end : end - used);
        if (!piece.empty()) empty_ = !std::exchange(begun_, true) && piece == "\r";
        used += piece.size();
        if (end == std::string_view::npos) break;
        ++used;
        if (in_header_)
            in_header_ = !empty_;
        else
            --lines_;
        empty_ = true;
        begun_ = false;
        done_ = !in_header_ && lines_ == 0;
    }
    return octets.substr(0, used);
}

}  // namespace fwmail::pop3
