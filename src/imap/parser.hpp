// The grammar of commands, token by token (RFC 3501 9). A Parser walks over one framed command. Errors of
// kind protocol are answered BAD, others NO; a text that begins with "[CODE] " brings its response code.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/flags.hpp"
#include "base/result.hpp"
#include "imap/search.hpp"
#include "imap/section.hpp"

namespace fwmail::imap {

class Parser {
  public:
    // With `utf8`, mailbox names are UTF-8 as they stand (RFC 9755 3, RFC 9051 5.1), otherwise modified
    // UTF-7.
    explicit Parser(std::string_view text, bool utf8 = false) : text_(text), utf8_(utf8) {}

    bool at_end() const { return at_ == text_.size(); }
    char peek() const { return at_end() ? '\0' : text_[at_]; }
    std::string_view rest() const { return text_.substr(at_); }
    bool accept(char c);
    // A whole word of letters, digits and dots, ignoring case.
    bool accept_word(std::string_view word);
    // Exactly these characters, ignoring case.
    bool accept_prefix(std::string_view prefix);
    Result<> expect(char c);
    Result<> space();
    Result<> end();  // nothing may follow

    Result<std::string> tag();      // 1*<any ASTRING-CHAR except "+">
    Result<std::string> word();     // letters, digits, '.', '-': a command's or item's name, in upper case
    Result<std::string> atom();     // 1*ATOM-CHAR
    Result<std::string> string();   // quoted / literal
    Result<std::string> astring();  // 1*ASTRING-CHAR / string
    Result<std::optional<std::string>> nstring();
    Result<std::string> mailbox();       // UTF-8; INBOX in capitals
    Result<std::string> list_mailbox();  // UTF-8, with wildcards
    Result<std::uint32_t> number();
    Result<std::uint32_t> nz_number();
    Result<std::uint64_t> number64();    // below 2^63
    Result<ModSeq> modseq();             // mod-sequence-valzer (RFC 7162 7)
    Result<SequenceSet> sequence_set();  // or `$`; at most 32 Ki elements come in by the framer's limits
    Result<Window> window();             // partial-range of RFC 9394
    Result<FlagSet> flags(bool in_parentheses_only = false);
    Result<Section> section();  // after "BODY" or "BODY.PEEK": `[...]<...>`
    void forbid_charset() { utf8_only_ = true; }
    Result<SearchKey> search_keys();  // ["CHARSET" SP charset SP] and keys, to the end of the command
    // charset SP and keys, as SORT and THREAD have them (RFC 5256 5).
    Result<SearchKey> charset_search_keys();
    Result<Day> date();              // RFC 3501 `date`
    Result<UnixMillis> date_time();  // RFC 3501 `date-time`, quoted

  private:
    Result<std::string> mailbox_name(std::string_view wire);
    Result<> charset();
    Result<SearchKey> search_key(int depth);
    Result<SearchKey> search_key_named(const std::string& name, int depth);
    Result<SearchKey> search_modseq();
    Result<SearchKey> search_conjunction(int depth, bool parenthesised);
    Result<std::string> search_text();
    Result<std::string> quoted();
    Result<std::string> literal();

    std::string_view text_;
    std::size_t at_ = 0;
    bool utf8_;
    bool utf8_only_ = false;
    bool ascii_only_ = false;                         // CHARSET US-ASCII
    std::string search_charset_;                      // any other but UTF-8
    std::size_t search_keys_ = 0, search_texts_ = 0;  // seen so far
};

// ATOM-CHAR and ASTRING-CHAR of RFC 3501 9.
bool is_atom_char(char c);
bool is_astring_char(char c);

// Modified UTF-7 (RFC 3501 5.1.3). Decoding refuses what is not the one right encoding of a text.
std::optional<std::string> decode_mailbox_name(std::string_view utf7);
std::string encode_mailbox_name(std::string_view utf8);
bool valid_utf8(std::string_view text);

// Why the name cannot be given to a new mailbox; empty when it can.
std::string fault_of_new_name(std::string_view utf8);

}  // namespace fwmail::imap
