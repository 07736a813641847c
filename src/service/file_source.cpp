// Maildir and folders of .eml files as sources: a message is a file.
#include <algorithm>
#include <deque>

#include "base/co_try.hpp"
#include "imap/parser.hpp"
#include "service/disk_file.hpp"
#include "service/mail_source.hpp"
#include "service/maildir_names.hpp"

namespace fwmail::service {
namespace {

namespace fs = std::filesystem;
constexpr int deepest = 30;

struct Folder {
    fs::path place;
    std::string path;  // of the mailbox
};
struct FileMessage {
    fs::path file;
    SourceMessage message;
};

std::string utf8_name(const fs::path& name) {
    std::string text = name.string();
    return imap::decode_mailbox_name(text).value_or(text);
}

// Folders that hold `cur`: the top is INBOX, `.a.b` is Maildir++, other folders are levels (Dovecot's
// LAYOUT=fs).
void find_maildirs(const fs::path& place, const std::string& path, int depth, std::vector<Folder>& out) {
    std::error_code error;
    if (fs::is_directory(place / "cur", error)) out.push_back({place, path.empty() ? "INBOX" : path});
    if (depth == deepest) return;
    std::vector<fs::path> inner;
    for (const auto& entry : fs::directory_iterator(place, error))
        if (entry.is_directory(error) && !entry.is_symlink(error)) inner.push_back(entry.path());
    std::ranges::sort(inner);
    for (const auto& folder : inner) {
        std::string name = folder.filename().string();
        if (name == "cur" || name == "new" || name == "tmp") continue;
        std::string child = name.starts_with('.') ? path_of_maildir_folder(name) : utf8_name(name);
        find_maildirs(folder, path.empty() ? child : path + '/' + child, depth + 1, out);
    }
}

void find_eml_folders(const fs::path& place, const std::string& path, int depth, std::vector<Folder>& out) {
    out.push_back({place, path.empty() ? "INBOX" : path});
    if (depth == deepest) return;
    std::error_code error;
    std::vector<fs::path> inner;
    for (const auto& entry : fs::directory_iterator(place, error))
        if (entry.is_directory(error) && !entry.is_symlink(error) &&
            !entry.path().filename().string().starts_with('.'))
            inner.push_back(entry.path());
    std::ranges::sort(inner);
    for (const auto& folder : inner)
        find_eml_folders(folder, (path.empty() ? "" : path + '/') + utf8_name(folder.filename()), depth + 1,
                         out);
}

std::vector<FileMessage> list_maildir(const Folder& folder) {
    MaildirKeywords keywords;
    if (auto file = DiskFile::open(folder.place / "dovecot-keywords"))
        if (auto text = (*file)->read()) keywords = parse_keywords(*text);
    std::vector<FileMessage> out;
    for (const char* part : {"cur", "new"}) {
        std::error_code error;
        for (const auto& entry : fs::directory_iterator(folder.place / part, error)) {
            std::string name = entry.path().filename().string();
            if (name.starts_with('.')) continue;
            FileMessage found{entry.path(), {}};
            found.message.path = folder.path;
            found.message.item = maildir_base(name);
            found.message.flags = flags_of_letters(maildir_letters(name), keywords);
            out.push_back(std::move(found));
        }
    }
    // Names begin with the time of arrival.
    std::ranges::sort(out, {}, [](const auto& m) { return m.message.item; });
    return out;
}

// `00000012.FS.eml` as export writes it, or any other name.
void take_eml_name(std::string_view name, SourceMessage& message) {
    message.item = name;
    name.remove_suffix(4);
    std::size_t dot = std::min(name.find('.'), name.size());
    std::string_view number = name.substr(0, dot), letters = name.substr(std::min(dot + 1, name.size()));
    if (number.empty() || number.find_first_not_of("0123456789") != std::string_view::npos ||
        letters.find_first_not_of("DFPRST") != std::string_view::npos)
        return;
    message.item = number;  // letters change when flags do
    message.flags = flags_of_letters(letters, {});
}

std::vector<FileMessage> list_eml(const Folder& folder) {
    std::vector<FileMessage> out;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder.place, error)) {
        std::string name = entry.path().filename().string();
        if (name.size() < 5 || !equal_ignoring_case(name.substr(name.size() - 4), ".eml")) continue;
        FileMessage found{entry.path(), {}};
        found.message.path = folder.path;
        take_eml_name(name, found.message);
        out.push_back(std::move(found));
    }
    std::ranges::sort(out, {}, [](const auto& m) { return m.file; });
    return out;
}

class FileSource final : public MailSource {
  public:
    using List = std::vector<FileMessage> (*)(const Folder&);

    FileSource(Node& node, std::vector<Folder> folders, List list)
        : node_(node), folders_(folders.begin(), folders.end()), list_(list) {}

    net::Task<Result<std::optional<SourceMessage>>> next() override {
        file_.reset();
        while (files_.empty()) {
            if (folders_.empty()) co_return std::nullopt;
            auto job = [list = list_,
                        folder = std::move(folders_.front())]() -> Result<std::vector<FileMessage>> {
                return list(folder);
            };
            folders_.pop_front();
            auto found = CO_TRY(co_await on_disk(node_, std::move(job)));
            files_.assign(std::make_move_iterator(found.begin()), std::make_move_iterator(found.end()));
        }
        current_ = std::move(files_.front());
        files_.pop_front();
        co_return current_.message;
    }

    std::vector<std::string> unreadable() const override { return unreadable_; }

    net::Task<Result<std::string>> read() override {
        if (!file_) {
            auto open = [path = current_.file]() { return DiskFile::open(path); };
            auto opened = co_await on_disk(node_, open);
            if (!opened) {
                if (unreadable_.size() < 100) unreadable_.push_back(opened.error().text);
                co_return fail(ErrorKind::refused, opened.error().text);
            }
            file_ = *opened;
            current_.message.date = file_->changed();
            line_ends_ = {};
        }
        auto job = [file = file_]() { return file->read(); };
        std::string octets = CO_TRY(co_await on_disk(node_, job));
        co_return line_ends_.add(octets);
    }

    const SourceMessage& message() const override { return current_.message; }

  private:
    Node& node_;
    std::deque<Folder> folders_;
    List list_;
    std::deque<FileMessage> files_;
    FileMessage current_;
    std::shared_ptr<DiskFile> file_;
    mime::LineEndsToCrlf line_ends_;
    std::vector<std::string> unreadable_;
};

Result<std::unique_ptr<MailSource>> open_source(Node& node, const std::vector<Folder>& folders,
                                                const fs::path& place, FileSource::List list) {
    if (folders.empty()) return fail(ErrorKind::usage, shown(place) + " holds no mail of that kind");
    return std::make_unique<FileSource>(node, folders, list);
}

}  // namespace

Result<std::unique_ptr<MailSource>> open_maildir_source(Node& node, fs::path place) {
    std::vector<Folder> folders;
    find_maildirs(place, "", 0, folders);
    return open_source(node, folders, place, list_maildir);
}

Result<std::unique_ptr<MailSource>> open_eml_source(Node& node, fs::path place) {
    std::vector<Folder> folders;
    std::error_code error;
    if (fs::is_directory(place, error)) find_eml_folders(place, "", 0, folders);
    return open_source(node, folders, place, list_eml);
}

}  // namespace fwmail::service
