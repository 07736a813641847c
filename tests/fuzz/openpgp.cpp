// OpenPGP from strangers: armour, certificates, secret keys, messages, and what lies inside a message.
#include "crypto/armor.hpp"
#include "crypto/box.hpp"
#include "crypto/content.hpp"
#include "crypto/inflate.hpp"
#include "crypto/openpgp_key.hpp"
#include "crypto/openpgp_message.hpp"
#include "crypto/packet.hpp"
#include "crypto/scram.hpp"
#include "fuzz/fuzz.hpp"

using namespace fwmail;
using namespace fwmail::fuzz;
using namespace fwmail::crypto;

namespace {

constexpr OpenOptions bounded{1 << 20};

// The same key for ever: seeds of the corpus are sealed to it.
const SecretKey& our_key() {
    static const SecretKey key = [] {
        return key_from_seeds("fuzz <fuzz@example.org>", UnixMillis{1'600'000'000'000},
                              Secret(std::string(32, '1')), Secret(std::string(32, '2')))
            .value();
    }();
    return key;
}

template <class T>
bool same(const Result<T>& a, const Result<T>& b) {
    return a.has_value() == b.has_value() && (a ? *a == *b : a.error().text == b.error().text);
}

void try_armor(std::string_view text, std::uint32_t seed) {
    auto whole = dearmor(text, 1 << 20);
    std::string pieces;
    ArmorDecoder decoder([&](std::string_view octets) { pieces += octets; });
    Result<> fed;
    in_pieces(text, seed, [&](std::string_view piece) {
        if (fed) fed = decoder.feed(piece);
    });
    auto type = fed ? decoder.finish() : Result<ArmorType>(fail(fed.error()));
    require(type.has_value() == whole.has_value(), "armour does not depend on how it was cut");
    if (!whole) return;
    require(*type == whole->type && pieces == whole->octets,
            "armour holds the same octets however it was cut");
    require(looks_armored(text), "armour looks like it");
    std::string written = armor(whole->type, whole->octets);
    require(written.size() == armored_size(whole->type, whole->octets.size()), "armour is as large as said");
    auto again = dearmor(written);
    require(again && again->type == whole->type && again->octets == whole->octets, "armour comes back");
}

void try_keys(std::string_view octets) {
    if (auto key = parse_certificate(octets)) {
        auto again = parse_certificate(write_certificate(*key));
        require(again && *again == *key, "a certificate is the same written and read");
        SealOptions options;
        options.seed = Secret(std::string(seed_size, 's'));
        auto sealed = seal("x", std::span(&*key, 1), std::move(options));
        if (sealed)
            require(check_sealed(*sealed, {key->encryption_key_id()}).has_value(),
                    "what is sealed is sealed");
    }
    if (auto key = parse_secret_key(octets, std::nullopt)) {
        auto written = write_secret_key(*key, std::nullopt);
        require(written.has_value(), "a key that was read can be written");
        auto again = parse_secret_key(written->view(), std::nullopt);
        require(again && again->public_key.fingerprint == key->public_key.fingerprint &&
                    again->decryption.size() == key->decryption.size(),
                "a secret key is the same written and read");
    }
    if (auto key = parse_compact_key(octets, "u <u@example.org>")) {
        auto written = write_compact_key(*key);
        require(written && *written == octets, "a compact key is the same written and read");
    }
}

void try_message(std::string_view octets, std::uint32_t seed) {
    std::span keys(&our_key(), 1);
    std::span signers(&our_key().public_key, 1);
    auto whole = open(octets, keys, signers, bounded);
    std::string pieces;
    Opener opener(keys, signers, [&](std::string_view plain) { pieces += plain; }, bounded);
    Result<> fed;
    in_pieces(octets, seed, [&](std::string_view piece) {
        if (fed) fed = opener.feed(piece);
    });
    auto opened = fed ? opener.finish() : Result<Opened>(fail(fed.error()));
    require(opened.has_value() == whole.has_value(), "opening does not depend on how it was cut");
    if (whole)
        require(pieces == whole->plain && opened->signature == whole->signature &&
                    whole->plain_size == pieces.size() && pieces.size() <= bounded.max_plain,
                "what was opened is the same however it was cut");

    for (bool partial : {false, true}) {
        std::vector<KeyId> allowed = {our_key().public_key.encryption_key_id()};
        auto ids = check_sealed(octets, allowed, {partial});
        SealedChecker checker(allowed, {partial});
        Result<> checking;
        in_pieces(octets, seed, [&](std::string_view piece) {
            if (checking) checking = checker.feed(piece);
        });
        auto cut = checking ? checker.finish() : Result<std::vector<KeyId>>(fail(checking.error()));
        require(same(ids, cut), "a check does not depend on how the octets were cut");
        if (ids)
            for (auto id : *ids) require(id == allowed[0], "sealed to nobody else");
    }
}

// As if `octets` had come out of the decryption.
void try_content(std::string_view octets, std::uint32_t seed) {
    auto read = [&](bool cut, std::string& plain, Opened& opened) -> Result<> {
        ContentReader content(
            std::span(&our_key().public_key, 1), [&](std::string_view o) { plain += o; }, bounded);
        DecryptedReader decrypted(content, bounded);
        PacketReader packets;
        Result<> fed;
        if (cut)
            in_pieces(octets, seed, [&](std::string_view piece) {
                if (fed) fed = packets.feed(piece, decrypted);
            });
        else
            fed = packets.feed(octets, decrypted);
        TRY(fed);
        TRY(packets.finish(decrypted));
        return content.finish(opened);
    };
    std::string whole, pieces;
    Opened a, b;
    bool good = read(false, whole, a).has_value();
    require(read(true, pieces, b).has_value() == good, "content does not depend on how it was cut");
    require(whole.size() <= bounded.max_plain && pieces.size() <= bounded.max_plain, "plain text is bounded");
    if (good)
        require(whole == pieces && a.signature == b.signature, "content is the same however it was cut");
}

void try_inflate(std::string_view octets, std::uint32_t seed) {
    constexpr std::uint64_t limit = 256 << 10;
    auto inflate = [&](std::uint8_t algorithm, bool cut, std::string& out) -> Result<> {
        auto inflater = TRY(Inflater::start(algorithm, limit, [&](std::string_view o) -> Result<> {
            out += o;
            return {};
        }));
        Result<> fed;
        if (cut)
            in_pieces(octets, seed, [&](std::string_view piece) {
                if (fed) fed = inflater.feed(piece);
            });
        else
            fed = inflater.feed(octets);
        TRY(fed);
        return inflater.finish();
    };
    for (std::uint8_t algorithm : {std::uint8_t(1), std::uint8_t(2)}) {
        std::string whole, pieces;
        bool good = inflate(algorithm, false, whole).has_value();
        require(inflate(algorithm, true, pieces).has_value() == good, "inflating does not depend on cuts");
        require(whole.size() <= limit && pieces.size() <= limit, "what is inflated is bounded");
        if (good) require(whole == pieces, "what is inflated is the same however it was cut");
    }
}

void try_small(std::string_view text) {
    if (auto verifier = ScramVerifier::from_text(text)) {
        auto again = ScramVerifier::from_text(verifier->text());
        require(again && *again == *verifier, "a verifier is the same written and read");
    }
    require(!box_open(Secret(std::string(32, 'k')), text, "fuzz"), "no box is made by chance");
    if (auto print = Fingerprint::from_hex(text))
        require(Fingerprint::from_hex(print->grouped()) == print,
                "a fingerprint is the same written and read");
}

}  // namespace

FUZZ_TARGET(openpgp) {
    Control control(input.control);
    std::uint32_t seed = control.octet();
    try_armor(input.text, seed);
    std::string octets(input.text);
    if (auto block = dearmor(input.text, 1 << 20)) octets = block->octets;
    try_keys(octets);
    try_message(octets, seed);
    try_content(octets, seed);
    try_inflate(octets, seed);
    try_small(input.text);
}
