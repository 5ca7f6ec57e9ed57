#include "world/pki.h"

#include <openssl/asn1.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/bytes.h"
#include "base/checksum.h"
#include "world/openssl_guard.h"

namespace wb::world {

namespace {

constexpr size_t kNameBytesMax = 64;  // X.520 ub-common-name
constexpr size_t kHostsMax = 64;

Result<std::string> key_to_pem(EVP_PKEY* key) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return openssl_error("write a private key");
  return bio_text(bio.get());
}

Result<KeyPtr> make_p256() {
  KeyPtr key(EVP_EC_gen("P-256"));
  if (!key) return openssl_error("make a P-256 key");
  return key;
}

Status set_name(X509_NAME* name, const char* field, std::string_view text) {
  if (text.empty() || text.size() > kNameBytesMax)
    return fail(Code::kInvalid, "the name '", text.substr(0, kNameBytesMax), "' must have 1 to 64 bytes");
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  if (X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, bytes, static_cast<int>(text.size()), -1, 0) != 1)
    return fail(Code::kInvalid, "the name '", text, "' is not valid UTF-8 text");
  return ok_status();
}

Status add_extension(X509* certificate, X509* issuer, int id, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str()));
  if (!extension || X509_add_ext(certificate, extension.get(), -1) != 1)
    return openssl_error("add the certificate extension '" + value + "'");
  return ok_status();
}

bool is_address(std::string_view host) {
  if (host.find(':') != std::string_view::npos) return true;
  return !host.empty() && host.find_first_not_of("0123456789.") == std::string_view::npos;
}

// The value goes through OpenSSL's configuration grammar, where ',' and ':' separate: only plain names may pass.
Result<std::string> subject_alternatives(std::vector<std::string> hosts) {
  hosts.insert(hosts.end(), {"localhost", "127.0.0.1", "::1"});
  if (hosts.size() > kHostsMax) return fail(Code::kFull, "more than ", std::to_string(kHostsMax), " --host names");
  std::vector<std::string> seen;
  std::string text;
  for (const std::string& host : hosts) {
    if (std::find(seen.begin(), seen.end(), host) != seen.end()) continue;
    seen.push_back(host);
    const bool address = is_address(host);
    const char* allowed =
        address ? "0123456789abcdefABCDEF.:" : "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-*_";
    if (host.empty() || host.size() > 253 || host.find_first_not_of(allowed) != std::string::npos)
      return fail(Code::kInvalid, "'", host,
                  "' is not a host name or IP address; give --host as in hub.example.com or 10.0.0.5");
    text += (text.empty() ? "" : ",") + std::string(address ? "IP:" : "DNS:") + host;
  }
  return text;
}

struct Plan {
  std::string_view common_name;
  std::string_view unit;
  int64_t now = 0;
  int64_t lifetime_seconds = 0;
  std::string key_usage;       // OpenSSL's words
  std::string extended_usage;  // empty for a CA
  std::string alternatives;
};

Status fill(X509* certificate, X509* issuer, EVP_PKEY* subject_key, const Plan& plan) {
  std::string serial = random_bytes(16);
  serial[0] = static_cast<char>((serial[0] & 0x3F) | 0x40);  // positive, and always 16 bytes
  const BignumPtr number(BN_bin2bn(reinterpret_cast<const unsigned char*>(serial.data()), 16, nullptr));
  if (!number || BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) == nullptr)
    return openssl_error("set the serial number");
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_TIME_set(X509_getm_notBefore(certificate), static_cast<time_t>(plan.now - kClockSkewSeconds));
  ASN1_TIME_set(X509_getm_notAfter(certificate), static_cast<time_t>(plan.now + plan.lifetime_seconds));
  X509_NAME* name = X509_get_subject_name(certificate);
  WB_CHECK(set_name(name, "O", "Waybill"));
  WB_CHECK(set_name(name, "OU", plan.unit));
  WB_CHECK(set_name(name, "CN", plan.common_name));
  if (X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) != 1) return openssl_error("set the issuer");
  if (X509_set_pubkey(certificate, subject_key) != 1) return openssl_error("set the public key");
  const bool authority = plan.extended_usage.empty();
  WB_CHECK(add_extension(certificate, issuer, NID_basic_constraints,
                         authority ? "critical,CA:TRUE,pathlen:0" : "critical,CA:FALSE"));
  WB_CHECK(add_extension(certificate, issuer, NID_key_usage, "critical," + plan.key_usage));
  WB_CHECK(add_extension(certificate, issuer, NID_subject_key_identifier, "hash"));
  if (authority) return ok_status();
  WB_CHECK(add_extension(certificate, issuer, NID_authority_key_identifier, "keyid"));
  WB_CHECK(add_extension(certificate, issuer, NID_ext_key_usage, plan.extended_usage));
  if (!plan.alternatives.empty()) WB_CHECK(add_extension(certificate, issuer, NID_subject_alt_name, plan.alternatives));
  return ok_status();
}

