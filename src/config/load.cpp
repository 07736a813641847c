// Reading: Boost.Program_options takes the file and the command line apart; what it cannot say (lines, the
// nearest known name, duplicates) is found here.
#include <algorithm>
#include <boost/program_options.hpp>
#include <fstream>
#include <set>
#include <sstream>

#include "base/encoding.hpp"
#include "config/config.hpp"
#include "config/table.hpp"

namespace fwmail::config {
namespace {

namespace po = boost::program_options;

constexpr std::size_t max_file = 1 << 20;
constexpr std::size_t max_value = 4096;

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view space = " \t\r\n";
    std::size_t first = text.find_first_not_of(space);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(space) - first + 1);
}

// Levenshtein; both sides are short (names).
std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = std::exchange(row[0], i);
        for (std::size_t j = 1; j <= b.size(); ++j) {
            std::size_t substituted = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
        }
    }
    return row[b.size()];
}

bool section_is_known(RoleBits role, std::string_view section) {
    if (auto named = named_section(section))
        return std::ranges::any_of(all_options(), [&](const Option& o) {
            return (o.roles & role) && o.section == std::string(named->prefix) + ".*";
        });
    return std::ranges::any_of(all_options(),
                               [&](const Option& o) { return (o.roles & role) && o.section == section; });
}

Result<> check_value(const Option& option, const std::string& value) {
    if (value.size() > max_value) return fail(ErrorKind::usage, "the value is too long");
    if (std::ranges::any_of(value, [](unsigned char c) { return c < 32 || c == 127; }))
        return fail(ErrorKind::usage, "the value holds a control character");
    bool may_be_empty = option.list || (option.fallback.empty() && !option.required);
    if (value.empty()) {
        if (may_be_empty) return {};
        return fail(ErrorKind::usage, "the value is missing");
    }
    switch (option.type) {
        case OptionType::text:
        case OptionType::path:
            return {};
        case OptionType::octets:
            TRY(parse_octets(value));
            return {};
        case OptionType::duration:
            TRY(parse_duration(value));
            return {};
        case OptionType::boolean:
            TRY(parse_boolean(value));
            return {};
        case OptionType::host_port:
            TRY(parse_host_port(value));
            return {};
        case OptionType::count:
            TRY(parse_count(value));
            return {};
        case OptionType::choice:
            break;
    }
    std::vector<std::string> choices;
    std::istringstream words{std::string(option.choices)};
    for (std::string word; std::getline(words, word, '|');) choices.push_back(word);
    if (contains(choices, value)) return {};
    std::string sentence = "'" + value + "' is not one of";
    for (const auto& word : choices) sentence += " " + word;
    return fail(ErrorKind::usage, sentence);
}

}  // namespace

class Loader {
  public:
    Loader(RoleBits role, std::filesystem::path file) {
        config_.role_ = role, config_.file_ = std::move(file);
    }

    Result<> take_file(std::string text);
    Result<> take_arguments(const std::vector<std::string>& arguments);
    Result<Config> finish();

  private:
    Result<> scan_lines(std::string_view text);
    Result<> scan_section(std::string_view section, std::size_t line);
    std::unexpected<Error> unknown(const std::string& where, const std::string& name) const;
    std::string at(std::size_t line) const { return config_.file_.string() + ":" + std::to_string(line); }
    void note_section(const std::string& name);
    po::options_description description() const;
    Result<const Option*> check(const std::string& where, const std::string& name,
                                const std::vector<std::string>& values) const;

    Config config_;
    std::map<std::string, std::vector<std::size_t>, std::less<>> lines_;
};

// The rules are Boost's: # begins a comment anywhere, [section], name = value.
Result<> Loader::scan_lines(std::string_view text) {
    std::string prefix;
    for (std::size_t number = 1; !text.empty(); ++number) {
        std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        line = trimmed(line.substr(0, line.find('#')));
        if (line.empty()) continue;
        if (line.front() == '[' && line.back() == ']') {
            std::string_view section = line.substr(1, line.size() - 2);
            TRY(scan_section(section, number));
            prefix = std::string(section) + ".";
            continue;
        }
        std::size_t equals = line.find('=');
        if (equals == std::string_view::npos || equals == 0)
            return fail(ErrorKind::usage, at(number) + ": this line is neither [section] nor key = value");
        std::string name = prefix + std::string(trimmed(line.substr(0, equals)));
        if (!find_option(config_.role_, name)) return unknown(at(number), name);
        lines_[name].push_back(number);
    }
    return {};
}

