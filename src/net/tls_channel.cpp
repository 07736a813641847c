#include "net/tls_channel.hpp"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <string.h>
#include <sys/socket.h>

#include <algorithm>

#include "net/tls_impl.hpp"

namespace fwmail::net {
namespace {

// OpenSSL's own BIO for sockets writes with write(2), which may bring SIGPIPE.
int socket_of(BIO* bio) { return static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio))); }

bool try_later(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

int bio_write(BIO* bio, const char* octets, int count) {
    BIO_clear_retry_flags(bio);
    ssize_t done = ::send(socket_of(bio), octets, static_cast<std::size_t>(count), MSG_NOSIGNAL);
    if (done < 0 && try_later(errno)) BIO_set_retry_write(bio);
    return static_cast<int>(done);
}

int bio_read(BIO* bio, char* into, int count) {
    BIO_clear_retry_flags(bio);
    ssize_t done = ::recv(socket_of(bio), into, static_cast<std::size_t>(count), 0);
    if (done < 0 && try_later(errno)) BIO_set_retry_read(bio);
    if (done == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    return static_cast<int>(done);
}

long bio_control(BIO* bio, int command, long, void*) {
    if (command == BIO_CTRL_FLUSH) return 1;
    return command == BIO_CTRL_EOF && BIO_test_flags(bio, BIO_FLAGS_IN_EOF) ? 1 : 0;
}

const BIO_METHOD* socket_method() {
    static const Owned<BIO_METHOD, BIO_meth_free> method = [] {
        Owned<BIO_METHOD, BIO_meth_free> made(
            BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "fwmail socket"));
        if (made) {
            BIO_meth_set_write(made.get(), bio_write);
            BIO_meth_set_read(made.get(), bio_read);
            BIO_meth_set_ctrl(made.get(), bio_control);
        }
        return made;
    }();
    return method.get();
}

// RFC 9266 2 and 4.2: with TLS 1.2 only if the master secret is bound to the handshake (RFC 7627).
std::string exporter_binding(SSL* ssl) {
    static constexpr std::string_view label = "EXPORTER-Channel-Binding";
    if (SSL_version(ssl) < TLS1_3_VERSION && SSL_get_extms_support(ssl) != 1) return {};
    unsigned char out[32];
    static constexpr unsigned char no_context[1] = {};
    if (SSL_export_keying_material(ssl, out, sizeof out, label.data(), label.size(), no_context, 0, 1) != 1)
        return {};
    return std::string(reinterpret_cast<char*>(out), sizeof out);
}

// RFC 5929 4.1: the server's certificate, hashed as its signature was, but never by MD5 or SHA-1.
std::string end_point_binding(SSL* ssl) {
    const X509* certificate = SSL_is_server(ssl) ? SSL_get_certificate(ssl) : SSL_get0_peer_certificate(ssl);
    if (!certificate) return {};
    int digest = NID_undef;
    if (!OBJ_find_sigid_algs(X509_get_signature_nid(certificate), &digest, nullptr)) return {};
    if (digest == NID_md5 || digest == NID_sha1) digest = NID_sha256;
    const EVP_MD* method = digest == NID_undef ? nullptr : EVP_get_digestbynid(digest);
    unsigned char out[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (!method || X509_digest(certificate, method, out, &size) != 1) return {};
    return std::string(reinterpret_cast<char*>(out), size);
}

}  // namespace

std::unique_ptr<TlsChannel> TlsChannel::make(SSL_CTX* context, int socket, bool server) {
    auto channel = std::make_unique<TlsChannel>();
    channel->ssl_.reset(SSL_new(context));
    BIO* bio = socket_method() ? BIO_new(socket_method()) : nullptr;
    if (!channel->ssl_ || !bio) {
        BIO_free(bio);
        return nullptr;
    }
    BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(socket)));
    BIO_set_init(bio, 1);
    SSL_set_bio(channel->ssl_.get(), bio, bio);
    if (server)
        SSL_set_accept_state(channel->ssl_.get());
    else
        SSL_set_connect_state(channel->ssl_.get());
    return channel;
}

TlsChannel::Step TlsChannel::step(int result, std::size_t count) {
    int cut = errno;
    if (result > 0) return {State::done, count};
    switch (SSL_get_error(ssl_.get(), result)) {
        case SSL_ERROR_WANT_READ:
            return {State::wants_read};
        case SSL_ERROR_WANT_WRITE:
            return {State::wants_write};
        case SSL_ERROR_ZERO_RETURN:
            return {State::ended};
        case SSL_ERROR_SYSCALL:
            if (ERR_peek_error() == 0) {
                error_ = {ErrorKind::temporary, cut ? ::strerror(cut) : "the connection was cut"};
                return {State::failed};
            }
            break;
        default:
            break;
    }
    error_ = {ErrorKind::protocol, openssl_error()};
    return {State::failed};
}

TlsChannel::Step TlsChannel::handshake() {
    ERR_clear_error();
    errno = 0;
    return step(SSL_do_handshake(ssl_.get()), 0);
}

TlsChannel::Step TlsChannel::read(std::span<char> into) {
    ERR_clear_error();
    errno = 0;
    std::size_t count = 0;
    int result = SSL_read_ex(ssl_.get(), into.data(), into.size(), &count);
    return step(result, count);
}

TlsChannel::Step TlsChannel::peek() {
    ERR_clear_error();
    errno = 0;
    char octet;
    std::size_t count = 0;
    int result = SSL_peek_ex(ssl_.get(), &octet, 1, &count);
    return step(result, count);
}

TlsChannel::Step TlsChannel::write(std::string_view octets) {
    ERR_clear_error();
    errno = 0;
    std::size_t count = 0;
    int result = SSL_write_ex(ssl_.get(), octets.data(), octets.size(), &count);
    return step(result, count);
}

TlsChannel::Step TlsChannel::shutdown() {
    ERR_clear_error();
    errno = 0;
    int result = SSL_shutdown(ssl_.get());
    if (result == 0) return {State::wants_read};  // sent; the peer's is still to come
    return step(result, 0);
}

std::string TlsChannel::channel_binding(ChannelBinding type) const {
    switch (type) {
        case ChannelBinding::tls_exporter:
            return exporter_binding(ssl_.get());
        case ChannelBinding::tls_server_end_point:
            return end_point_binding(ssl_.get());
    }
    return {};
}

}  // namespace fwmail::net
