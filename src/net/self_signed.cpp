// The certificate for the first start, until the administrator has a better one.
#include <arpa/inet.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <fstream>
#include <iterator>

#include "base/random.hpp"
#include "base/replace_file.hpp"
#include "net/dns.hpp"
#include "net/openssl_owned.hpp"
#include "net/tls_impl.hpp"

namespace fwmail::net {
namespace {

using Key = Owned<EVP_PKEY, EVP_PKEY_free>;

// Goes into an extension's text form, where a comma would begin another entry.
bool is_host_name(std::string_view name) {
    if (name.empty() || name.size() > 253) return false;
    for (char c : name)
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
              c == '.' || c == '*' || c == '_'))
            return false;
    return true;
}

Result<std::string> alternative_names(const std::vector<std::string>& names) {
    std::string out;
    for (const auto& name : names) {
        std::string address = numeric_address(name);
        if (address.empty() && !is_host_name(name))
            return fail(ErrorKind::usage, "'" + name + "' is not a host name for a certificate");
        out += (out.empty() ? "" : ",") + (address.empty() ? "DNS:" + name : "IP:" + address);
    }
    return out;
}

bool add_extension(X509* certificate, int nid, const char* value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
    Owned<X509_EXTENSION, X509_EXTENSION_free> extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value));
    return extension && X509_add_ext(certificate, extension.get(), -1);
}

bool set_serial(X509* certificate) {
    std::string octets = random_octets(16);
    octets[0] = static_cast<char>((octets[0] & 0x3f) | 0x40);  // positive and not shorter (RFC 5280 4.1.2.2)
    Owned<BIGNUM, BN_free> number(
        BN_bin2bn(reinterpret_cast<const unsigned char*>(octets.data()), 16, nullptr));
    return number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate));
}

template <class Write>
Result<std::string> to_pem(Write write) {
    Owned<BIO, BIO_free> bio(BIO_new(BIO_s_mem()));
    char* data = nullptr;
    if (!bio || !write(bio.get()))
        return fail(ErrorKind::internal, "PEM cannot be written: " + openssl_error());
    long size = BIO_get_mem_data(bio.get(), &data);
    return std::string(data, static_cast<std::size_t>(size));
}

Result<std::string> make_certificate(EVP_PKEY* key, const std::vector<std::string>& names, int days) {
    if (names.empty()) return fail(ErrorKind::usage, "a certificate needs at least one host name");
    std::string alternatives = TRY(alternative_names(names));
    Owned<X509, X509_free> certificate(X509_new());
    X509* x = certificate.get();
    bool good = x && X509_set_version(x, 2) && set_serial(x);
    // An hour back, for clocks that differ a little.
    good = good && X509_gmtime_adj(X509_getm_notBefore(x), -3600) &&
           X509_time_adj_ex(X509_getm_notAfter(x), days, 0, nullptr) && X509_set_pubkey(x, key);
    // RFC 5280's upper bound of a common name is 64; the alternative names are what counts.
    std::string common = names[0].substr(0, 64);
    X509_NAME* subject = good ? X509_get_subject_name(x) : nullptr;
    good = good &&
           X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                      reinterpret_cast<const unsigned char*>(common.data()),
                                      static_cast<int>(common.size()), -1, 0) &&
           X509_set_issuer_name(x, subject);
    good = good && add_extension(x, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(x, NID_key_usage, "critical,digitalSignature") &&
           add_extension(x, NID_ext_key_usage, "serverAuth,clientAuth") &&
           add_extension(x, NID_subject_alt_name, alternatives.c_str()) &&
           add_extension(x, NID_subject_key_identifier, "hash");
    if (!good || !X509_sign(x, key, EVP_sha256()))
        return fail(ErrorKind::internal, "a certificate cannot be made: " + openssl_error());
    return to_pem([&](BIO* bio) { return PEM_write_bio_X509(bio, x); });
}

Result<Key> make_key() {
    openssl_init();
    Key key(EVP_EC_gen("P-256"));
    if (!key) return fail(ErrorKind::internal, "a key cannot be made: " + openssl_error());
    return key;
}

Result<std::string> key_to_pem(EVP_PKEY* key) {
    return to_pem(
        [&](BIO* bio) { return PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr); });
}

Result<Key> read_key(const std::filesystem::path& path) {
    openssl_init();
    std::ifstream stream(path, std::ios::binary);
    Secret text(std::string(std::istreambuf_iterator<char>(stream), {}));
    Owned<BIO, BIO_free> bio(BIO_new_mem_buf(text.view().data(), static_cast<int>(text.view().size())));
    // No passphrase is asked for.
    char none[] = "";
    Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, none));
    if (!key)
        return fail(ErrorKind::usage, path.string() + ": not a private key in PEM (" + openssl_error() + ")");
    return key;
}

}  // namespace

Result<CertificatePair> make_self_signed(std::vector<std::string> host_names, int days) {
    Key key = TRY(make_key());
    CertificatePair pair;
    pair.certificate_pem = TRY(make_certificate(key.get(), host_names, days));
    pair.key_pem = Secret(TRY(key_to_pem(key.get())));
    return pair;
}

Result<> ensure_self_signed(std::filesystem::path certificate, std::filesystem::path key_file,
                            std::vector<std::string> host_names) {
    std::error_code ignored;
    bool have_key = std::filesystem::exists(key_file, ignored);
    if (std::filesystem::exists(certificate, ignored)) {
        if (have_key) return {};
        return fail(ErrorKind::usage, key_file.string() + " is missing, though " + certificate.string() +
                                          " is there; bring the key back or remove the certificate");
    }
    // A key without certificate: a start was cut between the two. It is used again.
    Key key = have_key ? TRY(read_key(key_file)) : TRY(make_key());
    std::string pem = TRY(make_certificate(key.get(), host_names, 3650));
    if (!have_key) TRY(replace_file(key_file, Secret(TRY(key_to_pem(key.get()))).view(), 0600));
    return replace_file(certificate, pem, 0644);
}

}  // namespace fwmail::net
