// What a checked configuration answers, and how one is written.
#include "config/config.hpp"

#include <algorithm>
#include <charconv>
#include <stdexcept>

#include "config/table.hpp"

namespace fwmail::config {

std::string full_name(const Option& option) {
    if (option.section.empty()) return std::string(option.key);
    return std::string(option.section) + "." + std::string(option.key);
}

std::optional<NamedSection> named_section(std::string_view section) {
    std::size_t dot = section.find('.');
    if (dot == std::string_view::npos || dot + 1 == section.size() || section.size() > 80)
        return std::nullopt;
    NamedSection named{section.substr(0, dot), section.substr(dot + 1)};
    bool good = std::ranges::all_of(named.name, [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
               c == '_';
    });
    return good ? std::optional(named) : std::nullopt;
}

const Option* find_option(RoleBits role, std::string_view name) {
    std::size_t dot = name.rfind('.');
    std::string section(dot == std::string_view::npos ? "" : name.substr(0, dot));
    std::string_view key = dot == std::string_view::npos ? name : name.substr(dot + 1);
    if (auto named = named_section(section))
        section = std::string(named->prefix) + ".*";
    else if (section.find_first_of(".*") != std::string::npos)
        return nullptr;
    for (const Option& option : all_options())
        if ((option.roles & role) && option.section == section && option.key == key) return &option;
    return nullptr;
}

Result<std::uint64_t> parse_count(std::string_view text) {
    std::uint32_t value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size())
        return fail(ErrorKind::usage, "'" + std::string(text) + "' is not a whole number below 4294967296");
    return value;
}

const Option& Config::option(std::string_view name, OptionType type, bool list) const {
    const Option* found = find_option(role_, name);
    if (!found) throw std::logic_error("no option '" + std::string(name) + "' for this role");
    bool text_like = type == OptionType::text && (list || found->type == OptionType::choice);
    if ((found->type != type && !text_like) || found->list != list)
        throw std::logic_error("option '" + std::string(name) + "' is of another type");
    return *found;
}

std::string Config::value(std::string_view name, const Option& option) const {
    auto it = values_.find(name);
    if (it == values_.end() || it->second.empty()) return std::string(option.fallback);
    return it->second.back();
}

namespace {
// Values were checked when they were read; an empty one is nothing.
template <class T>
T certain(Result<T> result) {
    if (!result) throw std::logic_error("configuration value was not checked: " + result.error().text);
    return std::move(*result);
}
}  // namespace

std::string Config::text(std::string_view name) const {
    return value(name, option(name, OptionType::text, false));
}

std::filesystem::path Config::path(std::string_view name) const {
    return value(name, option(name, OptionType::path, false));
}

std::uint64_t Config::octets(std::string_view name) const {
    std::string text = value(name, option(name, OptionType::octets, false));
    return text.empty() ? 0 : certain(parse_octets(text));
}

std::chrono::seconds Config::duration(std::string_view name) const {
    std::string text = value(name, option(name, OptionType::duration, false));
    return text.empty() ? std::chrono::seconds(0) : certain(parse_duration(text));
}

std::uint64_t Config::count(std::string_view name) const {
    std::string text = value(name, option(name, OptionType::count, false));
    return text.empty() ? 0 : certain(parse_count(text));
}

bool Config::boolean(std::string_view name) const {
    std::string text = value(name, option(name, OptionType::boolean, false));
    return !text.empty() && certain(parse_boolean(text));
}

HostPort Config::host_port(std::string_view name) const {
    std::string text = value(name, option(name, OptionType::host_port, false));
    return text.empty() ? HostPort{} : certain(parse_host_port(text));
}

std::vector<std::string> Config::list(std::string_view name) const {
    const Option& found = option(name, OptionType::text, true);
    if (auto it = values_.find(name); it != values_.end()) return it->second;
    if (found.fallback.empty()) return {};
    return {std::string(found.fallback)};
}

std::vector<HostPort> Config::host_ports(std::string_view name) const {
    option(name, OptionType::host_port, true);
    std::vector<HostPort> out;
    for (const auto& text : list(name)) out.push_back(certain(parse_host_port(text)));
    return out;
}

bool Config::is_set(std::string_view name) const {
    if (!find_option(role_, name))
        throw std::logic_error("no option '" + std::string(name) + "' for this role");
    return values_.find(name) != values_.end();
}

std::vector<std::string> Config::names(std::string_view prefix) const {
    std::vector<std::string> out;
    for (const auto& section : sections_)
        if (auto named = named_section(section); named && named->prefix == prefix)
            out.emplace_back(named->name);
    return out;
}

namespace {

std::string describe(const Option& option) {
    std::string out = "# " + std::string(option.help);
    if (option.required) out += " (required)";
    if (!option.choices.empty()) {
        out += ": ";
        for (char c : option.choices) out += c == '|' ? std::string(", ") : std::string(1, c);
    }
    return out + ".\n";
}

// The option in one section, set or as a comment that shows what holds without it.
void write_option(std::string& out, const Option& option, std::string_view name, const Values& values) {
    out += "\n" + describe(option);
    bool set = false;
    for (const auto& [key, value] : values) {
        if (key != name) continue;
        out += std::string(option.key) + " = " + value + "\n";
        set = true;
    }
    if (!set) out += "#" + std::string(option.key) + " = " + std::string(option.fallback) + "\n";
}

void write_named_sections(std::string& out, RoleBits role, std::string_view section, const Values& values) {
    std::vector<std::string> names;
    for (const auto& [key, value] : values) {
        auto named = named_section(std::string_view(key).substr(0, std::min(key.rfind('.'), key.size())));
        if (named && std::string(named->prefix) + ".*" == section && !contains(names, named->name))
            names.emplace_back(named->name);
    }
    std::string prefix(section.substr(0, section.size() - 1));
    for (const auto& name : names) {
        out += "\n[" + prefix + name + "]\n";
        for (const Option& option : all_options())
            if ((option.roles & role) && option.section == section)
                write_option(out, option, prefix + name + "." + std::string(option.key), values);
    }
    if (!names.empty()) return;
    out += "\n# A section for each " + prefix.substr(0, prefix.size() - 1) + ", with its name:\n#[" + prefix +
           "NAME]\n";
    for (const Option& option : all_options())
        if ((option.roles & role) && option.section == section) write_option(out, option, "", {});
}

}  // namespace

std::string write_commented_config(RoleBits role, const Values& values) {
    std::string out =
        "# fwmail configuration. Every option is here; what is commented out shows what holds without it.\n";
    std::string_view section = "";
    for (const Option& option : all_options()) {
        if (!(option.roles & role)) continue;
        bool begins = option.section != section;
        section = option.section;
        if (section.ends_with(".*")) {
            if (begins) write_named_sections(out, role, section, values);
            continue;
        }
        if (begins) out += "\n[" + std::string(section) + "]\n";
        write_option(out, option, full_name(option), values);
    }
    return out;
}

}  // namespace fwmail::config
