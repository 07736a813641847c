// A server's octets into an IMAP client session. The commands come from the steering octets, names of
// mailboxes and flags included, since those are strangers' too.
#include <vector>

#include "fuzz/wire.hpp"
#include "imap/client_session.hpp"
#include "imap/writer.hpp"

using namespace fwmail;
using namespace fwmail::fuzz;
using namespace fwmail::imap;
using namespace fwmail::imap::client;

namespace {

Config config_of(Control& control) {
    std::uint8_t bits = control.octet();
    Config config;
    config.tls = bits & 1 ? TlsPolicy::opportunistic : bits & 2 ? TlsPolicy::required : TlsPolicy::none;
    config.tls_from_start = bits & 4;
    config.clear_auth = !(bits & 8);
    config.qresync = !(bits & 16);
    config.credentials = Credentials{"ann", Secret(std::string_view("secret"))};
    if (bits & 32) config.credentials = Credentials{control.text(20), Secret(control.text(20))};
    config.limits = {4096, 10'000};
    return config;
}

Command command_of(Control& control) {
    std::uint8_t kind = control.octet(), bits = control.octet();
    UidSet uids;
    if (bits & 1) uids.add(1, 0xffffffff);
    if (bits & 2) uids.add(bits), uids.add(200u + bits, 300);
    std::string name = bits & 4 ? control.text(20) : "INBOX";
    FlagSet flags = FlagSet::from_text(bits & 8 ? control.text(20) : "\\Seen $Junk");
    std::optional<ModSeq> modseq;
    if (bits & 16) modseq = ModSeq{bits};
    switch (kind % 15) {
        case 0:
            return FetchUids{uids, !(bits & 4),  !(bits & 8), true,   true,
                             true, !(bits & 32), !(bits & 2), modseq, bool(bits & 64)};
        case 1:
            return ListMailboxes{bits & 4 ? name : "*"};
        case 2:
            return StatusOf{name};
        case 3:
            return Select{name, bool(bits & 32),
                          modseq ? std::optional(KnownState{UidValidity{7}, *modseq}) : std::nullopt};
        case 4:
            return Unselect{};
        case 5:
            return StoreFlags{uids, static_cast<FlagMode>(bits >> 6 & 1), flags, modseq};
        case 6:
            return CopyTo{uids, name};
        case 7:
            return MoveTo{uids, name};
        case 8:
            return ExpungeUids{uids};
        case 9:
            return Append{name, flags,
                          bits & 32 ? std::optional(UnixMillis{1'000'000'000'000}) : std::nullopt,
                          bits & 64 ? 5000u : bits % 9u};
        case 10:
            return Create{name};
        case 11:
            return Subscribe{name};
        case 12:
            return Noop{};
        case 13:
            return Idle{};
        case 14:
            return Logout{};
    }
    return Noop{};
}

class Driver {
  public:
    explicit Driver(Control control) : control_(control), session_(config_of(control_)) {
        std::size_t count = 1 + control_.octet() % 6;
        for (; commands_ < count; ++commands_) {
            Command command = command_of(control_);
            append_left_.push_back(0);
            if (auto* append = std::get_if<Append>(&command)) append_left_.back() = append->size;
            // What is answered to the session's own questions is said when it is asked: it depends on cuts.
            asks |= std::holds_alternative<Append>(command) || std::holds_alternative<Idle>(command);
            handle(session_.command(std::move(command)));
        }
    }
    void feed(std::string_view octets) {
        if (!session_.is_closed()) handle(session_.on_bytes(octets));
    }
    void finish() {
        if (!session_.is_closed()) handle(session_.on_deadline());
        if (!session_.is_closed()) handle(session_.on_closed());
        require(session_.is_closed() && failures_ <= 1, "a session ends, and fails once at most");
        require(failures_ == 1 || answers_ == commands_ || logged_out_, "every command has its answer");
        require(session_.outstanding() == 0 || failures_ == 1 || logged_out_, "nothing is left over");
        require(failures_ == 1 || lines_.literal() == 0, "a literal is whole");
    }

    std::string trace;
    bool tls = false, asks = false;

  private:
    void handle(Events events) {
        for (auto& event : events) {
            require(!closed_, "nothing comes after Close");
            require(failures_ == 0 || std::holds_alternative<Close>(event), "nothing but Close after Failed");
            if (!std::holds_alternative<ContentPart>(event)) end_content();
            std::visit([this](auto& e) { on(e); }, event);
        }
    }
    void end_content() {
        if (!content_.empty()) trace += content_ + '\n';
        content_.clear();
    }
    void on(Send& send) {
        lines_.add(send.octets);
        trace += send.octets;
    }
    void on(Ready&) { trace += "ready\n"; }
    void on(ListRow& row) {
        std::string path = session_.path_of(row);
        trace += "row " + row.mailbox + ' ' + path + '\n';
        session_.mailbox_of(path);
    }
    void on(StatusRow& row) { trace += "status " + row.mailbox + '\n'; }
    void on(Selected& selected) { trace += "selected " + std::to_string(selected.exists) + '\n'; }
    void on(ContentBegin& begin) {
        require(begin.size <= 10'000, "content is bounded");
        content_left_ = begin.size;
        trace += "content " + begin.section + '\n';
    }
    void on(ContentPart& part) {
        require(!part.octets.empty() && part.octets.size() <= content_left_, "content is as large as said");
        content_left_ -= part.octets.size();
        content_ += part.octets;
    }
    void on(Fetched& fetched) {
        require(content_left_ == 0, "content is whole before its message is named");
        trace += "fetched " + std::to_string(fetched.uid.value) +
                 (fetched.flags ? fetched.flags->text() : "") + '\n';
        if (fetched.flags)
            for (const auto& keyword : fetched.flags->keywords)
                require(keyword.size() <= 4096, "keywords are bounded");
    }
    void on(Vanished& vanished) { trace += "vanished " + std::to_string(vanished.uids.count()) + '\n'; }
    void on(Exists& exists) { trace += "exists " + std::to_string(exists.count) + '\n'; }
    void on(Expunged& expunged) { trace += "expunged " + std::to_string(expunged.number.value) + '\n'; }
    void on(Alert& alert) { trace += "alert " + alert.text + '\n'; }
    void on(WantContent&) {
        std::size_t left = append_left_.at(answers_);
        if (control_.octet() % 8 == 1 && left > 0) return handle(session_.append_failed());
        handle(session_.append_content(std::string(left, 'm')));
    }
    void on(Idling&) { handle(session_.done()); }
    void on(Answer& answer) {
        require(answer.id == ++answers_, "answers come in order, one for each command");
        if (!answer.ok) lines_.refuse_literal();
        trace += "answer " + std::string(answer.ok ? "ok " : "no ") + answer.code + '\n';
        response::parse_copyuid(answer.arguments);
        response::parse_appenduid(answer.arguments);
        response::parse_uid_set(answer.arguments);
    }
    void on(Failed& failed) {
        ++failures_;
        trace += "failed " + failed.text + '\n';
    }
    void on(StartTls&) {
        tls = true;
        handle(session_.on_tls_started());
    }
    void on(StartCompression&) { trace += "compression\n"; }
    void on(Close&) {
        closed_ = true;
        logged_out_ = failures_ == 0;
    }

    Control control_;
    Session session_;
    ImapLines lines_;
    std::vector<std::size_t> append_left_;
    std::string content_;
    std::uint64_t content_left_ = 0;
    std::size_t commands_ = 0, answers_ = 0, failures_ = 0;
    bool closed_ = false, logged_out_ = false;
};

void try_responses(std::string_view text) {
    ResponseFramer framer({8192, 100'000});
    framer.feed(text);
    while (auto event = framer.next()) {
        if (std::holds_alternative<BrokenResponse>(*event)) return;
        auto* framed = std::get_if<FramedResponse>(&*event);
        if (!framed) continue;
        require(framed->text.size() <= 8192, "a response is bounded");
        auto parsed = response::parse(framed->text);
        if (!parsed) continue;
        if (auto* fetch = std::get_if<response::Fetch>(&*parsed))
            for (const auto& content : fetch->contents)
                require(content.octets.size() <= framed->text.size(), "content is what stood there");
    }
}

}  // namespace

FUZZ_TARGET(imap_client) {
    WholeAndCut<Driver> both(input);
    const auto& [whole, cut] = both;
    both.finish();
    if (!whole.tls && !cut.tls && !whole.asks)
        require(whole.trace == cut.trace, "the dialogue does not depend on cuts");
    try_responses(input.text);
}