Result<std::string> sign_new(const std::string& ca_certificate_pem, const std::string& ca_key_pem,
                             EVP_PKEY* subject_key, const Plan& plan) {
  WB_TRY(const CertificatePtr issuer, parse_certificate(ca_certificate_pem));
  WB_TRY(const KeyPtr issuer_key, parse_key(ca_key_pem));
  const CertificatePtr certificate(X509_new());
  if (!certificate) return openssl_error("make a certificate");
  WB_CHECK(fill(certificate.get(), issuer.get(), subject_key, plan));
  if (X509_sign(certificate.get(), issuer_key.get(), EVP_sha256()) == 0) return openssl_error("sign a certificate");
  return certificate_to_pem(certificate.get());
}

std::string name_entry(const X509_NAME* name, int id) {
  const int index = X509_NAME_get_index_by_NID(name, id, -1);
  if (index < 0) return "";
  const ASN1_STRING* text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, index));
  unsigned char* utf8 = nullptr;
  const int size = ASN1_STRING_to_UTF8(&utf8, text);
  if (size < 0) return "";
  std::string result(reinterpret_cast<char*>(utf8), static_cast<size_t>(size));
  OPENSSL_free(utf8);
  return result;
}

int64_t unix_of(const ASN1_TIME* time) {
  const std::unique_ptr<ASN1_TIME, OpensslFree<ASN1_TIME_free>> epoch(ASN1_TIME_set(nullptr, 0));
  int days = 0;
  int seconds = 0;
  if (!epoch || ASN1_TIME_diff(&days, &seconds, epoch.get(), time) != 1) return 0;
  return int64_t{days} * kDaySeconds + seconds;
}

Result<RequestPtr> parse_csr(std::string_view der) {
  const auto* cursor = reinterpret_cast<const unsigned char*>(der.data());
  RequestPtr request(d2i_X509_REQ(nullptr, &cursor, static_cast<long>(der.size())));
  ERR_clear_error();
  const auto* end = reinterpret_cast<const unsigned char*>(der.data()) + der.size();
  if (!request || cursor != end) return fail(Code::kInvalid, "the signing request is not a PKCS#10 request in DER");
  const EVP_PKEY* key = X509_REQ_get0_pubkey(request.get());
  char group[32] = {};
  size_t group_size = 0;
  if (key == nullptr || EVP_PKEY_get_base_id(key) != EVP_PKEY_EC ||
      EVP_PKEY_get_group_name(key, group, sizeof group, &group_size) != 1 || std::string_view(group) != "prime256v1") {
    ERR_clear_error();
    return fail(Code::kInvalid, "the signing request's key is not a P-256 key");
  }
  if (X509_REQ_verify(request.get(), X509_REQ_get0_pubkey(request.get())) != 1) {
    ERR_clear_error();
    return fail(Code::kDenied, "the signing request is not signed by its own key");
  }
  return request;
}

Result<std::string> pin_of(X509* certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate, &der);
  if (size <= 0) return openssl_error("encode a certificate");
  const std::string digest = sha256_hex(std::string_view(reinterpret_cast<char*>(der), static_cast<size_t>(size)));
  OPENSSL_free(der);
  return digest.substr(0, 32);
}

}  // namespace

std::string random_bytes(size_t count) {
  std::string bytes(count, '\0');
  // Without entropy no secret may be made: there is nothing to fall back to.
  WB_ASSERT(RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(count)) == 1);
  return bytes;
}

std::string make_ed25519_seed() { return random_bytes(32); }

Result<std::string> make_p256_key_pem() {
  WB_TRY(const KeyPtr key, make_p256());
  return key_to_pem(key.get());
}

