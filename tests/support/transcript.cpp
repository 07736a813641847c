#include "support/transcript.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "base/encoding.hpp"
#include "support/source_dir.hpp"

namespace fwmail::testing {

namespace {

std::string unescape(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\' || i + 1 == text.size()) {
            out += text[i];
            continue;
        }
        switch (char c = text[++i]) {
            case 'r':
                out += '\r';
                break;
            case 'n':
                out += '\n';
                break;
            case 't':
                out += '\t';
                break;
            case '0':
                out += '\0';
                break;
            case 'x':
                out += hex_decode(text.substr(i + 1, 2)).value();
                i += 2;
                break;
            default:
                out += c;
        }
    }
    return out;
}

Transcript load(const std::filesystem::path& path) {
    Transcript transcript{path.filename().string(), {}};
    std::ifstream file(path);
    std::string text;
    for (int number = 1; std::getline(file, text); ++number) {
        if (text.empty() || text[0] == '#') continue;
        bool raw = text.size() > 1 && text[1] == '~';
        bool shaped =
            std::string_view("CSXRO").contains(text[0]) && text.size() > 1 && (text[1] == ':' || raw);
        if (!shaped)
            throw std::runtime_error(transcript.name + ':' + std::to_string(number) +
                                     ": not a transcript line");
        std::string content = unescape(std::string_view(text).substr(std::min<std::size_t>(3, text.size())));
        if ((text[0] == 'C' || text[0] == 'S') && !raw) content += "\r\n";
        transcript.lines.push_back({text[0], std::move(content), number});
    }
    return transcript;
}

}  // namespace

std::string Transcript::option(std::string_view wanted) const {
    for (const auto& line : lines)
        if (line.kind == 'O' && line.text.starts_with(wanted) && line.text[wanted.size()] == '=')
            return line.text.substr(wanted.size() + 1);
    return {};
}

std::vector<Transcript> load_transcripts(std::string_view folder, std::string_view prefix) {
    std::vector<Transcript> out;
    auto path = std::filesystem::path(test::source_dir() + "/tests/transcripts") / folder;
    for (const auto& entry : std::filesystem::directory_iterator(path))
        if (entry.path().extension() == ".txt" && entry.path().filename().string().starts_with(prefix))
            out.push_back(load(entry.path()));
    std::ranges::sort(out, {}, &Transcript::name);
    return out;
}

std::string escape(std::string_view octets) {
    std::string out;
    for (char c : octets) {
        if (c == '\r')
            out += "\\r";
        else if (c == '\n')
            out += "\\n";
        else if (c == '\\')
            out += "\\\\";
        else if (c < ' ' || c > '~')
            out += "\\x" + hex_encode(std::string_view(&c, 1));
        else
            out += c;
    }
    return out;
}

void Trace::octets(std::string_view sent) {
    if (in_chunk_) text_ += '\n';
    in_chunk_ = false;
    for (char c : sent) {
        if (!in_line_) text_ += {peer_, ':', ' '};
        in_line_ = c != '\n';
        text_ += in_line_ ? escape(std::string_view(&c, 1)) : "\\n\n";
    }
}

void Trace::chunk(std::string_view octets) {
    if (!in_chunk_) {
        chunk_start_ = text_.size();
        text_ += "X: chunk ";
    }
    in_chunk_ = true;
    text_ += escape(octets);
}

void Trace::action(std::string_view words) {
    // How much of an aborted message was handed on before depends on how it was cut up.
    if (words == "abort" && in_chunk_) text_.resize(chunk_start_), in_chunk_ = false;
    if (in_chunk_ || in_line_) text_ += '\n';
    in_chunk_ = in_line_ = false;
    text_ += "X: " + escape(words) + '\n';
}

std::string expected_trace(const Transcript& transcript, char peer, std::size_t end) {
    Trace trace(peer);
    for (std::size_t i = 0; i < end; ++i) {
        const Line& line = transcript.lines[i];
        if (line.kind == peer) trace.octets(line.text);
        if (line.kind != 'X') continue;
        if (line.text.starts_with("chunk "))
            trace.chunk(std::string_view(line.text).substr(6));
        else
            trace.action(line.text);
    }
    return trace.text();
}

}  // namespace fwmail::testing
