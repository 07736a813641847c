// TLS contexts: versions, trust, our own certificate.
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <fstream>

#include "net/openssl_owned.hpp"
#include "net/tls_impl.hpp"

namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;

namespace fwmail::net {

void openssl_init() {
    // A host's openssl.cnf may name engines and providers, shared objects that a static process must not
    // load.
    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
    OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
}

std::string openssl_error() {
    unsigned long code = ERR_get_error();
    ERR_clear_error();
    const char* reason = code ? ERR_reason_error_string(code) : nullptr;
    return reason ? reason : "unknown TLS error";
}

std::string certificate_digest(const X509* certificate) {
    std::string digest(32, '\0');
    unsigned size = 0;
    if (!certificate ||
        !X509_digest(certificate, EVP_sha256(), reinterpret_cast<unsigned char*>(digest.data()), &size))
        return {};
    return digest;
}

namespace {

constexpr std::size_t max_pem = 1 << 20;

Result<std::string> read_pem(const std::filesystem::path& path) {
    std::ifstream stream(path, std::ios::binary);
    std::string text(max_pem, '\0');
    stream.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(stream.gcount()));
    if (text.empty())
        return fail(ErrorKind::usage,
                    path.string() + " cannot be read; see that it is there, PEM and readable");
    return text;
}

std::shared_ptr<ssl::context> make_context(ssl::context::method method) {
    openssl_init();
    auto context = std::make_shared<ssl::context>(method);
    SSL_CTX* native = context->native_handle();
    SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
    // The protocols above frame what they say, so an end without close_notify is an end.
    SSL_CTX_set_options(native, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                    SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(native, 1);  // one recv(2) for a record's head and body
    // TLS 1.2 with forward secrecy and AEAD only; TLS 1.3 has its own list.
    SSL_CTX_set_cipher_list(native, "ECDHE+AESGCM:ECDHE+CHACHA20");
    return context;
}

struct ServerMaterial {
    std::shared_ptr<ssl::context> context;
    std::string sha256;
};

Result<ServerMaterial> make_server(std::string_view certificate, std::string_view key,
                                   const std::string& where) {
    auto context = make_context(ssl::context::tls_server);
    boost::system::error_code error;
    context->use_certificate_chain(asio::buffer(certificate), error);
    if (error) return fail(ErrorKind::usage, where + ": not a certificate in PEM (" + openssl_error() + ")");
    // A key under a passphrase must not make OpenSSL ask on the terminal.
    context->set_password_callback([](std::size_t, ssl::context::password_purpose) { return std::string(); },
                                   error);
    context->use_private_key(asio::buffer(key), ssl::context::pem, error);
    if (error || !SSL_CTX_check_private_key(context->native_handle()))
        return fail(ErrorKind::usage,
                    where + ": the private key is not PEM, has a passphrase, or is another's (" +
                        (error ? error.message() : openssl_error()) + ")");
    static constexpr unsigned char session_context[] = "fwmail";
    SSL_CTX_set_session_id_context(context->native_handle(), session_context, sizeof session_context - 1);
    std::string digest = certificate_digest(SSL_CTX_get0_certificate(context->native_handle()));
    return ServerMaterial{std::move(context), std::move(digest)};
}

// Debian, Fedora, SUSE, Alpine and the BSDs.
constexpr const char* usual_bundles[] = {
    "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/cert.pem"};

Result<> load_trust(ssl::context& context, const std::filesystem::path& ca_file) {
    std::filesystem::path file = ca_file;
    std::error_code ignored;
    for (const char* usual : usual_bundles)
        if (file.empty() && std::filesystem::exists(usual, ignored)) file = usual;
    if (file.empty())
        return fail(ErrorKind::usage,
                    "no CA bundle at the usual paths; install ca-certificates or name one (ca-file)");
    if (!SSL_CTX_load_verify_file(context.native_handle(), file.c_str()))
        return fail(ErrorKind::usage,
                    file.string() + ": no certificates can be read from it (" + openssl_error() + ")");
    return {};
}

}  // namespace

Result<std::string> certificate_sha256(std::string_view certificate_pem) {
    openssl_init();
    Owned<BIO, BIO_free> bio(
        BIO_new_mem_buf(certificate_pem.data(), static_cast<int>(certificate_pem.size())));
    Owned<X509, X509_free> certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    if (!certificate) return fail(ErrorKind::usage, "not a certificate in PEM (" + openssl_error() + ")");
    return certificate_digest(certificate.get());
}

TlsServer::TlsServer() : impl_(std::make_unique<Impl>()) {}
TlsServer::~TlsServer() = default;

Result<std::shared_ptr<TlsServer>> TlsServer::load(std::filesystem::path certificate,
                                                   std::filesystem::path key) {
    std::shared_ptr<TlsServer> server(new TlsServer);
    server->impl_->certificate = std::move(certificate);
    server->impl_->key = std::move(key);
    TRY(server->reload());
    return server;
}

Result<std::shared_ptr<TlsServer>> TlsServer::from_pem(const CertificatePair& pair) {
    std::shared_ptr<TlsServer> server(new TlsServer);
    ServerMaterial material = TRY(make_server(pair.certificate_pem, pair.key_pem.view(), "certificate"));
    server->impl_->context = std::move(material.context);
    server->impl_->sha256 = std::move(material.sha256);
    return server;
}

Result<> TlsServer::reload() {
    if (impl_->certificate.empty()) return {};
    std::string certificate = TRY(read_pem(impl_->certificate));
    Secret key(TRY(read_pem(impl_->key)));
    ServerMaterial material = TRY(make_server(certificate, key.view(), impl_->certificate.string()));
    std::scoped_lock lock(impl_->mutex);
    impl_->context = std::move(material.context);
    impl_->sha256 = std::move(material.sha256);
    return {};
}

std::string TlsServer::certificate_sha256() const {
    std::scoped_lock lock(impl_->mutex);
    return impl_->sha256;
}

TlsClient::TlsClient() : impl_(std::make_unique<Impl>()) {}
TlsClient::~TlsClient() = default;

Result<std::shared_ptr<TlsClient>> TlsClient::make(TlsClientOptions options) {
    std::shared_ptr<TlsClient> client(new TlsClient);
    auto context = make_context(ssl::context::tls_client);
    switch (options.verify) {
        case TlsVerify::ca:
            TRY(load_trust(*context, options.ca_file));
            context->set_verify_mode(ssl::verify_peer);
            break;
        case TlsVerify::pin:
            if (options.pinned_sha256.size() != 32)
                return fail(ErrorKind::usage, "a pin is the SHA-256 of a certificate: 64 hexadecimal digits");
            // Compared after the handshake, before anything is sent.
            context->set_verify_mode(ssl::verify_none);
            break;
        case TlsVerify::none:
            context->set_verify_mode(ssl::verify_none);
            break;
    }
    client->impl_->context = std::move(context);
    client->impl_->options = std::move(options);
    return client;
}

}  // namespace fwmail::net
