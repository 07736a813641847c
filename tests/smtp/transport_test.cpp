// Client and server back to back: what goes in comes out, but for bare CR and LF octet for octet; and what
// must not pass does not.
#include <catch2/catch.hpp>
#include <random>

#include "smtp/client_driver.hpp"
#include "smtp/server_driver.hpp"
#include "support/crlf.hpp"

using namespace fwmail;
using namespace fwmail::smtp;
using namespace fwmail::mime;
using namespace fwmail::smtp::testing;

namespace {

// A wire that cuts what it carries at random.
class Wire {
  public:
    explicit Wire(std::mt19937& random) : random_(random) {}
    std::string next(std::string& queue) {
        std::size_t count = std::min<std::size_t>(queue.size(), 1 + random_() % 40);
        std::string out = queue.substr(0, count);
        queue.erase(0, count);
        return out;
    }

  private:
    std::mt19937& random_;
};

class Pair {
  public:
    explicit Pair(std::mt19937& random)
        : random_(random), wire_(random), server_(ServerConfig{}), client_(ClientConfig{}) {
        take(client_.start());
        take(server_.start());
        run();
    }

    TransactionResult send(std::string message, std::vector<Path> to) {
        received.reset();
        message_ = std::move(message);
        position_ = 0;
        result_ = {};
        take(client_.send({{"a", "b.example"}, std::move(to), message_.size(), false}));
        run();
        return result_;
    }

    std::optional<std::string> received;
    bool closed = false;

  private:
    void take(ClientActions actions) {
        for (auto& action : actions) {
            if (auto* send = std::get_if<Send>(&action)) to_server_ += send->octets;
            if (auto* done = std::get_if<Done>(&action)) result_ = std::move(done->result);
            if (std::holds_alternative<WantMessage>(action)) wanted_ = true;
            if (std::holds_alternative<Close>(action)) closed = true;
        }
        while (std::exchange(wanted_, false)) {
            std::size_t count = std::min<std::size_t>(message_.size() - position_, 1 + random_() % 30);
            std::string_view chunk = std::string_view(message_).substr(position_, count);
            position_ += count;
            take(chunk.empty() ? client_.on_message_end() : client_.on_message_chunk(chunk));
        }
    }
    void take(ServerActions actions) {
        for (auto& action : actions) {
            if (auto* send = std::get_if<Send>(&action)) to_client_ += send->octets;
            if (auto* ask = std::get_if<Ask>(&action)) {
                if (auto* chunk = std::get_if<MessageChunk>(&ask->request)) partial_ += chunk->octets;
                if (std::holds_alternative<MessageEnd>(ask->request)) received = partial_;
                if (std::holds_alternative<DataBegin>(ask->request)) partial_.clear();
                asked_ |= wants_reply(ask->request);
            }
        }
        if (std::exchange(asked_, false)) take(server_.on_reply({250, {2, 0, 0}, "ok"}));
    }
    void run() {
        while (!to_server_.empty() || !to_client_.empty()) {
            if (!to_server_.empty()) take(server_.on_bytes(wire_.next(to_server_)));
            if (!to_client_.empty()) take(client_.on_bytes(wire_.next(to_client_)));
        }
    }

    std::mt19937& random_;
    Wire wire_;
    ServerSession server_;
    ClientSession client_;
    std::string to_server_, to_client_, message_, partial_;
    std::size_t position_ = 0;
    bool wanted_ = false, asked_ = false;
    TransactionResult result_;
};

std::string awkward_message(std::mt19937& random, bool with_bare) {
    std::string out;
    for (unsigned i = random() % 30; i > 0; --i) {
        switch (random() % (with_bare ? 10 : 7)) {
            case 0:
                out += '.';
                break;
            case 1:
            case 2:
                out += "\r\n";
                break;
            case 3:
                out += '\0';
                break;
            case 4:
                out += std::string(random() % 3000, 'x');
                break;
            case 5:
                out += static_cast<char>(128 + random() % 128);
                break;
            case 6:
                out += "QUIT";
                break;
            case 7:
                out += '\n';
                break;
            case 8:
                out += '\r';
                break;
            case 9:
                out += "\r\n.\r\n";
                break;
        }
    }
    return out;
}

}  // namespace

