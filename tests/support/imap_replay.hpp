// Replays a transcript (tests/transcripts/imap/README) against a server session.
#pragma once

#include <algorithm>
#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "imap/server_session.hpp"
#include "support/imap_text.hpp"
#include "support/source_dir.hpp"

namespace fwmail::imap {

struct Transcript {
    struct Input {
        char kind;         // C, N, L or E
        std::string text;  // octets, or the event's name
    };
    std::string name, state = "fresh";
    std::vector<Input> inputs;
    std::vector<std::string> expected;                         // S, X and D lines in order
    std::vector<std::pair<std::string, std::string>> replies;  // request, reply

    static Transcript load(const std::filesystem::path& path) {
        Transcript t;
        t.name = path.stem();
        std::ifstream in(path);
        std::string line, request;
        while (std::getline(in, line)) {
            if (line.empty() || line[0] == '#') continue;
            std::size_t colon = line.find(':');
            std::string kind = line.substr(0, colon),
                        rest = line.size() > colon + 2 ? line.substr(colon + 2) : "";
            if (kind == "state")
                t.state = rest;
            else if (kind == "C" || kind == "N" || kind == "L")
                t.inputs.push_back({kind[0], octets(rest)});
            else if (kind == "E")
                t.inputs.push_back({'E', rest});
            else if (kind == "S" || kind == "D")
                t.expected.push_back(with_capabilities(line));
            else if (kind == "X")
                t.expected.push_back(line), request = rest;
            else if (kind == "R")
                t.replies.emplace_back(request, rest);
            else
                throw std::runtime_error(t.name + ": " + line);
        }
        return t;
    }
    static std::vector<Transcript> load_all() {
        std::vector<std::filesystem::path> paths;
        for (const auto& entry :
             std::filesystem::directory_iterator(fwmail::test::source_dir() + "/tests/transcripts/imap"))
            if (entry.path().extension() == ".txt") paths.push_back(entry.path());
        std::ranges::sort(paths);
        std::vector<Transcript> all;
        for (const auto& path : paths) all.push_back(load(path));
        return all;
    }

  private:
    // `<caps-before>` and `<caps>`: what is offered before and after login; capability.txt has them in full.
    static std::string with_capabilities(std::string line) {
        static const auto [before, after] = [] {
            ServerOptions options;
            options.tls_active = true;
            options.append_limit = 1000;
            ServerSession session(options);
            auto list = [](const Actions& actions) {
                std::string text = std::get<Send>(actions.at(0)).octets;
                std::size_t start = text.find("IMAP4rev1");
                return text.substr(start, std::min(text.find(" AUTH="), text.find(']')) - start);
            };
            std::string first = list(session.start());
            session.on_bytes("- LOGIN u p\r\n");
            return std::pair(first, list(session.on_reply(Done{})));
        }();
        for (auto [name, value] : {std::pair("<caps-before>", &before), std::pair("<caps>", &after)})
            if (std::size_t at = line.find(name); at != std::string::npos)
                line.replace(at, std::strlen(name), *value);
        return line;
    }
    static std::string octets(std::string line) {
        bool bare = line.ends_with("\\c");
        if (bare) line.resize(line.size() - 2);
        return text::unescape(line) + (bare ? "" : "\r\n");
    }
};

// Drives one session; what it does is written down as transcript lines.
class Replay {
  public:
    // Answers a request, in text.
    using Answer = std::function<std::string(const std::string& request)>;

    explicit Replay(const std::string& state, std::uint64_t append_limit = 1000)
        : session_(options_for(state, append_limit)) {
        if (state == "greeting") {
            take(session_.start());
            return;
        }
        answer_ = [](const std::string& request) -> std::string {
            if (request.starts_with("Authenticate")) return "done";
            if (request.ends_with("Nothing")) return "selected validity=9 next=1";
            return "selected uids=10,20,30,40,50 validity=7 next=51 recent=50 unseen=30 keywords=$Junk";
        };
        session_.start();
        bool in = state != "fresh" && state != "clear" && state != "loopback";
        if (in) bytes("- LOGIN u p\r\n");
        if (state == "selected" || state == "limited") bytes("- SELECT INBOX\r\n");
        if (state == "readonly") bytes("- EXAMINE INBOX\r\n");
        if (state == "empty") bytes("- SELECT Nothing\r\n");
        finish_line();
        seen_.clear();
    }

