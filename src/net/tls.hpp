// TLS 1.2 and up (RFC 8446, RFC 8996), certificates and whom to trust. OpenSSL stays behind it.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/secret.hpp"

namespace fwmail::net {

struct CertificatePair {
    std::string certificate_pem;
    Secret key_pem;
};

// An ECDSA P-256 certificate signed by itself. Names that are numeric addresses become IP entries. The first
// name is also the common name. At least one name.
Result<CertificatePair> make_self_signed(std::vector<std::string> host_names, int days = 3650);
// Makes one and writes both files (key 0600, never readable by others in between) if neither exists yet.
Result<> ensure_self_signed(std::filesystem::path certificate, std::filesystem::path key,
                            std::vector<std::string> host_names);
// SHA-256 of the first certificate in PEM text, over its DER: 32 octets. What a pin is compared with.
Result<std::string> certificate_sha256(std::string_view certificate_pem);

// Our own certificate. Thread safe; connections that are up keep what they began with.
class TlsServer {
  public:
    static Result<std::shared_ptr<TlsServer>> load(std::filesystem::path certificate,
                                                   std::filesystem::path key);
    static Result<std::shared_ptr<TlsServer>> from_pem(const CertificatePair& pair);
    ~TlsServer();

    // Reads the files again; on an error the old certificate stays in use. Nothing to do after from_pem().
    Result<> reload();
    // 32 octets.
    std::string certificate_sha256() const;

    struct Impl;  // net/tls_impl.hpp
    Impl& impl() { return *impl_; }

  private:
    TlsServer();
    std::unique_ptr<Impl> impl_;
};

enum class TlsVerify {
    ca,    // signed by a CA that is trusted, and the host's name is in it
    pin,   // this very certificate, whoever signed it; names and dates are not looked at
    none,  // any: protects from listeners only (RFC 7435)
};

struct TlsClientOptions {
    TlsVerify verify = TlsVerify::ca;
    std::filesystem::path ca_file = {};  // empty: the bundle at the usual paths
    std::string pinned_sha256 = {};      // 32 octets, for TlsVerify::pin
};

class TlsClient {
  public:
    static Result<std::shared_ptr<TlsClient>> make(TlsClientOptions options);
    ~TlsClient();

    struct Impl;
    Impl& impl() { return *impl_; }

  private:
    TlsClient();
    std::unique_ptr<Impl> impl_;
};

}  // namespace fwmail::net
