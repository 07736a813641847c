// The seeds of random histories: 1 to so many, or as FWMAIL_SEED (the first) and FWMAIL_ROUNDS (the last)
// say, to run one once more, or many more.
#pragma once

#include <cstdlib>
#include <ranges>

namespace fwmail::test {

inline auto seeds(unsigned usual) {
    auto number = [](const char* name, unsigned otherwise) {
        const char* text = std::getenv(name);
        return text ? static_cast<unsigned>(std::strtoul(text, nullptr, 10)) : otherwise;
    };
    return std::views::iota(number("FWMAIL_SEED", 1), number("FWMAIL_ROUNDS", usual) + 1);
}

}  // namespace fwmail::test
