// What every fuzz target is made of. A target reads one input, and throws PropertyBroken when something that
// must always hold does not: libFuzzer then keeps the input, and the replay in the unit tests names it.
//
// An input is text, and behind the last `marker` octets that steer what is not text: options, the backend's
// answers, where the text is cut. They may be missing and then are zero, so that any dialogue or message is a
// seed as it is.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <source_location>
#include <stdexcept>
#include <string>
#include <string_view>

namespace fwmail::fuzz {

class PropertyBroken : public std::logic_error {
  public:
    using std::logic_error::logic_error;
};

inline void require(bool holds, const char* what,
                    std::source_location where = std::source_location::current()) {
    if (holds) return;
    std::string_view file = where.file_name();
    throw PropertyBroken(std::string(file.substr(file.rfind('/') + 1)) + ':' + std::to_string(where.line()) +
                         ": " + what);
}

// Octets that steer. Behind the end they are zero.
class Control {
  public:
    explicit Control(std::string_view octets) : rest_(octets) {}
    std::uint8_t octet() {
        if (rest_.empty()) return 0;
        auto value = static_cast<std::uint8_t>(rest_.front());
        rest_.remove_prefix(1);
        return value;
    }
    bool empty() const { return rest_.empty(); }
    // Up to `most` octets, as many as the next octet says.
    std::string text(std::size_t most) {
        std::size_t count = std::min<std::size_t>({octet(), most, rest_.size()});
        std::string out(rest_.substr(0, count));
        rest_.remove_prefix(count);
        return out;
    }

  private:
    std::string_view rest_;
};

struct Input {
    static constexpr std::string_view marker = "\xFF\xFE";
    std::string_view text, control;

    Input(const std::uint8_t* data, std::size_t size) {
        std::string_view all(reinterpret_cast<const char*>(data), size);
        std::size_t at = all.rfind(marker);
        text = all.substr(0, at);
        if (at != std::string_view::npos) control = all.substr(at + marker.size());
    }
};

// Calls `take` with the text in pieces: short and long ones, as a seed says.
template <class Take>
void in_pieces(std::string_view text, std::uint32_t seed, Take take) {
    for (std::uint32_t state = seed * 2654435761u + 1; !text.empty();) {
        state = state * 1664525u + 1013904223u;
        std::size_t length = state >> 30 ? 1 + (state >> 8) % 7 : 1 + (state >> 8) % 300;
        length = std::min(length, text.size());
        take(text.substr(0, length));
        text.remove_prefix(length);
    }
}

// One driver is fed the text as it is, the other one in pieces.
template <class Driver>
struct WholeAndCut {
    Driver whole, cut;

    explicit WholeAndCut(const Input& input) : whole(Control(input.control)), cut(Control(input.control)) {
        whole.feed(input.text);
        in_pieces(input.text, static_cast<std::uint32_t>(input.control.size()),
                  [&](std::string_view piece) { cut.feed(piece); });
    }
    void finish() {
        whole.finish();
        cut.finish();
    }
    void require_same() const {
        require(whole.sent == cut.sent && whole.trace == cut.trace, "the dialogue does not depend on cuts");
    }
};

using Target = void (*)(const Input& input);

// All targets that are linked in, by name.
inline std::map<std::string, Target>& targets() {
    static std::map<std::string, Target> all;
    return all;
}
struct Registration {
    Registration(const char* name, Target target) { targets()[name] = target; }
};

}  // namespace fwmail::fuzz

#define FUZZ_TARGET(name)                                                              \
    static void fuzz_##name(const ::fwmail::fuzz::Input& input);                       \
    static const ::fwmail::fuzz::Registration registration_##name(#name, fuzz_##name); \
    static void fuzz_##name(const ::fwmail::fuzz::Input& input)