TEST_CASE("messages arrive octet for octet, but for bare CR and LF") {
    unsigned seed = 20240611;
    INFO("seed " << seed);
    std::mt19937 random(seed);
    Pair pair(random);
    for (int round = 0; round < 1500; ++round) {
        std::string message = awkward_message(random, round % 3 == 0);
        INFO("round " << round << ": " << escape(message));
        TransactionResult result = pair.send(message, {{"c", "d.example"}, {"e", "f.example"}});
        REQUIRE(result.recipients.size() == 2);
        REQUIRE(result.outcome() == Outcome::delivered);
        REQUIRE(pair.received == fwmail::testing::crlf_only(message));
    }
}

TEST_CASE("a thousand recipients pass the pipeline window") {
    std::mt19937 random(1);
    Pair pair(random);
    std::vector<Path> to;
    for (int i = 0; i < 1001; ++i) to.push_back({"u" + std::to_string(i), "d.example"});
    TransactionResult result = pair.send("x\r\n", to);
    REQUIRE(result.outcome() == Outcome::temporary);  // the last one is one too many: 452
    REQUIRE(result.recipients[999].outcome == Outcome::delivered);
    REQUIRE(result.recipients[1000].reply.code == 452);
    REQUIRE(pair.received == "x\r\n");
}

TEST_CASE("no way to smuggle a second message through the server") {
    for (std::string_view ending :
         {"\n.\n", "\n.\r\n", "\n.\r", "\r.\r", "\r.\r\n", "\r.\n", "\r\n.\n", "\r\n.\r", "\r\n.\r\r\n"}) {
        INFO(escape(ending));
        ServerDriver driver{ServerConfig{}};
        driver.feed("EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n");
        driver.feed("hello" + std::string(ending) +
                    "MAIL FROM:<evil@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nevil\r\n.\r\n");
        CHECK(driver.messages.empty());
        CHECK_THAT(driver.trace.text(), Catch::Contains("X: abort\nS: 550 5.6.0"));
        CHECK_THAT(driver.trace.text(), !Catch::Contains("mail <evil"));
        driver.feed("NOOP\r\n");
        CHECK_THAT(driver.trace.text(), Catch::EndsWith("S: 250 2.0.0 ok\\r\\n\n"));
        driver.close();
    }
}

TEST_CASE("overlong lines and endless messages take no memory") {
    ServerConfig config;
    config.max_message_size = 1000;
    ServerDriver driver(config);
    for (int i = 0; i < 1000; ++i) driver.feed(std::string(1000, 'x'));
    REQUIRE(driver.session.wants_input());
    driver.feed("\r\nNOOP\r\n");
    CHECK_THAT(driver.trace.text(),
               Catch::EndsWith("S: 500 5.5.2 the line is too long\\r\\n\nS: 250 2.0.0 ok\\r\\n\n"));

    driver.feed("HELO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n");
    driver.feed(std::string(1500, 'x') + "\r\n.\r\n");
    CHECK_THAT(driver.trace.text(),
               Catch::EndsWith("X: abort\nS: 552 5.3.4 the message is larger than 1000 octets\\r\\n\n"));
    driver.feed("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n");
    for (int i = 0; i < 1100 && !driver.closed; ++i) driver.feed(std::string(1000, 'x'));
    CHECK(driver.closed);
    CHECK(driver.messages.empty());
}

TEST_CASE("the server holds back input while the backend thinks") {
    ServerConfig config;
    config.max_idle_commands = 100'000;
    ServerDriver driver{config};
    driver.answer_at_once = false;
    CHECK(driver.session.deadline() == std::chrono::minutes(5));
    driver.feed("HELO x\r\nMAIL FROM:<a@b.example>\r\n");
    CHECK_FALSE(driver.session.deadline());
    CHECK(driver.session.wants_input());
    std::string noops;
    for (int i = 0; i < 70 * 1024 / 6; ++i) noops += "NOOP\r\n";
    driver.feed(noops);
    CHECK_FALSE(driver.session.wants_input());
    driver.answer();
    CHECK(driver.session.wants_input());
    driver.feed("RCPT TO:<c@d.example>\r\n");
    driver.answer();
    driver.feed("DATA\r\n");
    driver.answer();
    CHECK(driver.session.deadline() == std::chrono::minutes(3));
    CHECK(driver.session.protocol() == "SMTP");
    driver.close();
}

