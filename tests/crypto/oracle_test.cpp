// What gpg, sq and rnp say: each imports our keys, opens and verifies what we made, and we do the same with
// theirs.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/clock.hpp"
#include "crypto/sign.hpp"
#include "support.hpp"

namespace fwmail::crypto {

namespace {

// A directory of its own for one test, in which commands are run; short, since gpg-agent's socket lies in it.
class Lab {
  public:
    Lab() {
        char name[] = "/tmp/fwpgp-XXXXXX";
        REQUIRE(mkdtemp(name) != nullptr);
        dir_ = name;
    }
    ~Lab() {
        run("gpgconf --homedir . --kill all");  // the agent of this directory only
        std::error_code ignored;
        std::filesystem::remove_all(dir_, ignored);
    }

    // The shell's exit status is 0; all output goes to `log`.
    bool run(const std::string& command) const {
        return std::system(("cd " + dir_ + " && (" + command + ") >log 2>&1").c_str()) == 0;
    }
    bool gpg(const std::string& arguments) const {
        return run(
            "gpg --homedir . --batch --yes --no-tty --pinentry-mode loopback --passphrase '' --trust-model "
            "always "
            "--status-fd 1 " +
            arguments);
    }
    bool rnp(const std::string& arguments) const {
        return run("rnp --homedir . --notty --password '' --overwrite " + arguments);
    }
    bool rnpkeys(const std::string& arguments) const {
        return run("rnpkeys --homedir . --notty --password '' " + arguments);
    }

