// What a remote takes for sealed mail of a user's own program.
#include "service/foreign_sealed.hpp"

#include "corpus.hpp"
#include "crypto/armor.hpp"
#include "service/appended.hpp"
#include "service/outside_mail.hpp"
#include "service/poller.hpp"
#include "store/support.hpp"

namespace fwmail::service::test {
namespace {

using store::test::id_of;
using store::test::must;
using store::test::t0;

std::vector<crypto::KeyId> own_keys() { return {ann().public_key.encryption_key_id()}; }

std::string armored(const crypto::PublicKey& to) {
    crypto::SealOptions options;
    options.seed = Secret(std::string(crypto::seed_size, 's'));
    options.date = t0;
    std::string octets =
        must(crypto::seal("Content-Type: text/plain\r\n\r\nsecret\r\n", {&to, 1}, std::move(options)));
    std::string text;
    crypto::ArmorEncoder encoder(crypto::ArmorType::message, [&](std::string_view piece) { text += piece; });
    encoder.feed(octets);
    encoder.finish();
    return text;
}

std::string sealed_mail(const std::string& armor) {
    return "From: ann@example.test\r\nSubject: ...\r\nMIME-Version: 1.0\r\n"
           "Content-Type: multipart/encrypted; boundary=\"b\";\r\n "
           "protocol=\"application/pgp-encrypted\"\r\n\r\n"
           "--b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n"
           "--b\r\nContent-Type: application/octet-stream\r\n\r\n" +
           armor + "\r\n--b--\r\n";
}

std::string replaced(std::string text, std::string_view what, std::string_view with) {
    std::size_t at = text.find(what);
    REQUIRE(at != text.npos);
    return text.replace(at, what.size(), with);
}

}  // namespace

TEST_CASE("sealed mail of a user's own program is taken, and nothing that can be read beside it") {
    std::string good = sealed_mail(armored(ann().public_key));
    must(check_foreign_sealed(good, own_keys()));
    must(check_foreign_sealed(replaced(good, "Subject: ...\r\n", ""), own_keys()));
    must(check_foreign_sealed(
        replaced(good, "\r\n\r\n--b\r\n",
                 "\r\n\r\nThis is an OpenPGP/MIME encrypted message (RFC 4880 and 3156)\r\n--b\r\n"),
        own_keys()));
    must(check_foreign_sealed(
        replaced(good, "Subject: ...", "Subject: ...\r\nFWMail-Id: " + id_of<EmailId>(7).hex()), own_keys()));
    for (const auto& [what, with] : std::vector<std::pair<std::string, std::string>>{
             {"Subject: ...", "Subject: Lunch"},
             {"Subject: ...", "Subject: ...\r\nSubject: ..."},
             {"Subject: ...", "X-Note: Lunch"},
             {"Subject: ...", "Subject: ...\r\nFWMail-Id: Lunch"},
             {"Subject: ...", "no field"},
             {"\r\n\r\n--b\r\n", "\r\n\r\nLunch\r\n--b\r\n"},
             {"Version: 1\r\n", "Version: 1\r\nLunch\r\n"},
             {"Version: 1\r\n", "Version: 2\r\n"},
             {"application/octet-stream\r\n", "application/octet-stream\r\nContent-Note: Lunch\r\n"},
             {"application/octet-stream", "text/plain"},
             {"MESSAGE-----\r\n\r\n", "MESSAGE-----\r\nComment: Lunch\r\n\r\n"},
             {"-----END PGP MESSAGE-----\r\n", "-----END PGP MESSAGE-----\r\nLunch\r\n"},
             {"--b--\r\n", "--b--\r\nLunch\r\n"},
             {"--b--\r\n", "--b\r\nContent-Type: text/plain\r\n\r\nLunch\r\n--b--\r\n"},
             {"multipart/encrypted", "multipart/mixed"},
             {"-----BEGIN PGP MESSAGE-----\r\n\r\n", "-----BEGIN PGP MESSAGE-----\r\n\r\nAAAA"},
         }) {
        INFO(what << " -> " << with);
        auto checked = check_foreign_sealed(replaced(good, what, with), own_keys());
        REQUIRE_FALSE(checked);
        CHECK(checked.error().kind == ErrorKind::refused);
    }
    CHECK_FALSE(check_foreign_sealed(good, {}));
    CHECK_FALSE(check_foreign_sealed(sealed_mail(armored(crypto::test_key('x').public_key)), own_keys()));
    for (std::size_t size = 0; size + 2 < good.size(); size += 7)
        CHECK_FALSE(check_foreign_sealed(std::string_view(good).substr(0, size), own_keys()));
}

TEST_CASE("what is appended outside gives core the octets that the remote shows") {
    auto core = crypto::test_key('c');
    EmailId email = id_of<EmailId>(7);
    auto open = [&](const OutsideObjects& made, const sync::AppendRequestEntry& request) {
        std::string packed = made.home ? *made.home : head_as_it_is(email) + made.served;
        CHECK(packed.size() == request.size);
        return open_appended(request, packed, own_keys(), {&ann().public_key, 1}, core);
    };
    SECTION("sealed: as it is") {
        std::string mail = sealed_mail(armored(ann().public_key));
        auto made = must(make_outside_objects(mail, email, t0, own_keys(), &ann().public_key, nullptr));
        CHECK(made.served == mail);
        CHECK(made.request.kind == sync::AppendRequestEntry::sealed);
        auto opened = must(open(made, made.request));
        CHECK(opened.octets == mail);
        CHECK(opened.as_shown);
        CHECK(opened.seal.seed.empty());
    }
    std::string mail = "Subject: Lunch\r\n\r\nAt noon.\r\n";
    SECTION("plain: sealed to the user and to core, and to nobody else") {
        auto made =
            must(make_outside_objects(mail, email, t0, own_keys(), &ann().public_key, &core.public_key));
        CHECK(made.served.find("noon") == made.served.npos);
        CHECK(made.home->find("noon") == made.home->npos);
        auto request = made.request;
        request.internal_date = t0;
        auto opened = must(open(made, request));
        CHECK(opened.octets == mail);
        CHECK(opened.as_shown);
        CHECK(opened.seal.sha256 == made.seal.sha256);
        CHECK(opened.seal.seed == made.request.recipe);
        // Core cannot make the octets that are shown: the mail is there, but not under that number.
        request.sealed_sha256[0] ^= 1;
        opened = must(open(made, request));
        CHECK(opened.octets == mail);
        CHECK_FALSE(opened.as_shown);
        CHECK(opened.seal.state == store::SealState::none);
        // Of another node, or damaged.
        CHECK_FALSE(
            open_appended(request, *made.home, own_keys(), {&ann().public_key, 1}, crypto::test_key('x')));
        (*made.home)[made.home->size() / 2] ^= 1;
        CHECK_FALSE(open_appended(request, *made.home, own_keys(), {&ann().public_key, 1}, core));
    }
    SECTION("plain, which is not taken") {
        auto made = make_outside_objects(mail, email, t0, own_keys(), &ann().public_key, nullptr);
        REQUIRE_FALSE(made);
        CHECK(made.error().text.starts_with("[CANNOT]"));
    }
}

TEST_CASE("what comes home is opened where core had sealed it, and nothing else is") {
    std::string original = "From: bob@example.test\r\nSubject: Lunch\r\n\r\nAt noon.\r\n";
    auto order = order_of('s');
    auto made = sealed(original, order);
    std::string served = unpack(made.packed).served;
    sync::AppendRequestEntry request;
    request.kind = sync::AppendRequestEntry::returned;
    request.email = order.email_id;
    request.sealed_size = made.info.size;
    request.sealed_sha256 = made.info.sha256;
    auto opened = must(open_appended(request, head_as_it_is(order.email_id) + served, own_keys(),
                                     {&ann().public_key, 1}, crypto::test_key('c')));
    CHECK(opened.octets == served);

    store::Message message;
    message.email_id = order.email_id;
    message.date = order.date;
    auto restored = [&](const Octets32& seed, const crypto::SecretKey& key) {
        auto mail = opened;
        // The key that it was sealed to may have been retired since.
        auto later = crypto::test_key('l').public_key;
        std::vector keys{later, ann().public_key};
        std::vector recipes{seal_recipe(seed, OuterHeader::ordinary, later),
                            seal_recipe(seed, OuterHeader::ordinary, ann().public_key)};
        must(restore_returned(mail, message, {&key, 1}, recipes, keys));
        return mail;
    };
    auto home = restored(order.seed, ann());
    CHECK(home.octets == original);
    CHECK(home.as_shown);
    CHECK(home.seal.sha256 == opened.seal.sha256);
    CHECK(home.seal.seed == seal_recipe(order.seed, OuterHeader::ordinary, ann().public_key));
    // Anybody can seal to the user: without core's secret it stays what it is.
    Octets32 other = order.seed;
    other[0] ^= 1;
    CHECK(restored(other, ann()).octets == served);
    CHECK(restored(order.seed, crypto::test_key('x')).octets == served);
}

}  // namespace fwmail::service::test
