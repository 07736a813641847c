// Maildir, mbox files and .eml files as targets.
//
// A file gets its name once it is whole and on the disk. What an interrupted export left unfinished is
// removed by the next one.
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <map>

#include "base/co_try.hpp"
#include "imap/parser.hpp"
#include "mime/mbox.hpp"
#include "service/disk_file.hpp"
#include "service/mail_target.hpp"
#include "service/maildir_names.hpp"

namespace fwmail::service {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view marker = ".fwmail-export";

Result<> write_file(const fs::path& path, std::string_view text) {
    std::error_code error;
    fs::path fresh = path.string() + ".new";
    fs::remove(fresh, error);
    auto file = TRY(DiskFile::create(fresh));
    TRY(file->write(text));
    TRY(file->finish(std::nullopt));
    fs::rename(fresh, path, error);
    if (error) return fail(ErrorKind::refused, "cannot write " + shown(path));
    return {};
}

// A folder that is ours to write to: nobody's files are mixed with ours, or lost.
Result<> claim(const fs::path& folder, AccountId account) {
    std::error_code error;
    std::string name = account.hex() + '\n';
    if (fs::exists(folder / marker, error)) {
        auto file = TRY(DiskFile::open(folder / marker));
        if (TRY(file->read()) != name)
            return fail(ErrorKind::usage, shown(folder) + " holds the export of another account");
        return {};
    }
    if (fs::exists(folder, error) && !fs::is_empty(folder, error))
        return fail(ErrorKind::usage, shown(folder) + " is not empty: export into a new folder");
    TRY(make_folder(folder));
    return write_file(folder / marker, name);
}

Result<> move_file(const fs::path& from, const fs::path& to) {
    std::error_code error;
    fs::rename(from, to, error);
    if (error) return fail(ErrorKind::refused, "cannot write " + shown(to));
    int folder = ::open(to.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0) {
        ::fsync(folder);
        ::close(folder);
    }
    return {};
}

// A path with a folder for each level. Names that hold an '&' are written in modified UTF-7, so that reading
// them back is no guess.
fs::path nested_path(std::string_view path) {
    fs::path out;
    while (true) {
        std::size_t end = std::min(path.find('/'), path.size());
        std::string level(path.substr(0, end));
        if (level.find('&') != std::string::npos) level = imap::encode_mailbox_name(level);
        bool taken =
            level.empty() || level.starts_with('.') || level == "cur" || level == "new" || level == "tmp";
        out /= taken ? '_' + level : level;
        if (end == path.size()) return out;
        path.remove_prefix(end + 1);
    }
}

// A file a message. How it is called, and where it lies, differs.
class FilePerMessage : public MailTarget {
  public:
    explicit FilePerMessage(Node& node) : node_(node) {}

    net::Task<Result<bool>> begin(ExportMessage message) override {
        std::string base = base_of(message), letters = letters_of_flags(message.flags, keywords_);
        std::string name = name_of(base, letters);
        message_ = message;
        convert_ = message.all_crlf;
        line_ends_ = {};
        final_ = place_ / name;
        if (auto there = present_.find(base); there != present_.end()) {
            fs::path before = place_ / there->second;
            if (there->second == name) co_return false;
            auto job = [before, after = final_]() { return move_file(before, after); };
            CO_TRY(co_await on_disk(node_, job));
            there->second = name;
            co_return false;
        }
        present_[base] = name;
        unfinished_ = temporary() / (base + ".part");
        auto job = [path = unfinished_]() {
            std::error_code error;
            fs::remove(path, error);
            return DiskFile::create(path);
        };
        file_ = CO_TRY(co_await on_disk(node_, job));
        co_return true;
    }

    net::Task<Result<>> write(std::string octets) override {
        auto job = [file = file_, text = convert_ ? line_ends_.add(octets) : octets]() {
            return file->write(text);
        };
        co_return co_await on_disk(node_, std::move(job));
    }

    net::Task<Result<>> end() override {
        auto job = [file = file_, from = unfinished_, to = final_, date = message_.date]() -> Result<> {
            TRY(file->finish(date));
            return move_file(from, to);
        };
        file_.reset();
        co_return co_await on_disk(node_, std::move(job));
    }

    net::Task<> finish() override { co_return; }
    bool wants_line_ends() const override { return true; }

  protected:
    virtual std::string base_of(const ExportMessage& message) const = 0;
    virtual std::string name_of(const std::string& base, const std::string& letters) const = 0;
    virtual fs::path temporary() const = 0;

    Node& node_;
    fs::path place_;                              // where the mailbox's messages lie
    std::map<std::string, std::string> present_;  // base to name
    MaildirKeywords keywords_;

  private:
    ExportMessage message_;
    fs::path final_, unfinished_;
    std::shared_ptr<DiskFile> file_;
    bool convert_ = false;
    mime::LineEndsToLf line_ends_;
};

using Present = std::map<std::string, std::string>;

class MaildirTarget final : public FilePerMessage {
  public:
    MaildirTarget(Node& node, fs::path root, MaildirLayout layout)
        : FilePerMessage(node), root_(std::move(root)), layout_(layout) {}

