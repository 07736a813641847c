#include <catch2/catch.hpp>

#include "crypto/openpgp_message.hpp"
#include "crypto/packet.hpp"
#include "crypto/sign.hpp"
#include "support.hpp"

namespace fwmail::crypto {

static std::string sealed(std::string_view plain, const std::vector<PublicKey>& to, SealOptions options) {
    auto out = seal(plain, to, std::move(options));
    REQUIRE(out);
    return *out;
}

TEST_CASE("open undoes seal, at many sizes, fed in random slices") {
    unsigned seed = std::random_device()();
    CAPTURE(seed);
    std::mt19937 random(seed);
    SecretKey alice = test_key('a'), bob = test_key('b'), carol = test_key('c');
    std::vector<PublicKey> to{alice.public_key, bob.public_key}, signers{alice.public_key, carol.public_key};
    for (std::size_t size :
         {0, 1, 15, 16, 17, 150, 185, 191, 192, 8370, 8384, 16383, 16384, 65535, 65536, 65537, 5000000})
        for (bool is_signed : {false, true}) {
            CAPTURE(size, is_signed);
            std::string plain = noise(random, size), octets, back;
            auto options = options_of('s', is_signed ? &carol : nullptr);
            options.plain_size = size;
            auto sealer = Sealer::start(to, options, [&](std::string_view piece) { octets += piece; });
            REQUIRE(sealer);
            feed_slices(random, plain, [&](std::string_view piece) { REQUIRE(sealer->feed(piece)); });
            REQUIRE(sealer->finish());
            REQUIRE(octets.size() == sealed_size(size, 2, is_signed));
            REQUIRE(octets == sealed(plain, to, options));
            for (const auto* key : {&alice, &bob}) {
                back.clear();
                Opener opener({key, 1}, signers, [&](std::string_view piece) { back += piece; });
                feed_slices(random, octets, [&](std::string_view piece) { REQUIRE(opener.feed(piece)); });
                auto opened = opener.finish();
                REQUIRE(opened);
                REQUIRE(back == plain);
                CHECK(opened->plain_size == size);
                CHECK(opened->opened_with == key->public_key.encryption.fingerprint);
                CHECK(opened->signature == (is_signed ? SignatureStatus::valid : SignatureStatus::none));
                CHECK(opened->valid_signer.has_value() == is_signed);
                if (is_signed) CHECK(*opened->valid_signer == carol.public_key.fingerprint);
                if (is_signed) CHECK(opened->signed_at == UnixMillis(1700000000000));
            }
            auto stranger = open(octets, {&carol, 1});
            REQUIRE_FALSE(stranger);
            CHECK(stranger.error().kind == ErrorKind::refused);
        }
}

TEST_CASE("sealing is reproducible, and every input counts") {
    SecretKey alice = test_key('a'), bob = test_key('b');
    std::vector<PublicKey> to{alice.public_key}, both{alice.public_key, bob.public_key};
    std::string base = sealed("text", to, options_of('s', &bob));
    CHECK(base == sealed("text", to, options_of('s', &bob)));
    auto tail = [](const std::string& octets) { return octets.substr(octets.size() - 40); };
    CHECK(tail(base) != tail(sealed("text", to, options_of('t', &bob))));
    CHECK(tail(base) != tail(sealed("text", to, options_of('s'))));
    CHECK(tail(base) != tail(sealed("text", both, options_of('s', &bob))));
    auto later = options_of('s', &bob);
    later.date = UnixMillis(test_time.value + 1000);
    CHECK(tail(base) != tail(sealed("text", to, later)));
    // 600 messages cross the cases in which a signature number starts with a zero octet.
    for (int i = 0; i < 600; ++i) {
        std::string plain = std::to_string(i);
        CHECK(sealed(plain, to, options_of('s', &bob)).size() == sealed_size(plain.size(), 1, true));
    }
}

TEST_CASE("one flipped bit anywhere is rejected") {
    SecretKey alice = test_key('a'), bob = test_key('b');
    std::vector<PublicKey> to{alice.public_key}, signers{bob.public_key};
    std::string octets = sealed("short text", to, options_of('s', &bob));
    REQUIRE(open(octets, {&alice, 1}, signers));
    for (std::size_t bit = 0; bit < octets.size() * 8; ++bit) {
        std::string bad = octets;
        bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
        CAPTURE(bit);
        CHECK_FALSE(open(bad, {&alice, 1}, signers));
    }
    for (std::size_t size = 0; size < octets.size(); ++size) {
        CAPTURE(size);
        CHECK_FALSE(open(octets.substr(0, size), {&alice, 1}, signers));
        CHECK_FALSE(check_sealed(octets.substr(0, size), {alice.public_key.encryption_key_id()}));
    }
    CHECK_FALSE(open(octets + octets, {&alice, 1}, signers));
}

TEST_CASE("signatures: whose, and whether they hold") {
    SecretKey alice = test_key('a'), bob = test_key('b'), carol = test_key('c');
    std::vector<PublicKey> to{alice.public_key}, others{carol.public_key};
    auto opened = open(sealed("text", to, options_of('s', &bob)), {&alice, 1}, others);
    REQUIRE(opened);
    CHECK(opened->signature == SignatureStatus::unknown);
    CHECK_FALSE(opened->valid_signer);
    // A certificate that names bob's key, with another point: the signature is by it, and does not hold.
    std::vector<PublicKey> forged{bob.public_key};
    forged[0].primary.point = carol.public_key.primary.point;
    opened = open(sealed("text", to, options_of('s', &bob)), {&alice, 1}, forged);
    REQUIRE(opened);
    CHECK(opened->signature == SignatureStatus::invalid);
    CHECK_FALSE(opened->valid_signer);
}

TEST_CASE("sealing: misuse is refused") {
    SecretKey alice = test_key('a'), bob = without_primary(test_key('b'));
    std::vector<PublicKey> to{alice.public_key};
    Sink nowhere = [](std::string_view) {};
    auto options = options_of('s');
    options.plain_size = 3;
    auto sealer = Sealer::start(to, options, nowhere);
    REQUIRE(sealer);
    CHECK_FALSE(sealer->feed("four"));
    REQUIRE(sealer->feed("tw"));
    CHECK_FALSE(sealer->finish());
    CHECK_FALSE(Sealer::start({}, options, nowhere));
    CHECK_FALSE(seal("x", to, options_of('s', &bob)));
    options.seed = Secret(std::string("short"));
    CHECK_FALSE(Sealer::start(to, options, nowhere));
    options = options_of('s');
    options.plain_size = 0xffffffff;
    CHECK_FALSE(Sealer::start(to, options, nowhere));
}

TEST_CASE("opening: the plain text is bounded") {
    SecretKey alice = test_key('a');
    std::vector<PublicKey> to{alice.public_key};
    std::string octets = sealed(std::string(1000, 'x'), to, options_of('s'));
    CHECK(open(octets, {&alice, 1}, {}, {1000}));
    CHECK_FALSE(open(octets, {&alice, 1}, {}, {999}));
}

TEST_CASE("the checker takes sealed messages only") {
    unsigned seed = std::random_device()();
    CAPTURE(seed);
    std::mt19937 random(seed);
    SecretKey alice = test_key('a'), bob = test_key('b');
    KeyId a = alice.public_key.encryption_key_id(), b = bob.public_key.encryption_key_id();
    std::vector<PublicKey> both{alice.public_key, bob.public_key};
    std::string octets = sealed("text", both, options_of('s'));
    SealedChecker checker({b, a});
    feed_slices(random, octets, [&](std::string_view piece) { REQUIRE(checker.feed(piece)); });
    auto found = checker.finish();
    REQUIRE(found);
    CHECK(*found == std::vector{a, b});
    std::string one = octets.substr(0, 96), two = octets.substr(96, 96), data = octets.substr(192);
    CHECK(check_sealed(one + data, {a}));
    CHECK_FALSE(check_sealed(octets, {a}));
    CHECK_FALSE(check_sealed(octets, {}));
    CHECK_FALSE(check_sealed(data, {a, b}));
    CHECK_FALSE(check_sealed(one, {a, b}));
    CHECK_FALSE(check_sealed("", {a, b}));
    CHECK_FALSE(check_sealed(octets + "x", {a, b}));
    CHECK_FALSE(check_sealed(octets + one, {a, b}));
    CHECK_FALSE(check_sealed(one + data + data, {a, b}));
    std::string marker, wildcard = octets, literal;
    put_packet(marker, tag::marker, "PGP");
    put_packet(literal, tag::literal, std::string("b\0\0\0\0\0secret", 12));
    CHECK_FALSE(check_sealed(marker + octets, {a, b}));
    CHECK_FALSE(check_sealed(one + literal, {a, b}));
    CHECK_FALSE(check_sealed(one + literal + data, {a, b}));
    wildcard.replace(3, 8, std::string(8, '\0'));
    CHECK_FALSE(check_sealed(wildcard, {a, b, KeyId(0)}));
    std::string version = one + data;
    version[96 + 2] = 2;  // after the two octets of the packet's header
    CHECK_FALSE(check_sealed(version, {a}));
    // Partial lengths: one chunk of 32 octets, then the rest.
    std::string body = data.substr(2), partial = one + std::string("\xd2\xe5", 2) + body.substr(0, 32);
    partial += static_cast<char>(body.size() - 32);
    partial += body.substr(32);
    CHECK_FALSE(check_sealed(partial, {a}));
    CHECK(check_sealed(partial, {a}, {true}));
    CHECK_FALSE(check_sealed(partial.substr(0, partial.size() - 1), {a}, {true}));
    auto opened = open(partial, {&alice, 1});
    REQUIRE(opened);
    CHECK(opened->plain == "text");
}

TEST_CASE("detached signatures") {
    SecretKey alice = test_key('a'), bob = test_key('b');
    auto signature = sign_detached("frame", alice, test_time);
    REQUIRE(signature);
    CHECK(*signature == *sign_detached("frame", alice, test_time));
    auto verified = verify_detached("frame", *signature, alice.public_key);
    REQUIRE(verified);
    CHECK(verified->certificate == alice.public_key.fingerprint);
    CHECK(verified->signed_at == UnixMillis(1700000000000));
    CHECK_FALSE(verify_detached("frames", *signature, alice.public_key));
    CHECK_FALSE(verify_detached("frame", *signature, bob.public_key));
    CHECK_FALSE(verify_detached("frame", *signature + *signature, alice.public_key));
    CHECK_FALSE(verify_detached("frame", "", alice.public_key));
    CHECK_FALSE(sign_detached("frame", without_primary(alice), test_time));
    // The unhashed area (a key id) is not protected, nor needs to be; everything else is.
    std::size_t unhashed = 2 + 6 + 6 + 23;
    for (std::size_t bit = 0; bit < signature->size() * 8; ++bit) {
        if (bit / 8 >= unhashed && bit / 8 < unhashed + 12) continue;
        std::string bad = *signature;
        bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
        CAPTURE(bit);
        CHECK_FALSE(verify_detached("frame", bad, alice.public_key));
    }
    // A laptop signs with its own subkey, which the certificate vouches for.
    auto laptop = add_signing_subkey(alice, test_time);
    REQUIRE(laptop);
    auto by_subkey = sign_detached("frame", without_primary(*laptop), test_time);
    REQUIRE(by_subkey);
    verified = verify_detached("frame", *by_subkey, laptop->public_key);
    REQUIRE(verified);
    CHECK(verified->key == laptop->signing->fingerprint);
    CHECK(verified->certificate == alice.public_key.fingerprint);
    CHECK_FALSE(verify_detached("frame", *by_subkey, alice.public_key));
}

TEST_CASE("throughput", "[.bench]") {
    SecretKey alice = test_key('a');
    std::vector<PublicKey> to{alice.public_key};
    for (std::size_t size : {std::size_t(8) << 10, std::size_t(1) << 20})
        for (bool is_signed : {false, true}) {
            std::string plain(size, 'x'), octets;
            auto count = [&](auto work) {
                auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
                int n = 0;
                for (; std::chrono::steady_clock::now() < end; ++n) work();
                return n / 2;
            };
            int seals =
                count([&] { octets = *seal(plain, to, options_of('s', is_signed ? &alice : nullptr)); });
            int opens = count([&] { (void)open(octets, {&alice, 1}, to); });
            WARN(size << " octets" << (is_signed ? ", signed" : "") << ": seal " << seals << "/s, open "
                      << opens << "/s");
        }
}

}  // namespace fwmail::crypto
