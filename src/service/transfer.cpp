#include "service/transfer.hpp"

#include <filesystem>

#include "base/co_try.hpp"
#include "base/encoding.hpp"
#include "imap/parser.hpp"
#include "service/admin.hpp"
#include "service/disk_file.hpp"
#include "service/exporter.hpp"
#include "service/imap_source.hpp"
#include "service/transfer_place.hpp"

namespace fwmail::service {
namespace {

namespace json = boost::json;
using Kind = TransferPlace::Kind;

class Transfer {
  public:
    Transfer(Node& node, json::object request, net::ControlReply reply)
        : node_(node), request_(std::move(request)), reply_(std::move(reply)) {}

    net::Task<> run() {
        auto result =
            text_of(request_, "command") == "import" ? co_await import_mail() : co_await export_mail();
        for (const auto& warning : warnings_)
            (void)co_await reply_(json::serialize(json::object{{"warning", warning}}));
        json::object last;
        if (result)
            last["done"] = counts_object("");
        else
            last = {{"error", result.error().text},
                    {"kind", result.error().kind == ErrorKind::usage ? "usage" : "failed"}};
        if (!result && result.error().kind == ErrorKind::internal)
            node_.log.error("transfer", result.error().text);
        (void)co_await reply_(json::serialize(last));
    }

  private:
    json::object counts_object(const std::string& path) const {
        return {{"mailbox", path},
                {"messages", counts_.done},
                {"known", counts_.known},
                {"octets", counts_.octets},
                {"failed", warnings_.size()}};
    }

    net::Task<Result<>> tell(std::string path, TransferCounts counts) {
        counts_ = counts;
        co_return co_await reply_(json::serialize(json::object{{"progress", counts_object(path)}}));
    }
    TransferProgress progress() {
        return [this](std::string path, TransferCounts counts) { return tell(std::move(path), counts); };
    }

    Result<AccountId> account() const {
        auto user = node_.directory.find_login(text_of(request_, "name"));
        if (!user) return fail(ErrorKind::refused, "there is no user " + text_of(request_, "name") + " here");
        return user->user.id;
    }

    Result<ImapServer> server(const TransferPlace& place) const {
        ImapServer server;
        server.address = place.server;
        server.implicit_tls = place.kind == Kind::imaps;
        server.user = place.user;
        server.password = Secret(text_of(request_, "password"));
        server.ca_file = text_of(request_, "ca-file");
        if (std::string pin = text_of(request_, "pin"); !pin.empty()) {
            auto octets = hex_decode(pin);
            if (!octets || octets->size() != 32)
                return fail(ErrorKind::usage, "--pin wants 64 hexadecimal digits");
            server.pinned_sha256 = *octets;
        }
        return server;
    }

    net::Task<Result<>> import_mail() {
        if (!node_.is_core())
            co_return fail(ErrorKind::usage, "mail is imported at core; the remote learns of it by mail");
        AccountId id = CO_TRY(account());
        auto place = CO_TRY(parse_transfer_place(text_of(request_, "place")));
        Importer::Options options{id, place.name(), text_of(request_, "mailbox")};
        if (std::string fault = imap::fault_of_new_name(options.below);
            !options.below.empty() && !fault.empty())
            co_return fail(ErrorKind::usage, fault);
        Importer importer(node_, options, progress());
        auto source = CO_TRY(co_await open_source(place, importer));
        auto result = co_await importer.run(*source);
        counts_ = importer.counts();
        warnings_ = source->unreadable();
        if (result && !warnings_.empty())
            co_return fail(ErrorKind::refused, "not all could be read; what could be is imported");
        co_return result;
    }

    net::Task<Result<std::unique_ptr<MailSource>>> open_source(TransferPlace place, Importer& importer) {
        std::filesystem::path path = place.path;
        switch (place.kind) {
            case Kind::maildir:
                co_return co_await on_disk(node_, [this, path] { return open_maildir_source(node_, path); });
            case Kind::eml:
                co_return co_await on_disk(node_, [this, path] { return open_eml_source(node_, path); });
            case Kind::mbox:
            case Kind::mboxo: {
                auto quoting = place.kind == Kind::mbox ? mime::MboxQuoting::rd : mime::MboxQuoting::o;
                co_return co_await on_disk(
                    node_, [this, path, quoting] { return open_mbox_source(node_, path, quoting); });
            }
            case Kind::imap:
            case Kind::imaps:
                break;
        }
        auto to = CO_TRY(server(place));
        IsKnown known = [&importer](SourceMessage message) { return importer.is_known(std::move(message)); };
        co_return co_await open_imap_source(node_, std::move(to), std::move(known));
    }

    net::Task<Result<>> export_mail() {
        AccountId id = CO_TRY(account());
        auto place = CO_TRY(parse_transfer_place(text_of(request_, "place")));
        Exporter exporter(node_, {id, place.name()}, progress());
        auto target = CO_TRY(co_await open_target(place, id));
        auto result = co_await exporter.run(*target);
        counts_ = exporter.counts();
        warnings_ = exporter.refused();
        if (result && !warnings_.empty())
            co_return fail(ErrorKind::refused, "not all was taken there; what was is exported");
        co_return result;
    }

    net::Task<Result<std::unique_ptr<MailTarget>>> open_target(TransferPlace place, AccountId id) {
        std::filesystem::path path = place.path;
        auto layout = text_of(request_, "layout") == "fs" ? MaildirLayout::nested : MaildirLayout::plus_plus;
        switch (place.kind) {
            case Kind::maildir:
                co_return co_await on_disk(
                    node_, [this, path, id, layout] { return open_maildir_target(node_, path, id, layout); });
            case Kind::eml:
                co_return co_await on_disk(node_,
                                           [this, path, id] { return open_eml_target(node_, path, id); });
            case Kind::mbox:
                co_return co_await on_disk(node_,
                                           [this, path, id] { return open_mbox_target(node_, path, id); });
            case Kind::mboxo:
                co_return fail(ErrorKind::usage,
                               "the mboxo form loses what it cannot quote: export to mbox:PATH");
            case Kind::imap:
            case Kind::imaps:
                break;
        }
        auto to = CO_TRY(server(place));
        co_return co_await open_imap_target(node_, std::move(to));
    }

    Node& node_;
    json::object request_;
    net::ControlReply reply_;
    TransferCounts counts_;
    std::vector<std::string> warnings_;
};

}  // namespace

bool is_transfer(const json::object& request) {
    std::string command = text_of(request, "command");
    return command == "import" || command == "export";
}

net::Task<> run_transfer(Node& node, json::object request, net::ControlReply reply) {
    auto transfer = std::make_unique<Transfer>(node, std::move(request), std::move(reply));
    co_await transfer->run();
}

}  // namespace fwmail::service