Result<> Loader::scan_section(std::string_view section, std::size_t line) {
    if (!section_is_known(config_.role_, section)) {
        std::string best;
        std::size_t least = 4;
        for (const Option& o : all_options())
            if (std::size_t d = edit_distance(section, o.section); (o.roles & config_.role_) && d < least)
                least = d, best = o.section;
        return fail(ErrorKind::usage, at(line) + ": unknown section [" + std::string(section) + "]" +
                                          (best.empty() ? "" : "; did you mean [" + best + "]?"));
    }
    if (auto named = named_section(section)) note_section(std::string(section));
    return {};
}

void Loader::note_section(const std::string& name) {
    if (!contains(config_.sections_, name)) config_.sections_.push_back(name);
}

std::unexpected<Error> Loader::unknown(const std::string& where, const std::string& name) const {
    std::string sentence = where + ": unknown option '" + name.substr(0, 200) + "'";
    for (RoleBits other : {role_core, role_remote})
        if (other != config_.role_ && find_option(other, name))
            return fail(ErrorKind::usage, sentence + " for this role; it is one of " +
                                              (other == role_core ? "core" : "remote"));
    if (name.size() > 200) return fail(ErrorKind::usage, sentence);
    std::string best;
    std::size_t least = std::max<std::size_t>(3, name.size() / 3) + 1;
    for (const Option& o : all_options()) {
        if (!(o.roles & config_.role_)) continue;
        std::string full = full_name(o);
        if (std::size_t star = full.find('*'); star != std::string::npos) {
            // link.office.next-hpo: compare within the section that was meant.
            std::size_t end = name.rfind('.');
            if (!name.starts_with(full.substr(0, star)) || end == std::string::npos || end < star) continue;
            full = name.substr(0, end + 1) + std::string(o.key);
        }
        if (std::size_t d = edit_distance(name, full); d < least) least = d, best = full;
        // The right key in the wrong section, or without one.
        if (name.substr(name.rfind('.') + 1) == o.key && least > 1) least = 1, best = full;
    }
    return fail(ErrorKind::usage, sentence + (best.empty() ? "" : "; did you mean '" + best + "'?"));
}

po::options_description Loader::description() const {
    po::options_description all;
    std::set<std::string> names;
    for (const Option& o : all_options()) {
        if (!(o.roles & config_.role_)) continue;
        bool wildcard = o.section.ends_with(".*");
        std::string name = wildcard ? std::string(o.section) : full_name(o);
        if (names.insert(name).second) all.add_options()(name.c_str(), po::value<std::vector<std::string>>());
    }
    return all;
}

Result<const Option*> Loader::check(const std::string& where, const std::string& name,
                                    const std::vector<std::string>& values) const {
    const Option* option = find_option(config_.role_, name);
    if (!option) return unknown(where, name);
    for (const auto& value : values)
        if (auto good = check_value(*option, value); !good)
            return fail(ErrorKind::usage, where + ": " + name + ": " + good.error().text);
    return option;
}

Result<> Loader::take_file(std::string text) {
    if (text.size() > max_file)
        return fail(ErrorKind::usage, config_.file_.string() + ": the file is too large");
    if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
    TRY(scan_lines(text));
    std::istringstream stream(text);
    std::map<std::string, std::size_t> seen;
    try {
        for (auto& o : po::parse_config_file(stream, description(), true).options) {
            std::size_t nth = seen[o.string_key]++;
            const auto& lines = lines_[o.string_key];
            if (nth >= lines.size())
                return fail(ErrorKind::usage,
                            config_.file_.string() + ": cannot make out '" + o.string_key + "'");
            const Option* option = TRY(check(at(lines[nth]), o.string_key, o.value));
            if (nth > 0 && !option->list)
                return fail(ErrorKind::usage, at(lines[nth]) + ": '" + o.string_key +
                                                  "' is already given in line " + std::to_string(lines[0]) +
                                                  "; remove one of them");
            for (auto& value : o.value) {
                if (option->type == OptionType::path && !value.empty() && value[0] != '/')
                    value = (config_.file_.parent_path() / value).lexically_normal().string();
                auto& kept = config_.values_[o.string_key];
                if (!value.empty() || !option->list) kept.push_back(value);
            }
        }
    } catch (const po::error& e) {
        return fail(ErrorKind::usage, config_.file_.string() + ": " + e.what());
    }
    return {};
}

