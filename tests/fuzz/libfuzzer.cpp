// One target as a program for libFuzzer: the only one that is linked in.
#include "fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const fwmail::fuzz::Target target = fwmail::fuzz::targets().begin()->second;
    target(fwmail::fuzz::Input(data, size));
    return 0;
}
