#pragma once
// pki: the hub's own certificate authority and everything that makes keys. P-256 certificates for TLS, Ed25519 seeds
// for publishers. A private key is made where it is used and never travels (promise I1): a node sends a signing request
// and gets a certificate back.
//
// Certificates say who somebody is in two fields: OU = kind ("server", "admin", "node"), CN = name or node id.
// Times are Unix seconds and are given by the caller. PEM and DER are plain strings. Any thread may call at once.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace wb::world {

inline constexpr int64_t kDaySeconds = 86'400;
inline constexpr int64_t kCaLifetimeSeconds = 3'650 * kDaySeconds;
inline constexpr int64_t kServerLifetimeSeconds = 397 * kDaySeconds;
inline constexpr int64_t kAdminLifetimeSeconds = 397 * kDaySeconds;
inline constexpr int64_t kNodeLifetimeSeconds = 90 * kDaySeconds;
inline constexpr int64_t kClockSkewSeconds = 86'400;  // a device without a clock may be a day behind

// `count` bytes from the operating system's generator, for secrets, incarnations and seeds.
std::string random_bytes(size_t count);
// 32 bytes: an Ed25519 private key (base/signature.h).
std::string make_ed25519_seed();
// A P-256 private key, PKCS#8 PEM. The caller writes it with kSecretMode (world/files.h).
Result<std::string> make_p256_key_pem();
// A PKCS#10 request for that key, DER; its own signature proves possession of the key.
Result<std::string> make_csr_der(std::string_view key_pem, std::string_view common_name);

struct CertificateFacts {
  std::string common_name;  // CN
  std::string unit;         // OU
  std::string serial;       // hex
  int64_t not_before = 0;   // Unix seconds
  int64_t not_after = 0;
};
Result<CertificateFacts> read_certificate(std::string_view certificate_pem);
// kInvalid if the private key is not the certificate's.
Status check_pair(std::string_view certificate_pem, std::string_view key_pem);
// First 32 hex digits of the SHA-256 of the certificate's DER: travels in the enrolment token.
Result<std::string> certificate_pin(std::string_view certificate_pem);

struct Credential {
  std::string certificate_pem;
  std::string key_pem;
};

class CertificateAuthority {
 public:
  static Result<CertificateAuthority> create(std::string_view name, int64_t now);
  static Result<CertificateAuthority> load(std::string certificate_pem, std::string key_pem);

  const std::string& certificate_pem() const { return certificate_pem_; }
  const std::string& key_pem() const { return key_pem_; }
  const std::string& pin() const { return pin_; }

  // `hosts`: DNS names or IP addresses under which the hub is reached; loopback is always added.
  Result<Credential> issue_server(const std::vector<std::string>& hosts, int64_t now) const;
  Result<Credential> issue_admin(std::string_view name, int64_t now) const;
  // kDenied if the request is not signed by its own key, kInvalid if it is not a P-256 request. Only the public key is
  // taken from the request: the name is the hub's decision.
  Result<std::string> issue_node(std::string_view csr_der, std::string_view node_id, int64_t now) const;

 private:
  CertificateAuthority() = default;
  std::string certificate_pem_;
  std::string key_pem_;
  std::string pin_;
};

// The check that issue_node makes before it signs.
Status check_csr(std::string_view csr_der);

}  // namespace wb::world
