// Names in a Maildir: flags of messages, folders of mailboxes. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/flags.hpp"

namespace fwmail::service {

// `keywords`: what Dovecot's `dovecot-keywords` says the letters a to z mean.
using MaildirKeywords = std::vector<std::string>;
MaildirKeywords parse_keywords(std::string_view file);
std::string write_keywords(const MaildirKeywords& keywords);

// Flags of `1700000000.x.host:2,FS`, and of `00000012.FS.eml`.
FlagSet flags_of_letters(std::string_view letters, const MaildirKeywords& keywords);
// Keywords that `keywords` lacks are added to it while it has room for 26; others cannot be told.
std::string letters_of_flags(const FlagSet& flags, MaildirKeywords& keywords);
// What stands before `:2,`, which never changes, and the letters behind it.
std::string_view maildir_base(std::string_view file_name);
std::string_view maildir_letters(std::string_view file_name);

// Maildir++: `.Sent.Old &AMk-`, levels in modified UTF-7; the empty name is INBOX. UTF-8 with '/'.
std::string path_of_maildir_folder(std::string_view name);
std::string maildir_folder_of_path(std::string_view path);

}  // namespace fwmail::service
