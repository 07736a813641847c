// Gives a submitted message the fields that it must have and lacks: Date and Message-ID (RFC 6409 8.2, 8.3).
//
// The message streams by; all else goes through octet for octet. New fields stand at the end of the header:
// in front of the empty line, or in front of the first line that is no field, with an empty line between.
// Lines end in LF. Holds back no more than the start of one line.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace fwmail::smtp {

class SubmissionFields {
  public:
    // Values without name and line ending.
    SubmissionFields(std::string date, std::string message_id)
        : date_(std::move(date)), message_id_(std::move(message_id)) {}

    std::string add(std::string_view octets);
    // What was held back, and what is lacking where the header never ended.
    std::string finish();
    // Known once the header has ended: the client gave no Message-ID.
    bool lacked_message_id() const { return !has_message_id_; }

  private:
    enum class State { line_start, name, rest_of_line, body };
    void step(char c, std::string& out);
    void on_name(std::string_view name);
    std::string missing() const;

    std::string date_, message_id_;
    State state_ = State::line_start;
    std::string held_;  // the start of a line
    bool in_field_ = false;
    bool has_date_ = false, has_message_id_ = false;
};

}  // namespace fwmail::smtp