    net::Task<Result<>> begin_mailbox(std::string path, std::string) override {
        folder_ = layout_ == MaildirLayout::nested ? root_ / nested_path(path)
                                                   : root_ / maildir_folder_of_path(path);
        place_ = folder_ / "cur";
        struct Found {
            Present present;
            MaildirKeywords keywords;
        };
        bool inner = layout_ == MaildirLayout::plus_plus && folder_ != root_ / "";
        auto job = [folder = folder_, inner]() -> Result<Found> {
            Found found;
            for (const char* part : {"cur", "new", "tmp"}) TRY(make_folder(folder / part));
            if (inner) TRY(write_file(folder / "maildirfolder", ""));
            std::error_code error;
            for (const auto& entry : fs::directory_iterator(folder / "cur", error)) {
                std::string name = entry.path().filename().string();
                found.present[std::string(maildir_base(name))] = name;
            }
            if (fs::exists(folder / "dovecot-keywords", error)) {
                auto file = TRY(DiskFile::open(folder / "dovecot-keywords"));
                found.keywords = parse_keywords(TRY(file->read()));
            }
            return found;
        };
        auto found = CO_TRY(co_await on_disk(node_, std::move(job)));
        present_ = std::move(found.present);
        keywords_ = std::move(found.keywords);
        co_return Result<>();
    }

    net::Task<Result<>> end_mailbox() override {
        if (keywords_.empty()) co_return Result<>();
        auto job = [path = folder_ / "dovecot-keywords", text = write_keywords(keywords_)]() {
            return write_file(path, text);
        };
        co_return co_await on_disk(node_, std::move(job));
    }

  private:
    std::string base_of(const ExportMessage& message) const override {
        return std::to_string(std::max<std::int64_t>(message.date.value / 1000, 0)) + ".V" +
               std::to_string(message.uidvalidity.value) + 'U' + std::to_string(message.uid.value) +
               ".fwmail";
    }
    std::string name_of(const std::string& base, const std::string& letters) const override {
        return base + ":2," + letters;
    }
    fs::path temporary() const override { return folder_ / "tmp"; }

    fs::path root_, folder_;
    MaildirLayout layout_;
};

class EmlTarget final : public FilePerMessage {
  public:
    EmlTarget(Node& node, fs::path root) : FilePerMessage(node), root_(std::move(root)) {}

    net::Task<Result<>> begin_mailbox(std::string path, std::string) override {
        place_ = root_ / nested_path(path);
        keywords_.assign(26, "");  // letters for system flags only
        auto job = [folder = place_]() -> Result<Present> {
            TRY(make_folder(folder));
            Present present;
            std::error_code error;
            for (const auto& entry : fs::directory_iterator(folder, error)) {
                std::string name = entry.path().filename().string();
                if (name.ends_with(".eml")) present[name.substr(0, name.find('.'))] = name;
            }
            return present;
        };
        present_ = CO_TRY(co_await on_disk(node_, std::move(job)));
        co_return Result<>();
    }
    net::Task<Result<>> end_mailbox() override { co_return Result<>(); }
    bool wants_line_ends() const override { return false; }  // .eml files have CRLF

  private:
    std::string base_of(const ExportMessage& message) const override {
        std::string number = std::to_string(message.uid.value);
        return std::string(10 - number.size(), '0') + number;
    }
    std::string name_of(const std::string& base, const std::string& letters) const override {
        return base + (letters.empty() ? "" : '.' + letters) + ".eml";
    }
    fs::path temporary() const override { return place_; }

    fs::path root_;
};

class MboxTarget final : public MailTarget {
  public:
    MboxTarget(Node& node, fs::path root) : node_(node), root_(std::move(root)) {}

    net::Task<Result<>> begin_mailbox(std::string path, std::string) override {
        final_ = root_ / nested_path(path);
        final_ += ".mbox";
        auto job = [path = final_]() -> Result<std::shared_ptr<DiskFile>> {
            TRY(make_folder(path.parent_path()));
            std::error_code error;
            fs::remove(path.string() + ".part", error);
            return DiskFile::create(path.string() + ".part");
        };
        file_ = CO_TRY(co_await on_disk(node_, job));
        co_return Result<>();
    }
    net::Task<Result<bool>> begin(ExportMessage message) override {
        writer_.emplace(message.date, message.flags);
        convert_ = message.all_crlf;
        line_ends_ = {};
        co_return true;
    }
    net::Task<Result<>> write(std::string octets) override {
        co_return co_await put(writer_->add(convert_ ? line_ends_.add(octets) : octets));
    }
    net::Task<Result<>> end() override { co_return co_await put(writer_->finish()); }
    net::Task<Result<>> end_mailbox() override {
        auto job = [file = file_, path = final_]() -> Result<> {
            TRY(file->finish(std::nullopt));
            return move_file(path.string() + ".part", path);
        };
        file_.reset();
        co_return co_await on_disk(node_, std::move(job));
    }
    net::Task<> finish() override { co_return; }
    bool wants_line_ends() const override { return true; }

  private:
    net::Task<Result<>> put(std::string text) {
        auto job = [file = file_, text = std::move(text)]() { return file->write(text); };
        co_return co_await on_disk(node_, std::move(job));
    }

    Node& node_;
    fs::path root_, final_;
    std::shared_ptr<DiskFile> file_;
    std::optional<mime::MboxWriter> writer_;
    bool convert_ = false;
    mime::LineEndsToLf line_ends_;
};

}  // namespace

Result<std::unique_ptr<MailTarget>> open_maildir_target(Node& node, fs::path folder, AccountId account,
                                                        MaildirLayout layout) {
    TRY(claim(folder, account));
    return std::make_unique<MaildirTarget>(node, std::move(folder), layout);
}

Result<std::unique_ptr<MailTarget>> open_mbox_target(Node& node, fs::path folder, AccountId account) {
    TRY(claim(folder, account));
    return std::make_unique<MboxTarget>(node, std::move(folder));
}

Result<std::unique_ptr<MailTarget>> open_eml_target(Node& node, fs::path folder, AccountId account) {
    TRY(claim(folder, account));
    return std::make_unique<EmlTarget>(node, std::move(folder));
}

}  // namespace fwmail::service
