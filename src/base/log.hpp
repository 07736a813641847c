// The log: one line an event, to standard error or a file. Never message content, never secrets.
#pragma once

#include <mutex>
#include <string>
#include <string_view>

namespace fwmail {

enum class LogLevel { debug, info, warning, error };

class Log {
  public:
    explicit Log(int fd = 2, LogLevel least = LogLevel::info) : fd_(fd), least_(least) {}

    // `area` names the part ("imap", "queue"); control characters in `text` are written as \xNN.
    void write(LogLevel level, std::string_view area, std::string_view text);
    void debug(std::string_view area, std::string_view text) { write(LogLevel::debug, area, text); }
    void info(std::string_view area, std::string_view text) { write(LogLevel::info, area, text); }
    void warning(std::string_view area, std::string_view text) { write(LogLevel::warning, area, text); }
    void error(std::string_view area, std::string_view text) { write(LogLevel::error, area, text); }

  private:
    std::mutex mutex_;
    int fd_;
    LogLevel least_;
};

}  // namespace fwmail
