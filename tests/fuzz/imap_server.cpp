// A client's octets into an IMAP session. The backend is a mailbox of a few messages; what it says, and when
// something else happens to the mailbox, comes from the steering octets.
#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "fuzz/wire.hpp"
#include "imap/response.hpp"
#include "imap/response_framer.hpp"
#include "imap/server_session.hpp"
#include "support/imap_text.hpp"

using namespace fwmail;
using namespace fwmail::fuzz;
using namespace fwmail::imap;

namespace {

ServerOptions options_of(std::uint8_t bits) {
    ServerOptions options;
    options.tls_active = !(bits & 1);
    options.starttls_available = bits & 1;
    options.plaintext_login_allowed = bits & 2;
    options.append_limit = 1000;
    return options;
}

class Backend {
  public:
    explicit Backend(Control& control) : control_(control) {}

    Reply answer(const Request& request) {
        std::uint8_t octet = control_.octet();
        if (octet % 16 == 15) return refusal(octet >> 4);
        return std::visit([&](const auto& r) { return on(r, octet); }, request);
    }
    bool changed() { return control_.octet() & 1; }

  private:
    static Reply refusal(unsigned which) {
        static constexpr const char* texts[] = {
            "[TRYCREATE] none", "[NONEXISTENT] gone\r\nfar", "no\xff", "[READ-ONLY] a copy", "",
            "[CANNOT] sealed"};
        auto kind = which & 1 ? ErrorKind::refused : which & 2 ? ErrorKind::temporary : ErrorKind::internal;
        return to_refusal(Error{kind, texts[which % std::size(texts)]});
    }
    FlagSet flags() {
        FlagSet flags;
        std::uint8_t bits = control_.octet();
        flags.system = bits & 31;
        if (bits & 32) flags.add_keyword("$Forwarded");
        if (bits & 64) flags.add_keyword("k" + std::to_string(bits >> 2));
        return flags;
    }
    ModSeq modseq() { return ModSeq{++modseq_}; }
    bool has(const UidSet& set, Uid uid) const { return set.contains(uid.value); }