    void answer_with(Answer answer) { answer_ = std::move(answer); }
    void bytes(std::string_view octets) { take(session_.on_bytes(octets)); }
    void event(const std::string& name) {
        if (name == "changed")
            take(session_.on_mailbox_changed());
        else if (name == "tls")
            take(session_.on_tls_started());
        else if (name == "deadline")
            take(session_.on_deadline());
        else if (name == "shutdown")
            take(session_.on_shutdown());
        else if (name == "answered")
            return;  // what follows is sent after what was answered, never along with what came before
        else
            throw std::runtime_error("unknown event " + name);
    }
    // Everything seen, as S, X and D lines.
    std::vector<std::string> seen() {
        finish_line();
        return seen_;
    }
    bool asked_to_go_on() {
        auto it =
            std::find_if(seen_.rbegin(), seen_.rend(), [](const auto& l) { return l.starts_with("S: "); });
        return it != seen_.rend() && it->starts_with("S: + ");
    }
    ServerSession& session() { return session_; }
    std::size_t requests() const { return requests_; }
    bool closed() const { return closed_; }
    std::size_t most_actions = 0;  // in one step

  private:
    static ServerOptions options_for(const std::string& state, std::uint64_t append_limit) {
        ServerOptions options;
        options.tls_active = state != "clear" && state != "loopback";
        options.starttls_available = !options.tls_active;
        options.plaintext_login_allowed = state == "loopback";
        options.append_limit = append_limit;
        if (state == "limited") options.message_limit = 2;
        return options;
    }
    void take(Actions first) {
        std::deque<Actions> queue;
        queue.push_back(std::move(first));
        while (!queue.empty()) {
            Actions actions = std::move(queue.front());
            queue.pop_front();
            most_actions = std::max(most_actions, actions.size());
            for (auto& action : actions) {
                if (auto* send = std::get_if<Send>(&action))
                    text(send->octets);
                else if (auto* object = std::get_if<SendObject>(&action))
                    text("<<" + std::to_string(object->range.offset) + '+' +
                         std::to_string(object->range.length) + ">>");
                else if (auto* data = std::get_if<AppendData>(&action))
                    message_ += data->octets;
                else if (auto* ask = std::get_if<Ask>(&action)) {
                    ++requests_;
                    std::string request = text::write(ask->request);
                    note("X: " + request);
                    queue.push_back(
                        session_.on_reply(text::read_reply(answer_ ? answer_(request) : "internal none")));
                } else if (std::holds_alternative<AppendAbort>(action))
                    note("X: AppendAbort");
                else if (std::holds_alternative<StartTls>(action))
                    note("X: StartTls");
                else if (std::holds_alternative<StartCompression>(action))
                    note("X: StartCompression");
                else if (std::holds_alternative<Close>(action))
                    note("X: Close"), closed_ = true;
            }
        }
    }
    void text(const std::string& octets) {
        flush_message();
        line_ += octets;
        for (std::size_t end; (end = line_.find("\r\n")) != std::string::npos; line_.erase(0, end + 2))
            seen_.push_back("S: " + line_.substr(0, end));
    }
    void flush_message() {
        if (!message_.empty()) seen_.push_back("D: " + text::escape(message_));
        message_.clear();
    }
    void finish_line() {
        flush_message();
        if (!line_.empty()) seen_.push_back("S: " + line_ + " (unfinished)");
        line_.clear();
    }
    void note(const std::string& line) {
        finish_line();
        seen_.push_back(line);
    }

    ServerSession session_;
    Answer answer_;
    std::vector<std::string> seen_;
    std::string line_, message_;
    std::size_t requests_ = 0;
    bool closed_ = false;
};

}  // namespace fwmail::imap
