#include "crypto/box.hpp"

#include <cryptopp/aes.h>
#include <cryptopp/gcm.h>

#include "crypto/octets.hpp"

namespace fwmail::crypto {

namespace {
constexpr char version = 1;
constexpr std::size_t nonce_size = 12, tag_size = 16;
static_assert(box_overhead == 1 + nonce_size + tag_size);
}  // namespace

// Random nonces of 96 bits bound one master key to about 2^32 boxes (NIST SP 800-38D 8.3): far more than a
// node seals.
Result<std::string> box_seal(const Secret& master_key, std::string_view plain, std::string_view associated) {
    if (master_key.view().size() != 32)
        return fail(ErrorKind::internal, "the master key is not 32 octets long");
    std::string nonce = random_octets(nonce_size);
    std::string box(box_overhead + plain.size(), '\0');
    box[0] = version;
    box.replace(1, nonce_size, nonce);
    CryptoPP::GCM<CryptoPP::AES>::Encryption gcm;
    gcm.SetKeyWithIV(bytes(master_key.view()), 32, bytes(std::string_view(nonce)), nonce_size);
    char* sealed = box.data() + 1 + nonce_size;
    gcm.EncryptAndAuthenticate(bytes(sealed), bytes(sealed + plain.size()), tag_size,
                               bytes(std::string_view(nonce)), nonce_size, bytes(associated),
                               associated.size(), bytes(plain), plain.size());
    return box;
}

Result<Secret> box_open(const Secret& master_key, std::string_view box, std::string_view associated) {
    if (master_key.view().size() != 32)
        return fail(ErrorKind::internal, "the master key is not 32 octets long");
    if (box.size() < box_overhead || box[0] != version)
        return fail(ErrorKind::refused, "this is not a secret sealed by this version of fwmail");
    std::string_view nonce = box.substr(1, nonce_size), tag = box.substr(box.size() - tag_size);
    std::string_view sealed = box.substr(1 + nonce_size, box.size() - box_overhead);
    std::string plain(sealed.size(), '\0');
    CryptoPP::GCM<CryptoPP::AES>::Decryption gcm;
    gcm.SetKeyWithIV(bytes(master_key.view()), 32, bytes(nonce), nonce_size);
    bool good = gcm.DecryptAndVerify(bytes(plain), bytes(tag), tag_size, bytes(nonce), nonce_size,
                                     bytes(associated), associated.size(), bytes(sealed), sealed.size());
    if (!good) {
        wipe(plain);
        return fail(ErrorKind::refused,
                    "the sealed secret does not open: the master key is another one, or it is damaged");
    }
    return Secret(std::move(plain));
}

}  // namespace fwmail::crypto