Result<> Loader::take_arguments(const std::vector<std::string>& arguments) {
    using namespace po::command_line_style;
    std::map<std::string, std::vector<std::string>, std::less<>> given;
    try {
        auto parsed = po::command_line_parser(arguments)
                          .options(description())
                          .style(allow_long | long_allow_adjacent | long_allow_next)
                          .allow_unregistered()
                          .run();
        for (const auto& o : parsed.options) {
            if (o.position_key != -1 || o.string_key.empty())
                return fail(ErrorKind::usage, "'" + (o.value.empty() ? "" : o.value[0]) +
                                                  "' is not an option; options are --section.key value");
            const Option* option = TRY(check("--" + o.string_key, o.string_key, o.value));
            auto& kept = given[o.string_key];
            if (!kept.empty() && !option->list)
                return fail(ErrorKind::usage, "--" + o.string_key + " is given twice; remove one of them");
            kept.insert(kept.end(), o.value.begin(), o.value.end());
        }
    } catch (const po::error& e) {
        return fail(ErrorKind::usage, std::string("command line: ") + e.what());
    }
    for (auto& [name, values] : given) {
        if (find_option(config_.role_, name)->list) std::erase(values, "");
        if (auto named = named_section(std::string_view(name).substr(0, name.rfind('.'))))
            note_section(name.substr(0, name.rfind('.')));
        config_.values_[name] = std::move(values);
    }
    return {};
}

Result<Config> Loader::finish() {
    for (const Option& o : all_options()) {
        std::string name = full_name(o);
        if (!o.required || !(o.roles & config_.role_) || config_.values_.contains(name)) continue;
        std::string where = config_.file_.empty() ? "" : config_.file_.string() + ": ";
        return fail(ErrorKind::usage, where + "'" + name + "' is missing (" + std::string(o.help) +
                                          "); add a line '" + name + " = ...' or give --" + name);
    }
    return std::move(config_);
}

Result<Config> Config::parse(RoleBits role, std::string_view text, const std::filesystem::path& file_name,
                             const std::vector<std::string>& arguments) {
    Loader loader(role, file_name);
    TRY(loader.take_file(std::string(text)));
    TRY(loader.take_arguments(arguments));
    return loader.finish();
}

Result<Config> Config::load(RoleBits role, const std::vector<std::string>& arguments) {
    std::vector<std::string> rest;
    std::filesystem::path file;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string& argument = arguments[i];
        bool adjacent = argument.starts_with("--config=");
        if (argument != "--config" && !adjacent) {
            rest.push_back(argument);
            continue;
        }
        if (!file.empty()) return fail(ErrorKind::usage, "--config is given twice; remove one of them");
        if (!adjacent && i + 1 == arguments.size()) return fail(ErrorKind::usage, "--config needs a file");
        file = adjacent ? argument.substr(9) : arguments[++i];
        if (file.empty()) return fail(ErrorKind::usage, "--config needs a file");
    }
    if (file.empty()) return parse(role, "", {}, rest);
    std::ifstream stream(file, std::ios::binary);
    std::string text(max_file + 1, '\0');
    stream.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (stream.bad() || (stream.fail() && !stream.eof()))
        return fail(ErrorKind::usage, file.string() + ": cannot be read; see that it is there and readable");
    text.resize(static_cast<std::size_t>(stream.gcount()));
    return parse(role, text, file, rest);
}

}  // namespace fwmail::config