    void write(const std::string& name, std::string_view octets) const {
        std::ofstream(dir_ + "/" + name, std::ios::binary)
            .write(octets.data(), static_cast<std::streamsize>(octets.size()));
    }
    std::string read(const std::string& name) const {
        std::ifstream in(dir_ + "/" + name, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    bool log_has(std::string_view text) const { return read("log").find(text) != std::string::npos; }

    // The keys of both parties, ours being alice.
    void write_keys(const SecretKey& alice, const SecretKey& bob) const {
        write("alice.key", write_secret_key(alice, std::nullopt)->view());
        write("alice.pgp", write_certificate(alice.public_key));
        write("bob.key", write_secret_key(bob, std::nullopt)->view());
        write("bob.pgp", write_certificate(bob.public_key));
    }

  private:
    std::string dir_;
};

// CHECK that shows what the program said.
#define CHECK_RUN(lab, expression)                   \
    do {                                             \
        bool ran_ = (expression);                    \
        if (!ran_) UNSCOPED_INFO((lab).read("log")); \
        CHECK(ran_);                                 \
    } while (false)

bool missing(const char* program) {
    if (std::system(("command -v " + std::string(program) + " >/dev/null 2>&1").c_str()) == 0) return false;
    WARN("skipped: " << program << " is not installed");
    return true;
}

std::vector<std::string> texts() {
    std::mt19937 random(7);
    return {"", "x", "a short text\n", noise(random, 200), noise(random, 100000), std::string(300000, 'z')};
}

// Opens what another program sealed to alice; the expected signer is bob, or nobody.
void check_opens(const Lab& lab, const std::string& plain, const SecretKey& alice, const PublicKey* bob) {
    std::vector<PublicKey> signers;
    if (bob) signers.push_back(*bob);
    auto opened = open(lab.read("theirs"), {&alice, 1}, signers);
    if (!opened) FAIL(opened.error().text << "; " << lab.read("log"));
    CHECK((opened->plain == plain));
    CHECK(opened->signature == (bob ? SignatureStatus::valid : SignatureStatus::none));
    std::vector<KeyId> allowed{alice.public_key.encryption_key_id()};
    CHECK(check_sealed(lab.read("theirs"), allowed, {true}));
}

}  // namespace

TEST_CASE("oracle: gpg takes our keys and messages, and we take its") {
    if (missing("gpg")) return;
    Lab lab;
    SecretKey alice = test_key('a'), bob = test_key('b');
    std::vector<PublicKey> to{alice.public_key};
    lab.write_keys(alice, bob);
    CHECK_RUN(lab, lab.gpg("--import alice.key bob.key"));
    CHECK_FALSE(lab.log_has("invalid"));
    CHECK_RUN(lab, lab.gpg("--with-colons --fingerprint --fingerprint --list-secret-keys"));
    CHECK(lab.log_has("fpr:::::::::" + alice.public_key.fingerprint.hex()));
    CHECK(lab.log_has("fpr:::::::::" + alice.public_key.encryption.fingerprint.hex()));
    for (const auto& plain : texts()) {
        CAPTURE(plain.size());
        lab.write("ours", armor(ArmorType::message, *seal(plain, to, options_of('s', &bob))));
        CHECK_RUN(lab, lab.gpg("--output plain --decrypt ours"));
        CHECK((lab.read("plain") == plain));
        CHECK(lab.log_has("GOODMDC"));
        CHECK(lab.log_has("VALIDSIG " + bob.public_key.fingerprint.hex()));
        CHECK_FALSE(lab.log_has("WARNING: message was not"));
        lab.write("text", plain);
        for (std::string how :
             {"", "--compress-algo none", "--compress-algo zip", "--compress-algo zlib", "--throw-keyids"})
            for (std::string input : {"text", "<text"}) {
                CAPTURE(how, input);
                std::string recipient = " --recipient a@example.org ";
                REQUIRE(lab.gpg(how + recipient + "--output theirs --encrypt " + input));
                if (how != "--throw-keyids")
                    check_opens(lab, plain, alice, nullptr);
                else
                    CHECK(open(lab.read("theirs"), {&alice, 1})->plain == plain);
                REQUIRE(lab.gpg(how + recipient +
                                "--local-user b@example.org --output theirs --sign --encrypt " + input));
                if (how != "--throw-keyids") check_opens(lab, plain, alice, &bob.public_key);
            }
    }
    // The last text compresses well: the bound is on what comes out.
    REQUIRE(lab.gpg("--compress-algo zlib --recipient a@example.org --output theirs --encrypt text"));
    CHECK(lab.read("theirs").size() < 2000);
    CHECK(open(lab.read("theirs"), {&alice, 1}, {}, {300000}));
    CHECK_FALSE(open(lab.read("theirs"), {&alice, 1}, {}, {299999}));
    REQUIRE(lab.gpg("--compress-algo bzip2 --recipient a@example.org --output theirs --encrypt text"));
    CHECK_FALSE(open(lab.read("theirs"), {&alice, 1}));
    lab.write("sig", *sign_detached("a frame", alice, test_time));
    lab.write("text", "a frame");
    CHECK_RUN(lab, lab.gpg("--verify sig text"));
    CHECK(lab.log_has("VALIDSIG " + alice.public_key.fingerprint.hex()));
    CHECK_RUN(lab, lab.gpg("--local-user a@example.org --output sig --detach-sign text"));
    CHECK(verify_detached("a frame", lab.read("sig"), alice.public_key));
}

TEST_CASE("oracle: gpg takes our secret keys with a passphrase, laptop keys, and gives us its own") {
    if (missing("gpg")) return;
    Lab lab;
    SecretKey alice = test_key('a');
    Secret passphrase(std::string("open sesame"));
    lab.write("alice.key", armor(ArmorType::private_key, write_secret_key(alice, passphrase)->view()));
    CHECK_RUN(lab, lab.gpg("--passphrase 'open sesame' --import alice.key"));
    lab.write("text", "text");
    CHECK_RUN(
        lab,
        lab.gpg("--passphrase 'open sesame' --local-user a@example.org --output sig --detach-sign text"));
    CHECK(verify_detached("text", lab.read("sig"), alice.public_key));
    CHECK_RUN(lab, lab.gpg("--passphrase 'open sesame' --output back.key --export-secret-keys"));
    auto back = parse_secret_key(lab.read("back.key"), passphrase);
    REQUIRE(back);
    CHECK(back->primary_seed.view() == alice.primary_seed.view());
    CHECK(back->decryption[0].scalar.view() == alice.decryption[0].scalar.view());
    CHECK_FALSE(parse_secret_key(lab.read("back.key"), Secret(std::string("no"))));

    SecretKey laptop = *add_signing_subkey(test_key('b'), test_time);
    lab.write("laptop.key", write_secret_key(without_primary(laptop), std::nullopt)->view());
    CHECK_RUN(lab, lab.gpg("--import laptop.key"));
    CHECK_RUN(lab, lab.gpg("--local-user b@example.org --output sig --detach-sign text"));
    auto verified = verify_detached("text", lab.read("sig"), laptop.public_key);
    REQUIRE(verified);
    CHECK(verified->key == laptop.signing->fingerprint);

    CHECK_RUN(lab, lab.gpg("--quick-generate-key 'Eve <e@example.org>' ed25519 cert,sign 1y"));
    CHECK_RUN(lab, lab.run("gpg --homedir . --with-colons --list-keys e@example.org 2>/dev/null | grep ^fpr "
                           "| head -1 | tr -dc 0-9A-F"));
    CHECK_RUN(lab, lab.gpg("--quick-add-key " + lab.read("log").substr(0, 40) + " cv25519 encr 2y"));
    CHECK_RUN(lab, lab.gpg("--output eve.pgp --export e@example.org"));
    CHECK_RUN(lab, lab.gpg("--output eve.key --export-secret-keys e@example.org"));
    auto eve = parse_certificate(lab.read("eve.pgp"));
    REQUIRE(eve);
    CHECK(eve->user_id == "Eve <e@example.org>");
    REQUIRE(eve->expires);
    CHECK(eve->expires->value / 1000 == eve->primary.created + 365 * 86400);
    auto eve_secret = parse_secret_key(lab.read("eve.key"), std::nullopt);
    REQUIRE(eve_secret);
    lab.write("ours", *seal("to eve", {&*eve, 1}, options_of('s')));
    CHECK_RUN(lab, lab.gpg("--output plain --decrypt ours"));
    CHECK(lab.read("plain") == "to eve");
    CHECK(open(lab.read("ours"), {&*eve_secret, 1})->plain == "to eve");
}

TEST_CASE("oracle: sq takes our keys and messages, and we take its") {
    if (missing("sq")) return;
    Lab lab;
    SecretKey alice = test_key('a'), bob = test_key('b');
    std::vector<PublicKey> to{alice.public_key};
    lab.write_keys(alice, bob);
    CHECK_RUN(lab, lab.run("sq inspect alice.pgp"));
    CHECK(lab.log_has(alice.public_key.fingerprint.hex()));
    CHECK_FALSE(lab.log_has("Invalid"));
    for (const auto& plain : texts()) {
        CAPTURE(plain.size());
        lab.write("ours", *seal(plain, to, options_of('s', &bob)));
        CHECK_RUN(lab, lab.run("rm -f plain && sq decrypt --recipient-key alice.key --signer-cert bob.pgp -o "
                               "plain -n 1 ours"));
        CHECK((lab.read("plain") == plain));
        lab.write("text", plain);
        for (std::string how : {"none", "pad", "zip", "zlib"}) {
            CAPTURE(how);
            std::string command = "rm -f theirs && sq encrypt -B --compression " + how +
                                  " --recipient-cert alice.pgp -o theirs ";
            CHECK_RUN(lab, lab.run(command + "text"));
            check_opens(lab, plain, alice, nullptr);
            CHECK_RUN(lab, lab.run(command + "--signer-key bob.key text"));
            check_opens(lab, plain, alice, &bob.public_key);
        }
    }
    lab.write("text", "a frame");
    lab.write("sig", *sign_detached("a frame", alice, test_time));
    CHECK_RUN(lab, lab.run("sq verify --signer-cert alice.pgp --detached sig text"));
    CHECK_RUN(lab, lab.run("rm sig && sq sign -B --detached --signer-key alice.key -o sig text"));
    CHECK(verify_detached("a frame", lab.read("sig"), alice.public_key));

    CHECK_RUN(lab, lab.run("sq key generate --userid 'Eve <e@example.org>' --export eve.asc && sq key "
                           "extract-cert -o eve.pgp eve.asc"));
    auto cert = dearmor(lab.read("eve.pgp")), secret = dearmor(lab.read("eve.asc"));
    REQUIRE(cert);
    REQUIRE(secret);
    auto eve = parse_certificate(cert->octets);
    REQUIRE(eve);
    CHECK(eve->user_id == "Eve <e@example.org>");
    CHECK_FALSE(eve->primary_signs);
    CHECK(eve->signing_subkeys.size() == 1);
    auto eve_secret = parse_secret_key(secret->octets, std::nullopt);
    REQUIRE(eve_secret);
    auto now = options_of('s', &*eve_secret);
    now.date = system_clock()();  // her key was made just now, and sq wants it to be older than the signature
    lab.write("ours", *seal("to eve", {&*eve, 1}, now));
    CHECK_RUN(
        lab,
        lab.run("rm -f plain && sq decrypt --recipient-key eve.asc --signer-cert eve.pgp -o plain ours"));
    CHECK(lab.read("plain") == "to eve");
    auto opened = open(lab.read("ours"), {&*eve_secret, 1}, {&*eve, 1});
    REQUIRE(opened);
    CHECK(opened->valid_signer == eve->fingerprint);
}

TEST_CASE("oracle: rnp takes our keys and messages, and we take its") {
    if (missing("rnp") || missing("rnpkeys")) return;
    Lab lab;
    SecretKey alice = test_key('a'), bob = test_key('b');
    std::vector<PublicKey> to{alice.public_key};
    lab.write_keys(alice, bob);
    CHECK_RUN(lab, lab.rnpkeys("--import-keys alice.key"));
    CHECK_RUN(lab, lab.rnpkeys("--import-keys bob.key"));
    CHECK_RUN(
        lab, lab.rnpkeys("--edit-key --check-cv25519-bits " + alice.public_key.encryption.fingerprint.hex()));
    for (const auto& plain : texts()) {
        CAPTURE(plain.size());
        lab.write("ours", *seal(plain, to, options_of('s', &bob)));
        CHECK_RUN(lab, lab.rnp("--decrypt ours --output plain"));
        CHECK((lab.read("plain") == plain));
        CHECK(lab.log_has("Good signature"));
        lab.write("text", plain);
        for (std::string how : {"-z 0", "--zip -z 6", "--zlib -z 6"}) {
            CAPTURE(how);
            CHECK_RUN(lab, lab.rnp(how + " --encrypt -r a@example.org text --output theirs"));
            check_opens(lab, plain, alice, nullptr);
            CHECK_RUN(
                lab,
                lab.rnp(how + " --encrypt --sign -u b@example.org -r a@example.org text --output theirs"));
            check_opens(lab, plain, alice, &bob.public_key);
        }
    }
    lab.write("text", "a frame");
    lab.write("text.sig", *sign_detached("a frame", alice, test_time));
    CHECK_RUN(lab, lab.rnp("--verify text.sig"));
    CHECK_RUN(lab, lab.rnp("--sign --detach -u a@example.org text --output text.sig"));
    CHECK(verify_detached("a frame", lab.read("text.sig"), alice.public_key));
    Secret passphrase(std::string("open sesame"));
    lab.write("carol.key", write_secret_key(test_key('c'), passphrase)->view());
    CHECK_RUN(
        lab,
        lab.run("rnpkeys --homedir . --notty --import-keys carol.key && rnp --homedir . --notty --password "
                "'open sesame' --overwrite --sign --detach -u c@example.org text --output text.sig"));
    CHECK(verify_detached("a frame", lab.read("text.sig"), test_key('c').public_key));
}

}  // namespace fwmail::crypto
