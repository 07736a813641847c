// A configuration that has been read and checked: INI file, then the command line over it.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "config/host_port.hpp"
#include "config/schema.hpp"

namespace fwmail::config {

// Options are named in full: "data-dir", "imap.listen", "link.office.next-hop". Every value has been checked,
// so getters do not fail; a name that is not in the table of the role, or of another type, is a bug and
// throws std::logic_error. Options without value and fallback give "", 0, false or an empty list.
class Config {
  public:
    // Arguments are what follows the role on the command line, --config FILE among them or not:
    // `--imap.listen 127.0.0.1:143` or `--imap.listen=...`. A value there replaces the file's, all of them
    // for a list.
    static Result<Config> load(RoleBits role, const std::vector<std::string>& arguments);
    // `file_name` is for messages and for relative paths.
    static Result<Config> parse(RoleBits role, std::string_view text, const std::filesystem::path& file_name,
                                const std::vector<std::string>& arguments = {});

    std::string text(std::string_view name) const;  // also for choice
    std::filesystem::path path(std::string_view name) const;
    std::uint64_t octets(std::string_view name) const;
    std::chrono::seconds duration(std::string_view name) const;
    std::uint64_t count(std::string_view name) const;
    bool boolean(std::string_view name) const;
    HostPort host_port(std::string_view name) const;  // {"", 0} without value
    std::vector<std::string> list(std::string_view name) const;
    std::vector<HostPort> host_ports(std::string_view name) const;

    // Given in the file or on the command line.
    bool is_set(std::string_view name) const;
    // NAMEs of [prefix.NAME], in order of appearance.
    std::vector<std::string> names(std::string_view prefix) const;
    RoleBits role() const { return role_; }
    const std::filesystem::path& file() const { return file_; }

  private:
    const Option& option(std::string_view name, OptionType type, bool list) const;
    std::string value(std::string_view name, const Option& option) const;

    friend class Loader;
    RoleBits role_ = role_core;
    std::filesystem::path file_;
    std::map<std::string, std::vector<std::string>, std::less<>> values_;
    std::vector<std::string> sections_;  // named ones, in order
};

// A complete file for the role: every option with its help, those in `values` set, the others as comments
// that show the fallback. Keys are full names; named sections appear when a value names them.
using Values = std::vector<std::pair<std::string, std::string>>;
std::string write_commented_config(RoleBits role, const Values& values);

// For messages and for checking single values: the plain meaning, or a sentence that says what is wrong.
Result<std::uint64_t> parse_octets(std::string_view text);
Result<std::chrono::seconds> parse_duration(std::string_view text);
Result<bool> parse_boolean(std::string_view text);

}  // namespace fwmail::config
