// What tls.cpp and socket_stream.cpp share of OpenSSL. Nobody else includes it.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <mutex>

#include "net/tls.hpp"

namespace fwmail::net {

struct TlsServer::Impl {
    std::filesystem::path certificate, key;  // empty: from_pem
    mutable std::mutex mutex;
    std::shared_ptr<boost::asio::ssl::context> context;  // replaced as a whole by reload()
    std::string sha256;

    std::shared_ptr<boost::asio::ssl::context> current() const {
        std::scoped_lock lock(mutex);
        return context;
    }
};

struct TlsClient::Impl {
    TlsClientOptions options;
    std::shared_ptr<boost::asio::ssl::context> context;
};

// SHA-256 of the certificate's DER; empty if there is none.
std::string certificate_digest(const X509* certificate);
// The oldest entry of OpenSSL's error queue, which is emptied.
std::string openssl_error();

}  // namespace fwmail::net
