#include "smtp/header_stripper.hpp"

#include "base/encoding.hpp"

namespace fwmail::smtp {

std::string HeaderFieldStripper::add(std::string_view octets) {
    std::string out;
    out.reserve(octets.size() + held_.size());
    while (!octets.empty() && state_ != State::body) {
        step(octets[0], out);
        octets.remove_prefix(1);
    }
    out.append(octets);
    return out;
}

std::string HeaderFieldStripper::finish() { return std::exchange(held_, {}); }

void HeaderFieldStripper::step(char c, std::string& out) {
    switch (state_) {
        case State::line_start:
            return begin_line(c, out);
        case State::line_start_cr:  // held back: an empty line, or a stray CR
            out += std::exchange(held_, {});
            if (c == '\n') {
                out += c;
                state_ = State::body;
                return;
            }
            dropping_ = false;
            after_bare_cr_ = true;
            return begin_line(c, out);
        case State::matching:
            return match(c, out);
        case State::in_line:
            return in_line(c, out);
        case State::body:
            out += c;
            return;
    }
}

void HeaderFieldStripper::begin_line(char c, std::string& out) {
    last_was_cr_ = false;
    if (!after_bare_cr_ && c == '\n') {
        out += c;
        state_ = State::body;
    } else if (!after_bare_cr_ && c == '\r') {
        held_ = c;
        state_ = State::line_start_cr;
    } else if (c == ' ' || c == '\t' || c == '\r') {
        // A folded line shares its field's fate, and so does a run of CRs: what is left of one, put after the
        // line before, could look like an empty line.
        state_ = State::in_line;
        in_line(c, out);
    } else {
        dropping_ = false;
        state_ = State::matching;
        match(c, out);
    }
}

void HeaderFieldStripper::match(char c, std::string& out) {
    if (ascii_lower(c) != ascii_lower(prefix_[held_.size()])) {
        out += std::exchange(held_, {});
        state_ = State::in_line;
        return in_line(c, out);
    }
    held_ += c;
    if (held_.size() < prefix_.size()) return;
    held_.clear();
    ++removed_;
    dropping_ = true;
    if (after_bare_cr_) out += "X-Removed:\r\n";
    state_ = State::in_line;
}

void HeaderFieldStripper::in_line(char c, std::string& out) {
    if (last_was_cr_ && c != '\n') {
        after_bare_cr_ = true;
        return begin_line(c, out);
    }
    last_was_cr_ = c == '\r';
    if (!dropping_) out += c;
    if (c == '\n') {
        after_bare_cr_ = false;
        state_ = State::line_start;
    }
}

}  // namespace fwmail::smtp
