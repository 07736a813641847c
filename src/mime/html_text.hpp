// The text of an HTML body, for searching: markup goes, references become characters, white space becomes
// one space. Not for showing.
#pragma once

#include <string>
#include <string_view>

namespace fwmail::mime {

// Takes valid UTF-8 in pieces, each of whole characters. What comes out does not depend on how it was cut.
// Memory and time are bounded: a tag, comment, script or style of any length is passed over as it comes.
class HtmlText {
  public:
    void feed(std::string_view utf8, std::string& out);
    // Appends the rest: an end within a tag or comment ends it.
    void finish(std::string& out);

  private:
    enum class In {
        text,
        reference,    // after &; held_ has what followed
        tag_open,     // after <
        name,         // of a tag: name_
        tag,          // attributes
        quoted,       // an attribute's value: quote_
        declaration,  // after <!; held_ tells whether it is a comment
        comment,      // matched_ counts the dashes
        raw,          // of script and style: until </name
    };
    void next(char c, std::string& out);
    void in_text(char c, std::string& out);
    void in_raw(char c);
    void begin_tag(char c, std::string& out);
    void end_name(char c);
    void end_tag();
    void end_reference(char c, std::string& out);
    void put(char c, std::string& out);
    void put_space() { space_ = true; }

    In in_ = In::text;
    std::string name_, held_, raw_name_;
    bool closing_ = false;
    bool space_ = false;    // white space is owed
    bool started_ = false;  // something was put out
    bool after_equals_ = false;
    char quote_ = 0;
    std::size_t matched_ = 0;
};

}  // namespace fwmail::mime
