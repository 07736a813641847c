#include "mime/dot_stuffing.hpp"

#include <cstring>

namespace fwmail::mime {

namespace {

constexpr std::uint64_t every_octet(std::uint64_t value) { return value * 0x0101010101010101; }

bool has_zero_octet(std::uint64_t word) { return ((word - every_octet(1)) & ~word & every_octet(0x80)) != 0; }

// Octets up to the next CR or LF; eight at a time while there is none.
std::size_t plain_run(std::string_view octets) {
    std::size_t run = 0;
    for (std::uint64_t word; run + sizeof word <= octets.size(); run += sizeof word) {
        std::memcpy(&word, octets.data() + run, sizeof word);
        if (has_zero_octet(word ^ every_octet('\r')) || has_zero_octet(word ^ every_octet('\n'))) break;
    }
    while (run < octets.size() && octets[run] != '\r' && octets[run] != '\n') ++run;
    return run;
}

}  // namespace

std::string DotStuffer::add(std::string_view octets) {
    std::string out;
    out.reserve(octets.size() + octets.size() / 64 + 2);
    while (!octets.empty()) {
        if (state_ == State::text) {
            std::size_t run = plain_run(octets);
            out.append(octets.substr(0, run));
            octets.remove_prefix(run);
            if (octets.empty()) break;
        }
        step(octets[0], out);
        octets.remove_prefix(1);
    }
    return out;
}

void DotStuffer::step(char c, std::string& out) {
    if (c == '\n') {
        out += "\r\n";
        state_ = State::line_start;
        return;
    }
    if (state_ == State::cr) {
        out += ' ';
        state_ = State::text;
    }
    if (c == '\r') {
        state_ = State::cr;
        return;
    }
    if (c == '.' && state_ == State::line_start) out += '.';
    out += c;
    state_ = State::text;
}

std::string DotStuffer::finish() {
    added_ = state_ != State::line_start;  // a CR at the very end becomes one with it
    return added_ ? "\r\n.\r\n" : ".\r\n";
}

std::size_t DotUnstuffer::add(std::string_view wire, std::string& out) {
    std::size_t used = 0;
    while (used < wire.size() && !done_) {
        if (state_ == State::text) {
            std::size_t run = plain_run(wire.substr(used));
            out.append(wire.substr(used, run));
            used += run;
            if (used == wire.size()) break;
        }
        step(wire[used++], out);
    }
    return used;
}

void DotUnstuffer::step(char c, std::string& out) {
    switch (state_) {
        case State::line_start:
            if (c == '.') {
                state_ = State::dot;  // held back: it is stuffing, or the end
                return;
            }
            return emit(c, out, false);
        case State::dot:
            if (c == '\r') {
                state_ = State::dot_cr;
                return;
            }
            if (c == '\n') {
                dangerous_ = bare_ = true;
                out += c;
                state_ = State::bare_start;
                return;
            }
            out += c;
            state_ = State::text;
            return;
        case State::dot_cr:
            if (c == '\n') {
                done_ = true;
                return;
            }
            dangerous_ = bare_ = true;
            out += '\r';
            return emit(c, out, true);
        case State::cr:
            if (c == '\n') {
                out += c;
                state_ = State::line_start;
                return;
            }
            bare_ = true;
            return emit(c, out, true);
        case State::bare_start:
            return emit(c, out, true);
        case State::bare_dot:
            if (c == '\r' || c == '\n') dangerous_ = true;
            [[fallthrough]];
        case State::text:
            return emit(c, out, false);
    }
}

// An octet where no dot is stuffing: text, or after a bare ending, where a dot may turn out dangerous.
void DotUnstuffer::emit(char c, std::string& out, bool bare) {
    out += c;
    if (c == '\r') {
        state_ = State::cr;
    } else if (c == '\n') {
        bare_ = true;
        state_ = State::bare_start;
    } else {
        state_ = bare && c == '.' ? State::bare_dot : State::text;
    }
}

}  // namespace fwmail::mime