    Reply on(const Authenticate&, std::uint8_t) { return Done{}; }
    Reply on(const AuthStart&, std::uint8_t octet) { return step(octet); }
    Reply on(const AuthResponse&, std::uint8_t octet) { return step(octet); }
    static Reply step(std::uint8_t octet) {
        if (octet & 1) return Done{};
        return AuthChallenge{octet & 2 ? "" : "r=abc,s=\xff,i=4096"};
    }
    Reply on(const GetQuota&, std::uint8_t octet) {
        QuotaNumbers numbers;
        if (octet & 1) numbers.storage = QuotaNumbers::Resource{octet * 1000u, 99'999};
        if (octet & 2) numbers.messages = QuotaNumbers::Resource{octet, 100};
        return numbers;
    }
    Reply on(const GetRights&, std::uint8_t) { return MailboxRights{"lrs", {{"a \"b\"", "lrs"}}}; }
    Reply on(const ListMailboxes&, std::uint8_t octet) {
        MailboxList list{
            {{"INBOX", "", true, false}, {"a/b", "", false, false}, {"Sent", "\\Sent", true, false}}};
        if (octet & 1) list.rows.push_back({"\xc3\xa4\"\\/&", "", true, true});
        if (octet & 2) list.rows.push_back({"gone/child", "\\Drafts", false, octet > 128});
        return list;
    }
    Reply on(const Select& select, std::uint8_t octet) {
        uids_.clear();
        std::uint32_t count = octet & 1 ? 0 : octet & 2 ? 200 : 5;
        for (std::uint32_t i = 1; i <= count; ++i) uids_.emplace_back(10 * i);
        next_ = 10 * count + 11;
        Selected selected;
        selected.uids = NumberedUids(uids_);
        selected.uidvalidity = UidValidity{7};
        selected.uidnext = Uid{next_};
        selected.highest_modseq = ModSeq{modseq_};
        selected.first_recent = Uid{octet & 4 ? 30u : 0u};
        selected.first_unseen = Uid{count && octet & 8 ? 20u : 0u};
        selected.mailbox_id = "F1";
        selected.keywords = {"$Junk"};
        selected.read_only = select.read_only || octet & 16;
        if (octet & 32) selected.read_only_reason = "outside\r\nonly";
        return selected;
    }
    Reply on(const Unselect&, std::uint8_t) { return Done{}; }
    Reply on(const Create&, std::uint8_t octet) { return Created{octet & 1 ? "" : "F2"}; }
    Reply on(const Delete&, std::uint8_t) { return Done{}; }
    Reply on(const Rename&, std::uint8_t) { return Done{}; }
    Reply on(const Subscribe&, std::uint8_t) { return Done{}; }
    Reply on(const Status&, std::uint8_t octet) {
        return StatusNumbers{octet, 1, 2, Uid{99}, UidValidity{7}, ModSeq{modseq_}, 12345, 3, 99, "F1"};
    }
    Reply on(const AppendBegin&, std::uint8_t) {
        ++messages_;
        return Done{};
    }
    Reply on(const AppendEnd&, std::uint8_t octet) {
        Appended appended{UidValidity{octet & 1 ? 0u : 7u}, {}};
        for (; messages_ > 0; --messages_) appended.uids.emplace_back(1000 + messages_);
        std::ranges::sort(appended.uids);
        return appended;
    }
    Reply on(const Fetch& fetch, std::uint8_t octet) {
        fetch_ = fetch;
        left_ = known_in(fetch.uids);
        if (octet & 1 && !left_.empty()) left_.pop_back();  // it has just gone
        FetchBatch batch = next_batch(octet);
        if (fetch.vanished) batch.vanished.add(octet + 1u, octet + 3u);
        return batch;
    }
    Reply on(const FetchMore&, std::uint8_t octet) { return next_batch(octet); }
    FetchBatch next_batch(std::uint8_t octet) {
        FetchBatch batch;
        std::size_t count = octet & 2 ? 1 : left_.size();
        while (count-- > 0 && !left_.empty()) {
            batch.rows.push_back(row(left_.front()));
            left_.erase(left_.begin());
        }
        batch.last = left_.empty();
        return batch;
    }
    FetchRow row(Uid uid) {
        FetchRow row;
        row.uid = uid;
        row.flags = flags();
        row.seen_now = fetch_.set_seen && control_.octet() & 1;
        row.modseq = modseq();
        row.internal_date = UnixMillis{1'000'000'000'000 + control_.octet()};
        row.size = 321;
        row.envelope = "(NIL {3}\r\na\"b NIL NIL NIL NIL NIL NIL NIL NIL)";
        row.body = row.bodystructure = "(\"text\" \"plain\" NIL NIL NIL \"7bit\" 5 1)";
        row.email_id = "M0";
        row.saved_at = UnixMillis{1'100'000'000'000};
        row.preview = control_.octet() & 1 ? "" : "so \"it\" is\r\n \xc3\xa4";
        for (const auto& section : fetch_.items.sections) row.sections.push_back(data(section));
        for (std::size_t i = 0; i < fetch_.items.binary_sizes.size(); ++i)
            row.binary_sizes.push_back(control_.octet());
        return row;
    }
    SectionData data(const Section& section) {
        std::uint8_t octet = control_.octet();
        if (octet % 8 == 1) return std::nullopt;
        std::vector<Piece> pieces;
        if (octet % 8 == 2) return pieces;
        if (octet % 8 == 3) pieces.emplace_back("Subject: x\r\n\r\n");
        ObjectRange range{{}, 3, octet};
        range.nul = section.binary && octet & 64;
        if (section.binary && octet & 128)
            range.encoding = mime::TransferEncoding::base64, range.decoded = octet / 2;
        pieces.emplace_back(range);
        return pieces;
    }
    Reply on(const Store& store, std::uint8_t octet) {
        Stored stored;
        for (Uid uid : known_in(store.uids)) {
            if (octet & 1 && uid.value % 20 == 0)
                stored.modified.add(uid.value);
            else
                stored.rows.push_back({uid, flags(), modseq()});
        }
        return stored;
    }
    Copied copied(const UidSet& uids, std::uint8_t octet) {
        Copied copied{UidValidity{octet & 1 ? 0u : 8u}, known_in(uids), {}};
        for (std::uint32_t i = 0; i < copied.source.size(); ++i) copied.destination.emplace_back(500 + i);
        return copied;
    }
    Reply on(const Copy& copy, std::uint8_t octet) { return copied(copy.uids, octet); }
    Reply on(const Move& move, std::uint8_t octet) {
        Copied result = copied(move.uids, octet);
        remove(result.source);
        return result;
    }
    Reply on(const Expunge& expunge, std::uint8_t octet) {
        UidSet all;
        all.add(1, 0xffffffff);
        std::vector<Uid> gone = known_in(expunge.uids ? *expunge.uids : all);
        if (octet & 1 && !gone.empty()) gone.resize(1);
        remove(gone);
        return Expunged{gone};
    }
    Reply on(const Search& search, std::uint8_t octet) {
        Found found;
        for (Uid uid : uids_)
            if (octet == 0 || (uid.value / 10) % 3 == octet % 3u) found.uids.push_back(uid);
        if (search.modseqs) found.modseqs.resize(found.uids.size(), ModSeq{5});
        return found;
    }
    Reply on(const Sort& sort, std::uint8_t octet) {
        Reply reply = on(Search{{}, sort.modseqs}, octet);
        std::ranges::reverse(std::get<Found>(reply).uids);
        return reply;
    }
    Reply on(const Thread&, std::uint8_t octet) {
        Threads threads;
        for (std::uint32_t i = 0; i < uids_.size(); ++i) {
            ThreadNode node;
            node.uid = uids_[i];
            if (octet & 1) node.depth = i;
            threads.nodes.push_back(node);
        }
        return threads;
    }
    Reply on(const Poll&, std::uint8_t octet) {
        Changes changes;
        for (unsigned i = 0; i < (octet & 3u); ++i) {
            changes.arrived.emplace_back(next_);
            uids_.emplace_back(next_);
            next_ += 1 + (octet & 4u);
        }
        if (octet & 8 && !uids_.empty()) {
            changes.flags.push_back({uids_.front(), flags(), modseq()});
            changes.flags.push_back({Uid{5}, flags(), modseq()});  // it never was
        }
        if (octet & 32 && !uids_.empty()) {
            changes.expunged = {uids_[uids_.size() / 2], Uid{0xfffffff0}};
            remove({changes.expunged[0]});
        }
        if (octet & 64) changes.first_recent = Uid{next_ - 1};
        changes.highest = ModSeq{octet & 128 ? 0 : modseq_};
        return changes;
    }

    std::vector<Uid> known_in(const UidSet& set) const {
        std::vector<Uid> out;
        for (Uid uid : uids_)
            if (set.contains(uid.value)) out.push_back(uid);
        return out;
    }
    void remove(const std::vector<Uid>& gone) {
        std::erase_if(uids_, [&](Uid uid) { return std::ranges::find(gone, uid) != gone.end(); });
    }

    Control& control_;
    std::vector<Uid> uids_, left_;
    Fetch fetch_;
    std::uint32_t next_ = 1, messages_ = 0;
    std::uint64_t modseq_ = 100;
};

// Drives one session, and holds what it says to the grammar of responses.
class Driver {
  public:
    explicit Driver(Control control)
        : control_(control), backend_(control_), state_(control_.octet()), session_(options_of(state_)) {
        take(session_.start());
        if (state_ & 4) return;
        feed("- LOGIN u p\r\n");
        feed(state_ & 8 ? "- EXAMINE INBOX\r\n" : "- SELECT INBOX\r\n");
    }