TEST_CASE("a message handed over whole is not taken back when the client goes, nor at shutdown") {
    ServerDriver driver{ServerConfig{}};
    driver.feed("EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n");
    driver.answer_at_once = false;
    driver.feed("x\r\n.\r\n");
    driver.handle(driver.session.on_shutdown());
    REQUIRE_FALSE(driver.closed);
    driver.answer();
    CHECK_THAT(
        driver.trace.text(),
        Catch::EndsWith(
            "S: 250 2.0.0 ok\\r\\n\nS: 421 4.3.2 localhost the server is shutting down\\r\\n\nX: close\n"));
    CHECK(driver.session.protocol() == "ESMTP");
}

TEST_CASE("random octets neither crash nor confuse the server") {
    unsigned seed = 99;
    INFO("seed " << seed);
    std::mt19937 random(seed);
    const std::string good =
        "EHLO x\r\nMAIL FROM:<a@b.example> SIZE=10\r\nRCPT TO:<c@d.example>\r\nDATA\r\na\r\n..b\r\n.\r\n"
        "AUTH PLAIN AGEAYg==\r\nVRFY x\r\nRSET\r\nSTARTTLS\r\nNOOP\r\nQUIT\r\n";
    constexpr std::string_view likely = "\r\n. <>@:\"\\=A\0\xff";
    for (int round = 0; round < 4000; ++round) {
        std::string octets = good;
        for (unsigned i = 1 + random() % 6; i > 0; --i) {
            std::size_t at = random() % octets.size();
            switch (random() % 4) {
                case 0:
                    octets[at] = likely[random() % likely.size()];
                    break;
                case 1:
                    octets.erase(at, 1 + random() % 8);
                    break;
                case 2:
                    octets.insert(at, 1, likely[random() % likely.size()]);
                    break;
                case 3:
                    octets.insert(at, good.substr(random() % good.size(), random() % 40));
                    break;
            }
        }
        auto play = [&](bool bytes) {
            ServerConfig config;
            config.auth_mechanisms = {"PLAIN"};
            config.clear_auth = true;
            ServerDriver driver(config);
            std::mt19937 verdicts(static_cast<unsigned>(round));
            for (int i = 0; i < 40; ++i)
                driver.replies.push_back(verdicts() % 4 ? Reply{250, {}, "ok"} : Reply{450, {}, "no"});
            if (bytes)
                for (char c : octets) driver.feed(std::string_view(&c, 1));
            else
                driver.feed(octets);
            std::string text = driver.trace.text();
            driver.close();
            return text;
        };
        bool same = play(true) == play(false);
        INFO("round " << round << ": " << escape(octets));
        REQUIRE(same);
    }
}

TEST_CASE("random octets neither crash nor deceive the client") {
    unsigned seed = 5;
    INFO("seed " << seed);
    std::mt19937 random(seed);
    const std::string_view says[] = {"220 x\r\n",   "250-x\r\n250-SIZE 9\r\n250 PIPELINING\r\n",
                                     "250 ok\r\n",  "354 go\r\n",
                                     "421 bye\r\n", "550 5.1.1 no\r\n",
                                     "334 \r\n",    "xyz\r\n",
                                     "250-",        "\r\n",
                                     "235 ok\r\n"};
    unsigned delivered = 0;
    for (int round = 0; round < 5000; ++round) {
        ClientDriver driver{ClientConfig{}};
        driver.handle(
            driver.session.send({{"a", "b.example"}, {{"c", "d.example"}, {"e", "f.example"}}, {}, false}));
        driver.feed("220 x\r\n");
        bool ended = false;
        for (unsigned i = 0; i < 14 && !driver.closed; ++i) {
            driver.feed(random() % 3 ? "250 ok\r\n" : says[random() % std::size(says)]);
            if (std::exchange(driver.wants_message, false) && !driver.closed) {
                driver.handle(driver.session.on_message_chunk("x\r\n"));
                driver.handle(driver.session.on_message_end());
                ended = true;
            }
        }
        driver.handle(driver.session.on_closed());
        REQUIRE(driver.results.size() == 1);
        bool any = false;
        for (const auto& r : driver.results[0].recipients) any |= r.outcome == Outcome::delivered;
        if (any) REQUIRE(ended);
        delivered += any;
    }
    REQUIRE(delivered > 5);
}
