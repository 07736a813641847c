// mbox files as a source. Nothing names a message there but its content.
#include <algorithm>
#include <deque>

#include "base/co_try.hpp"
#include "imap/parser.hpp"
#include "service/disk_file.hpp"
#include "service/mail_source.hpp"

namespace fwmail::service {
namespace {

namespace fs = std::filesystem;

struct MboxFile {
    fs::path file;
    std::string path;  // of the mailbox
};

std::string utf8_name(std::string name) {
    if (name.size() > 5 && equal_ignoring_case(name.substr(name.size() - 5), ".mbox"))
        name.resize(name.size() - 5);
    return imap::decode_mailbox_name(name).value_or(name);
}

void find_files(const fs::path& place, const std::string& path, int depth, std::vector<MboxFile>& out) {
    constexpr int deepest = 30;
    std::error_code error;
    std::vector<fs::directory_entry> inner;
    for (const auto& entry : fs::directory_iterator(place, error))
        if (!entry.is_symlink(error) && !entry.path().filename().string().starts_with('.'))
            inner.push_back(entry);
    std::ranges::sort(inner);
    for (const auto& entry : inner) {
        std::string name = (path.empty() ? "" : path + '/') + utf8_name(entry.path().filename().string());
        if (entry.is_directory(error)) {
            if (depth < deepest) find_files(entry.path(), name, depth + 1, out);
        } else if (entry.is_regular_file(error)) {
            out.push_back({entry.path(), name});
        }
    }
}

class MboxSource final : public MailSource {
  public:
    MboxSource(Node& node, std::vector<MboxFile> files, mime::MboxQuoting quoting)
        : node_(node), files_(files.begin(), files.end()), quoting_(quoting), reader_(quoting) {}

    net::Task<Result<std::optional<SourceMessage>>> next() override {
        for (;;) {
            CO_TRY(co_await fill());
            if (events_.empty()) co_return std::nullopt;
            mime::MboxEvent event = std::move(events_.front());
            events_.pop_front();
            auto* begin = std::get_if<mime::MboxBegin>(&event);
            if (!begin) continue;
            current_ = {};
            current_.path = path_;
            current_.date = begin->date;
            line_ends_ = {};
            in_message_ = true;
            co_return current_;
        }
    }

    net::Task<Result<std::string>> read() override {
        while (in_message_) {
            CO_TRY(co_await fill());
            if (events_.empty()) break;
            mime::MboxEvent event = std::move(events_.front());
            events_.pop_front();
            if (auto* content = std::get_if<mime::MboxContent>(&event)) {
                std::string octets = line_ends_.add(content->octets);
                if (!octets.empty()) co_return octets;
            } else if (auto* end = std::get_if<mime::MboxEnd>(&event)) {
                current_.flags = std::move(end->flags);
                in_message_ = false;
            }
        }
        co_return std::string();
    }

    const SourceMessage& message() const override { return current_; }

  private:
    // Until there is an event, or no more file.
    net::Task<Result<>> fill() {
        while (events_.empty()) {
            if (!file_) {
                if (files_.empty()) co_return Result<>();
                auto open = [path = files_.front().file]() { return DiskFile::open(path); };
                file_ = CO_TRY(co_await on_disk(node_, open));
                path_ = files_.front().path;
                files_.pop_front();
                reader_ = mime::MboxReader(quoting_);
            }
            auto job = [file = file_]() { return file->read(); };
            std::string octets = CO_TRY(co_await on_disk(node_, job));
            auto events = octets.empty() ? reader_.finish() : reader_.add(octets);
            if (octets.empty()) file_.reset();
            for (auto& event : events) events_.push_back(std::move(event));
        }
        co_return Result<>();
    }

    Node& node_;
    std::deque<MboxFile> files_;
    mime::MboxQuoting quoting_;
    mime::MboxReader reader_;
    std::shared_ptr<DiskFile> file_;
    std::string path_;
    std::deque<mime::MboxEvent> events_;
    SourceMessage current_;
    bool in_message_ = false;
    mime::LineEndsToCrlf line_ends_;
};

}  // namespace

Result<std::unique_ptr<MailSource>> open_mbox_source(Node& node, fs::path place, mime::MboxQuoting quoting) {
    std::vector<MboxFile> files;
    std::error_code error;
    if (fs::is_directory(place, error))
        find_files(place, "", 0, files);
    else if (fs::is_regular_file(place, error))
        files.push_back({place, "INBOX"});
    if (files.empty()) return fail(ErrorKind::usage, shown(place) + " holds no mbox file");
    return std::make_unique<MboxSource>(node, files, quoting);
}

}  // namespace fwmail::service