    void feed(std::string_view octets) {
        if (!octets.empty() && !session_.closed()) {
            require(session_.wants_input(), "a session without a request wants input");
            take(session_.on_bytes(octets));
        }
    }
    // Whatever is open ends at last; then the session is in step, and answers each NOOP once and in order.
    void check_step(bool large_literal) {
        for (int round = 0; round < 6 && !session_.closed(); ++round) {
            if (round > 1) feed(std::string(40'000, 'x'));
            feed("\r\nDONE\r\n");
            std::string tag = "END" + std::to_string(round);
            std::size_t before = sent.size();
            feed(tag + "a NOOP\r\n" + tag + "b NOOP\r\n" + tag + "c NOOP\r\n");
            std::string_view news = std::string_view(sent).substr(before);
            std::size_t a = count(news, tag + "a"), b = count(news, tag + "b"), c = count(news, tag + "c");
            require(a <= 1 && b <= 1 && c <= 1, "no tag is answered twice");
            if (a + b + c == 3) return;
        }
        require(session_.closed() || large_literal, "the session is in step again");
    }
    void finish() {
        if (!session_.closed()) take(session_.on_shutdown());
        require(session_.closed() && closed_, "a shutdown closes");
        require(lines_.between_lines(), "nothing is left half said");
        require(!appending_ || closed_, "a message under way is dropped with its session");
    }

    std::string sent, trace;
    // What a client says behind STARTTLS or COMPRESS, without waiting for the answer, is dropped or refused
    // (RFC 9051 6.2.1, RFC 4978 3), so that it matters what has come by then.
    bool depends_on_cuts() const {
        return switched_ || sent.find("nothing may follow COMPRESS") != std::string::npos;
    }
    // When news come, and what is answered with them, depends on what has come meanwhile.
    bool has_news() const { return state_ & 16; }

  private:
    static std::size_t count(std::string_view text, const std::string& tag) {
        std::size_t n = 0;
        for (const char* condition : {" OK ", " NO ", " BAD "}) {
            std::string line = "\r\n" + tag + condition;
            for (std::size_t at = 0; (at = text.find(line, at)) != text.npos; ++at) ++n;
            n += text.starts_with(std::string_view(line).substr(2));
        }
        return n;
    }
    void take(Actions actions) {
        for (bool again = true; again;) {
            again = false;
            std::optional<Request> request;
            bool start_tls = false;
            for (auto& action : actions) {
                require(!closed_, "nothing comes after Close");
                if (auto* send = std::get_if<Send>(&action)) {
                    say(send->octets, false);
                } else if (auto* object = std::get_if<SendObject>(&action)) {
                    say(std::string(object->range.octets(), 'o'), true);
                } else if (auto* ask = std::get_if<Ask>(&action)) {
                    require(!request, "one request at a time");
                    on_request(ask->request);
                    request = std::move(ask->request);
                } else if (auto* data = std::get_if<AppendData>(&action)) {
                    require(appending_ && !data->octets.empty(), "octets are a message's");
                    got_ += data->octets.size();
                    require(got_ <= expected_, "no more than were announced");
                    message_ += data->octets;
                } else if (std::holds_alternative<AppendAbort>(action)) {
                    require(appending_, "what is aborted has begun");
                    appending_ = false;
                    message_.clear();
                    trace += "\nabort\n";
                } else if (std::holds_alternative<StartTls>(action)) {
                    start_tls = switched_ = true;
                } else if (std::holds_alternative<StartCompression>(action)) {
                    switched_ = true;
                } else if (std::holds_alternative<Close>(action)) {
                    closed_ = true;
                }
            }
            require(!request || session_.request_pending() || session_.closed(), "what is asked is pending");
            if (request && !session_.closed()) {
                again = true;
                Reply reply = backend_.answer(*request);
                bool good = !std::holds_alternative<Refusal>(reply);
                if (std::holds_alternative<AppendBegin>(*request) && good) appending_ = true;
                actions = session_.on_reply(std::move(reply));
                if (has_news() && backend_.changed()) {
                    Actions more = session_.on_mailbox_changed();
                    actions.insert(actions.end(), std::make_move_iterator(more.begin()),
                                   std::make_move_iterator(more.end()));
                }
            } else if (start_tls) {
                again = true;
                actions = session_.on_tls_started();
            }
        }
    }
    void on_request(const Request& request) {
        trace += text::write(request) + '\n';
        if (auto* begin = std::get_if<AppendBegin>(&request)) {
            require(begin->size <= 1000, "a message is within its limit");
            require(!begin->more || got_ == expected_, "the message before is whole");
            expected_ = begin->size;
            got_ = 0;
        }
        if (std::holds_alternative<AppendEnd>(request)) {
            require(appending_ && got_ == expected_, "a message is whole at its end");
            appending_ = false;
            trace += std::exchange(message_, {});
        }
        if (auto* search = std::get_if<Search>(&request)) check_resolved(search->key);
    }
    static void check_resolved(const SearchKey& key) {
        require(key.kind != SearchKey::Kind::sequence && key.kind != SearchKey::Kind::uid_sequence &&
                    key.kind != SearchKey::Kind::recent,
                "a backend sees UIDs only");
        for (const auto& child : key.children) check_resolved(child);
    }
    void say(std::string_view octets, bool object) {
        lines_.add(octets, object);
        sent += octets;
        framer_.feed(octets);
        while (auto event = framer_.next()) {
            require(!std::holds_alternative<BrokenResponse>(*event), "a client can frame what is said");
            auto* response = std::get_if<FramedResponse>(&*event);
            if (!response) continue;
            auto parsed = response::parse(response->text);
            require(parsed.has_value(), "a client can parse what is said");
        }
    }

    Control control_;
    Backend backend_;
    std::uint8_t state_;
    ServerSession session_;
    ImapLines lines_;
    ResponseFramer framer_{{1 << 20, 1 << 20}};
    std::string message_;  // handed on so far
    std::uint64_t expected_ = 0, got_ = 0;
    bool appending_ = false, closed_ = false;
    bool switched_ = false;  // to TLS, or to compression
};

// A literal that is passed over, of so many octets that nobody waits for its end here.
bool has_large_literal(std::string_view text) {
    std::size_t digits = 0;
    for (char c : text) {
        digits = c >= '0' && c <= '9' ? digits + 1 : 0;
        if (digits >= 5) return true;
    }
    return false;
}

}  // namespace

FUZZ_TARGET(imap_server) {
    WholeAndCut<Driver> both(input);
    const auto& [whole, cut] = both;
    if (!whole.depends_on_cuts() && !cut.depends_on_cuts() && !whole.has_news()) both.require_same();
    both.whole.check_step(has_large_literal(input.text));
    both.finish();
}