Result<std::string> make_csr_der(std::string_view key_pem, std::string_view common_name) {
  WB_TRY(const KeyPtr key, parse_key(key_pem));
  const RequestPtr request(X509_REQ_new());
  if (!request) return openssl_error("make a signing request");
  WB_CHECK(set_name(X509_REQ_get_subject_name(request.get()), "CN", common_name));
  if (X509_REQ_set_pubkey(request.get(), key.get()) != 1 || X509_REQ_sign(request.get(), key.get(), EVP_sha256()) == 0)
    return openssl_error("sign a signing request");
  unsigned char* der = nullptr;
  const int size = i2d_X509_REQ(request.get(), &der);
  if (size <= 0) return openssl_error("encode a signing request");
  std::string bytes(reinterpret_cast<char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  return bytes;
}

Result<CertificateFacts> read_certificate(std::string_view certificate_pem) {
  WB_TRY(const CertificatePtr certificate, parse_certificate(certificate_pem));
  const X509_NAME* name = X509_get_subject_name(certificate.get());
  CertificateFacts facts;
  facts.common_name = name_entry(name, NID_commonName);
  facts.unit = name_entry(name, NID_organizationalUnitName);
  const ASN1_INTEGER* serial = X509_get0_serialNumber(certificate.get());
  facts.serial = hex_encode(std::string_view(reinterpret_cast<const char*>(ASN1_STRING_get0_data(serial)),
                                             static_cast<size_t>(ASN1_STRING_length(serial))));
  facts.not_before = unix_of(X509_get0_notBefore(certificate.get()));
  facts.not_after = unix_of(X509_get0_notAfter(certificate.get()));
  return facts;
}

Status check_pair(std::string_view certificate_pem, std::string_view key_pem) {
  WB_TRY(const CertificatePtr certificate, parse_certificate(certificate_pem));
  WB_TRY(const KeyPtr key, parse_key(key_pem));
  const bool match = X509_check_private_key(certificate.get(), key.get()) == 1;
  ERR_clear_error();
  if (!match) return fail(Code::kInvalid, "the certificate and the private key do not belong together");
  return ok_status();
}

Result<std::string> certificate_pin(std::string_view certificate_pem) {
  WB_TRY(const CertificatePtr certificate, parse_certificate(certificate_pem));
  return pin_of(certificate.get());
}

Result<CertificateAuthority> CertificateAuthority::create(std::string_view name, int64_t now) {
  WB_TRY(const KeyPtr key, make_p256());
  const CertificatePtr certificate(X509_new());
  if (!certificate) return openssl_error("make a certificate");
  const Plan plan{name, "ca", now, kCaLifetimeSeconds, "keyCertSign,cRLSign", "", ""};
  WB_CHECK(fill(certificate.get(), certificate.get(), key.get(), plan));
  if (X509_sign(certificate.get(), key.get(), EVP_sha256()) == 0) return openssl_error("sign the CA");
  WB_TRY(std::string certificate_pem, certificate_to_pem(certificate.get()));
  WB_TRY(std::string key_pem, key_to_pem(key.get()));
  return load(std::move(certificate_pem), std::move(key_pem));
}

Result<CertificateAuthority> CertificateAuthority::load(std::string certificate_pem, std::string key_pem) {
  WB_TRY(const CertificatePtr certificate, parse_certificate(certificate_pem));
  WB_CHECK(check_pair(certificate_pem, key_pem));
  CertificateAuthority authority;
  WB_TRY(authority.pin_, pin_of(certificate.get()));
  authority.certificate_pem_ = std::move(certificate_pem);
  authority.key_pem_ = std::move(key_pem);
  return authority;
}

Result<Credential> CertificateAuthority::issue_server(const std::vector<std::string>& hosts, int64_t now) const {
  WB_TRY(const std::string alternatives, subject_alternatives(hosts));
  WB_TRY(const KeyPtr key, make_p256());
  const Plan plan{"waybill hub", "server", now, kServerLifetimeSeconds, "digitalSignature", "serverAuth", alternatives};
  Credential credential;
  WB_TRY(credential.certificate_pem, sign_new(certificate_pem_, key_pem_, key.get(), plan));
  WB_TRY(credential.key_pem, key_to_pem(key.get()));
  return credential;
}

Result<Credential> CertificateAuthority::issue_admin(std::string_view name, int64_t now) const {
  WB_TRY(const KeyPtr key, make_p256());
  const Plan plan{name, "admin", now, kAdminLifetimeSeconds, "digitalSignature", "clientAuth", ""};
  Credential credential;
  WB_TRY(credential.certificate_pem, sign_new(certificate_pem_, key_pem_, key.get(), plan));
  WB_TRY(credential.key_pem, key_to_pem(key.get()));
  return credential;
}

Result<std::string> CertificateAuthority::issue_node(std::string_view csr_der, std::string_view node_id,
                                                     int64_t now) const {
  WB_TRY(const RequestPtr request, parse_csr(csr_der));
  const Plan plan{node_id, "node", now, kNodeLifetimeSeconds, "digitalSignature", "clientAuth", ""};
  return sign_new(certificate_pem_, key_pem_, X509_REQ_get0_pubkey(request.get()), plan);
}

Status check_csr(std::string_view csr_der) {
  WB_TRY(const RequestPtr request, parse_csr(csr_der));
  return ok_status();
}

}  // namespace wb::world
