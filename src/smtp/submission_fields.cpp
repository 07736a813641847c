#include "smtp/submission_fields.hpp"

#include "base/encoding.hpp"

namespace fwmail::smtp {
namespace {

constexpr std::size_t longest_name = 256;

}  // namespace

std::string SubmissionFields::add(std::string_view octets) {
    std::string out;
    out.reserve(octets.size() + held_.size());
    while (!octets.empty() && state_ != State::body) {
        step(octets[0], out);
        octets.remove_prefix(1);
    }
    return out.append(octets);
}

std::string SubmissionFields::finish() {
    std::string out;
    if (state_ == State::name) {  // no line ending, so no field
        out = missing() + "\r\n" + held_;
    } else if (state_ == State::line_start) {
        out = held_ + missing();
    } else if (state_ == State::rest_of_line) {
        out = "\r\n" + missing();
    }
    held_.clear();
    state_ = State::body;
    return out;
}

void SubmissionFields::step(char c, std::string& out) {
    switch (state_) {
        case State::line_start:
            held_ += c;
            if (c == '\n') {  // the empty line, CR before it or not
                out += missing() + std::exchange(held_, {});
                state_ = State::body;
            } else if ((c == ' ' || c == '\t') && in_field_ && held_.size() == 1) {
                out += std::exchange(held_, {});
                state_ = State::rest_of_line;
            } else if (c != '\r' || held_.size() > 1) {
                state_ = State::name;
            }
            return;
        case State::name:
            held_ += c;
            if (c == ':') {
                on_name(std::string_view(held_).substr(0, held_.size() - 1));
                in_field_ = true;
                out += std::exchange(held_, {});
                state_ = State::rest_of_line;
            } else if (c == '\n' || held_.size() > longest_name) {
                out += missing() + "\r\n" + std::exchange(held_, {});
                state_ = State::body;
            }
            return;
        case State::rest_of_line:
            out += c;
            if (c == '\n') state_ = State::line_start;
            return;
        case State::body:
            out += c;
            return;
    }
}

void SubmissionFields::on_name(std::string_view name) {
    while (name.ends_with(' ') || name.ends_with('\t')) name.remove_suffix(1);  // RFC 5322 4.5.8
    has_date_ |= equal_ignoring_case(name, "Date");
    has_message_id_ |= equal_ignoring_case(name, "Message-ID");
}

std::string SubmissionFields::missing() const {
    std::string out;
    if (!has_date_) out += "Date: " + date_ + "\r\n";
    if (!has_message_id_) out += "Message-ID: " + message_id_ + "\r\n";
    return out;
}

}  // namespace fwmail::smtp
