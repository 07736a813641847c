// fwmail import, fwmail export: asks the node that runs, or opens the store and does the work here.
#include "service/transfer.hpp"

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>

#include "net/control.hpp"
#include "roles/client.hpp"
#include "service/admin.hpp"
#include "service/releases.hpp"
#include "service/transfer_place.hpp"
#include "store/lock.hpp"

namespace fwmail::roles {
namespace json = boost::json;
namespace {

using namespace service;

// What the replies say, on standard error; at last the outcome.
class Report {
  public:
    explicit Report(std::string verb) : verb_(std::move(verb)), terminal_(isatty(STDERR_FILENO)) {}

    void take(std::string_view line) {
        boost::system::error_code error;
        auto value = json::parse(line, error);
        if (error || !value.is_object()) return;
        const auto& reply = value.as_object();
        if (const auto* progress = reply.if_contains("progress"); progress && progress->is_object()) {
            std::string text = counts(progress->as_object());
            std::fprintf(stderr, terminal_ ? "\r\033[K%s" : "%s\n", text.c_str());
            open_ = terminal_;
            return;
        }
        end_line();
        if (std::string text = text_of(reply, "warning"); !text.empty())
            std::fprintf(stderr, "%s: %s\n", verb_.c_str(), text.c_str());
        if (const auto* done = reply.if_contains("done"); done && done->is_object()) {
            std::printf("%s\n", counts(done->as_object()).c_str());
            result_ = Result<>();
        }
        if (std::string text = text_of(reply, "error"); !text.empty())
            result_ = fail(text_of(reply, "kind") == "usage" ? ErrorKind::usage : ErrorKind::refused, text);
    }

    void end_line() {
        if (open_) std::fprintf(stderr, "\n");
        open_ = false;
    }
    Result<> result() const { return result_; }

  private:
    std::string counts(const json::object& object) const {
        auto number = [&](const char* name) {
            const auto* value = object.if_contains(name);
            return value && value->is_number() ? value->to_number<std::uint64_t>() : 0;
        };
        std::string out = verb_ + "ed " + std::to_string(number("messages")) + " messages, " +
                          std::to_string(number("octets") / 1024) + " KiB";
        if (auto known = number("known")) out += "; " + std::to_string(known) + " were there already";
        if (std::string mailbox = text_of(object, "mailbox"); !mailbox.empty()) out += "; now " + mailbox;
        return out;
    }

    std::string verb_;
    bool terminal_, open_ = false;
    Result<> result_ = fail(ErrorKind::internal, "the node gave no answer: its log says why");
};

net::Task<Result<>> show(Report& report, std::string line) {
    report.take(line);
    co_return Result<>();
}

net::Task<> work(Node& node, json::object request, Report& report) {
    net::ControlReply reply = [&report](std::string line) { return show(report, std::move(line)); };
    co_await run_transfer(node, std::move(request), std::move(reply));
    node.runtime.request_stop();
}

Result<> transfer_offline(const config::Config& config, const json::object& request, Report& report) {
    auto data_dir = config.path("data-dir");
    if (!std::filesystem::exists(data_dir / "system.db"))
        return fail(ErrorKind::usage, data_dir.string() + " has not been set up: run fwmail init");
    auto lock = TRY(store::Lock::take(data_dir));
    auto master_key = TRY(load_master_key(data_dir));
    auto system = TRY(open_stopped(data_dir, system_clock()()));
    auto identity = TRY(load_identity(*system, master_key));
    Log log(2, LogLevel::warning);
    TRY(begin_run(*system, data_dir, system_clock()(), log));
    auto runtime = std::make_unique<net::Runtime>(log, 1);
    store::ExecutorOptions options;
    options.data_dir = data_dir;
    auto executor = TRY(store::Executor::open(std::move(options)));
    Node node{identity.role,
              config,
              log,
              system_clock(),
              *runtime,
              *executor,
              identity.id,
              std::move(master_key),
              identity.key,
              nullptr,
              net::Resolver(),
              {},
              {},
              net::Notifier(runtime->main_executor()),
              net::Notifier(runtime->main_executor())};
    TRY(node.directory.reload(*system));
    system.reset();
    runtime->catch_signals();
    runtime->on_stop([&node] { node.stopping = true; });
    runtime->spawn_on(runtime->main_executor(), "transfer", work(node, request, report));
    runtime->run(std::chrono::minutes(1));
    executor.reset();  // its threads complete into the runtime
    bool doubt = runtime->live() > 0 || node.references_in_doubt;
    runtime.reset();  // what was cut refers to the node
    auto after = TRY(store::SystemStore::open(data_dir));
    return doubt ? Result<>() : note_clean_stop(*after);
}

// The place as the node will understand it: its working directory is another one.
Result<std::string> absolute_place(const std::string& text) {
    auto place = TRY(parse_transfer_place(text));
    if (place.is_server()) return text;
    place.path = std::filesystem::absolute(place.path).lexically_normal().string();
    while (place.path.size() > 1 && place.path.ends_with('/')) place.path.pop_back();
    return place.name();
}

Result<> transfer(const std::string& verb, const Words& words) {
    if (words.positional.size() != 2)
        return fail(ErrorKind::usage,
                    "say whose mail and where: fwmail " + verb + " USER PLACE --config FILE");
    json::object request{{"command", verb},
                         {"name", words.positional[0]},
                         {"place", TRY(absolute_place(words.positional[1]))},
                         {"pin", words.option("pin")}};
    for (const char* name : {"mailbox", "layout"}) request[name] = words.option(name);
    if (std::string layout = words.option("layout");
        !layout.empty() && layout != "fs" && layout != "maildir++")
        return fail(ErrorKind::usage, "--layout is fs or maildir++");
    if (std::string ca = words.option("ca-file"); !ca.empty())
        request["ca-file"] = std::filesystem::absolute(ca).string();
    if (TRY(parse_transfer_place(words.positional[1])).is_server()) {
        auto password = TRY(read_secret(words.option("password-file"), "password at the server", false));
        request["password"] = password.view();
    }
    auto config = TRY(load_any_config(words.option("config")));
    Report report(verb);
    auto asked = net::control_request(
        config.path("data-dir") / "control", json::serialize(request),
        [&](std::string_view line) {
            report.take(line);
            return true;
        },
        std::chrono::minutes(15));
    // Nobody listens there: no role is running.
    if (!asked && asked.error().kind == ErrorKind::refused) asked = transfer_offline(config, request, report);
    report.end_line();
    if (!asked) return asked;
    return report.result();
}

Result<> import_message(const Arguments& arguments) {
    auto words = TRY(parse_words(arguments, {"config", "mailbox", "password-file", "ca-file", "pin"}, {}));
    return transfer("import", words);
}

Result<> export_message(const Arguments& arguments) {
    auto words = TRY(parse_words(arguments, {"config", "layout", "password-file", "ca-file", "pin"}, {}));
    return transfer("export", words);
}

}  // namespace

int run_import(const Arguments& arguments) {
    auto result = import_message(arguments);
    return result ? exit_success : report("import", result.error());
}

int run_export(const Arguments& arguments) {
    auto result = export_message(arguments);
    return result ? exit_success : report("export", result.error());
}

}  // namespace fwmail::roles
