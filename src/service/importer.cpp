#include "service/importer.hpp"

#include <algorithm>
#include <utility>

#include "base/co_try.hpp"
#include "base/hooks.hpp"
#include "crypto/hash.hpp"
#include "imap/parser.hpp"
#include "service/message_texts.hpp"

namespace fwmail::service {
namespace {

constexpr std::size_t batch_messages = 64;
constexpr std::size_t batch_limit = 4 << 20;  // octets
constexpr auto tell_every = std::chrono::seconds(1);
// Years 1 to 9999: what INTERNALDATE can say.
constexpr std::int64_t first_date = -62135596800000, last_date = 253402300799000;

// A name that a mailbox here can have; what it cannot hold becomes '_'.
std::string allowed_name(std::string_view path) {
    std::string name;
    for (char c : path.substr(0, 600)) {
        bool odd = (c >= 0 && c < ' ') || c == 127 || c == '%' || c == '*';
        if (c == '/' && (name.empty() || name.ends_with('/'))) continue;
        name += odd ? '_' : c;
    }
    while (name.ends_with('/')) name.pop_back();
    if (!imap::fault_of_new_name(name).empty())
        for (char& c : name)
            if (c < ' ' || c > '~') c = '_';
    return name.empty() ? "_" : name;
}

Result<store::Mailbox> find_or_create(store::AccountStore& account, const std::string& name,
                                      const store::Author& author) {
    UnixMillis now = author.now;
    for (std::size_t at = 0; (at = name.find(store::mailbox_delimiter, at + 1)) != std::string::npos;)
        if (std::string parent = name.substr(0, at); !TRY(account.find_mailbox(parent)))
            TRY(account.create_mailbox(parent, "", now));
    if (auto mailbox = TRY(account.find_mailbox(name))) return *mailbox;
    auto mailbox = TRY(account.create_mailbox(name, "", now));
    TRY(account.set_subscribed(name, true, author));
    return mailbox;
}

}  // namespace

std::string transfer_key(std::string_view end, std::string_view path, std::string_view item) {
    crypto::Sha256 hash;
    for (auto part : {end, path, item}) {
        hash.update(std::to_string(part.size()) + ':');
        hash.update(part);
    }
    return std::string(crypto::view_of(hash.finish()).substr(0, 16));
}

net::Task<Result<bool>> Importer::is_known(SourceMessage message) {
    std::string key = transfer_key(options_.source, message.path, message.item);
    auto job = [key](store::AccountStore& account) { return account.is_transferred(key); };
    bool known = CO_TRY(co_await node_.read(options_.account, job));
    if (known) ++counts_.known;
    co_return known;
}

std::string Importer::target_path(const SourceMessage& message) const {
    bool inbox = equal_ignoring_case(message.path, "INBOX");
    if (options_.below.empty()) return inbox ? "INBOX" : allowed_name(message.path);
    return inbox ? options_.below : options_.below + '/' + allowed_name(message.path);
}

net::Task<Result<MailboxId>> Importer::mailbox_of(SourceMessage message) {
    if (auto it = mailboxes_.find(message.path); it != mailboxes_.end()) co_return it->second;
    // What has a special use there goes to what has it here.
    bool by_use = options_.below.empty() && !message.special_use.empty();
    auto job =
        [name = target_path(message), use = by_use ? message.special_use : std::string(),
         author = store::Author{node_.id, node_.clock()}](store::AccountStore& account) -> Result<MailboxId> {
        if (!use.empty())
            for (const auto& mailbox : TRY(account.load_mailboxes()))
                if (equal_ignoring_case(mailbox.special_use, use)) return mailbox.id;
        return TRY(find_or_create(account, name, author)).id;
    };
    MailboxId id = CO_TRY(co_await node_.write(options_.account, std::move(job)));
    mailboxes_[message.path] = id;
    co_return id;
}

net::Task<Result<>> Importer::run(MailSource& source) {
    Result<> result;
    for (;;) {
        auto message = co_await source.next();
        if (!message) result = std::unexpected(message.error());
        if (!message || !*message) break;
        auto now = std::chrono::steady_clock::now();
        if (now - told_ >= tell_every) {
            told_ = now;
            result = co_await progress_((*message)->path, counts_);
            if (!result) break;
        }
        if (node_.stopping) {
            result = fail(ErrorKind::temporary, "the server stops: begin the import anew later");
            break;
        }
        bool known = false;
        if (!(*message)->item.empty()) known = CO_TRY(co_await is_known(**message));
        if (!known) result = co_await take(source);
        // A file that has gone or may not be read: the source keeps its name, the others go on.
        if (!result && result.error().kind == ErrorKind::refused && !source.unreadable().empty()) result = {};
        if (!result && source.goes_on()) result = {};
        if (!result) break;
    }
    auto flushed = co_await flush();
    co_return result ? flushed : result;
}

// One message, into the batch.
net::Task<Result<>> Importer::take(MailSource& source) {
    BodyWriter writer(node_);
    crypto::Sha256 hash;
    for (;;) {
        std::string octets = CO_TRY(co_await source.read());
        if (octets.empty()) break;
        hash.update(octets);
        CO_TRY(co_await writer.feed(std::move(octets)));
    }
    SourceMessage from = source.message();
    if (from.item.empty()) {
        // The second message with one content is another one.
        std::string digest = transfer_key(from.path, "", crypto::view_of(hash.finish()));
        from.item = digest + std::to_string(++seen_[digest]);
        bool known = CO_TRY(co_await is_known(from));
        if (known) co_return Result<>();
    }
    auto written = CO_TRY(co_await writer.finish());
    Item item;
    item.key = transfer_key(options_.source, from.path, from.item);
    UnixMillis now = node_.clock();
    item.message.mailbox = CO_TRY(co_await mailbox_of(from));
    item.message.hold = make_id<store::HoldIdTag>(now);
    item.message.email_id = make_email_id(now);
    item.message.object = written.object;
    item.message.size = written.size;
    item.message.date = UnixMillis{std::clamp(from.date.value, first_date, last_date)};
    item.message.zone_minutes = from.zone_minutes;
    item.message.flags = from.flags;
    item.message.texts = std::move(written.texts);
    item.message.saved_at = now;
    item.content = std::move(written.content);
    batch_octets_ += item.content ? item.content->size() : 0;
    counts_.octets += written.size;
    batch_.push_back(std::move(item));
    if (batch_.size() >= batch_messages || batch_octets_ >= batch_limit) co_return co_await flush();
    co_return Result<>();
}

// Bodies first, then rows: a crash between leaves bodies that nobody holds, which the next start lets go of.
net::Task<Result<>> Importer::flush() {
    if (batch_.empty()) co_return Result<>();
    auto batch = std::make_shared<std::vector<Item>>(std::move(batch_));
    batch_.clear();
    std::size_t octets = std::exchange(batch_octets_, 0);
    AccountId account = options_.account;
    auto keep = [account, batch, now = node_.clock()](store::SystemStore& system) -> Result<> {
        for (const auto& item : *batch) {
            if (item.content) TRY(system.put_object(item.message.object, *item.content, now));
            TRY(system.add_reference(item.message.object, {account, item.message.hold}));
        }
        return {};
    };
    CO_TRY(co_await node_.write(store::system_file, keep, octets));
    crash_point("import.between-files");
    auto add = [batch](store::AccountStore& store) -> Result<std::vector<store::Reference>> {
        std::vector<store::Reference> unused;
        for (const auto& item : *batch)
            if (!TRY(store.append_transferred(item.message, item.key)))
                unused.push_back({item.message.object, item.message.hold});
        return unused;
    };
    auto unused = CO_TRY(co_await node_.write(account, add));
    counts_.done += batch->size() - unused.size();
    counts_.known += unused.size();
    node_.hub.changed(account);
    if (unused.empty()) co_return Result<>();
    auto release = [account, unused](store::SystemStore& system) {
        return system.release_references(account, unused);
    };
    co_return co_await node_.write(store::system_file, release);
}

}  // namespace fwmail::service
