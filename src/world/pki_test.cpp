#include "world/pki.h"

#include <gtest/gtest.h>

#include "base/signature.h"
#include "world/openssl_guard.h"

namespace wb::world {
namespace {

constexpr int64_t kNow = 1'800'000'000;

// Whether OpenSSL accepts `leaf` for `purpose` at `now` with only `ca` trusted.
bool verifies(const std::string& leaf, const std::string& ca, int purpose, int64_t now) {
  const CertificatePtr certificate = parse_certificate(leaf).value();
  const CertificatePtr root = parse_certificate(ca).value();
  const std::unique_ptr<X509_STORE, OpensslFree<X509_STORE_free>> store(X509_STORE_new());
  X509_STORE_add_cert(store.get(), root.get());
  const std::unique_ptr<X509_STORE_CTX, OpensslFree<X509_STORE_CTX_free>> context(X509_STORE_CTX_new());
  X509_STORE_CTX_init(context.get(), store.get(), certificate.get(), nullptr);
  X509_STORE_CTX_set_purpose(context.get(), purpose);
  X509_STORE_CTX_set_time(context.get(), 0, static_cast<time_t>(now));
  return X509_verify_cert(context.get()) == 1;
}

TEST(Pki, IssuesWhatOpensslAccepts) {
  const auto ca = CertificateAuthority::create("test hub", kNow).value();
  const auto server = ca.issue_server({"hub.local", "10.0.0.5"}, kNow).value();
  EXPECT_TRUE(verifies(server.certificate_pem, ca.certificate_pem(), X509_PURPOSE_SSL_SERVER, kNow));
  EXPECT_FALSE(verifies(server.certificate_pem, ca.certificate_pem(), X509_PURPOSE_SSL_CLIENT, kNow));
  const CertificatePtr certificate = parse_certificate(server.certificate_pem).value();
  for (const char* host : {"hub.local", "localhost"})
    EXPECT_EQ(X509_check_host(certificate.get(), host, 0, 0, nullptr), 1) << host;
  for (const char* address : {"10.0.0.5", "127.0.0.1", "::1"})
    EXPECT_EQ(X509_check_ip_asc(certificate.get(), address, 0), 1) << address;
  EXPECT_EQ(X509_check_host(certificate.get(), "evil.example", 0, 0, nullptr), 0);
  const auto admin = ca.issue_admin("admin", kNow).value();
  EXPECT_TRUE(verifies(admin.certificate_pem, ca.certificate_pem(), X509_PURPOSE_SSL_CLIENT, kNow));
  EXPECT_EQ(read_certificate(admin.certificate_pem)->unit, "admin");
}

// I1: the node keeps its key; only the request travels, and the hub decides the name.
TEST(Pki, NodeCertificateTakesOnlyThePublicKey) {
  const auto ca = CertificateAuthority::create("test hub", kNow).value();
  const std::string key = make_p256_key_pem().value();
  const std::string csr = make_csr_der(key, "i-would-like-to-be-admin").value();
  const std::string pem = ca.issue_node(csr, "gw-017", kNow).value();
  const CertificateFacts facts = read_certificate(pem).value();
  EXPECT_EQ(facts.common_name, "gw-017");
  EXPECT_EQ(facts.unit, "node");
  EXPECT_EQ(facts.not_after, kNow + kNodeLifetimeSeconds);
  EXPECT_EQ(facts.not_before, kNow - kClockSkewSeconds);
  EXPECT_EQ(facts.serial.size(), 32U);
  EXPECT_TRUE(verifies(pem, ca.certificate_pem(), X509_PURPOSE_SSL_CLIENT, kNow));
  EXPECT_FALSE(verifies(pem, ca.certificate_pem(), X509_PURPOSE_SSL_SERVER, kNow));
  EXPECT_FALSE(verifies(pem, ca.certificate_pem(), X509_PURPOSE_SSL_CLIENT, kNow + kNodeLifetimeSeconds + 1));
  EXPECT_EQ(X509_check_private_key(parse_certificate(pem)->get(), parse_key(key)->get()), 1);
}

TEST(Pki, RefusesARequestWithoutProofOfPossession) {
  const auto ca = CertificateAuthority::create("test hub", kNow).value();
  const std::string good = make_csr_der(make_p256_key_pem().value(), "n").value();
  EXPECT_TRUE(check_csr(good).ok());
  size_t refused_count = 0;
  for (size_t i = 0; i < good.size(); ++i) {  // whichever byte is changed
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x01);
    refused_count += !ca.issue_node(bad, "n", kNow).ok();
  }
  EXPECT_EQ(refused_count, good.size());
  for (size_t size = 0; size < good.size(); ++size) EXPECT_FALSE(check_csr(good.substr(0, size)).ok());
  EXPECT_FALSE(check_csr(good + "x").ok());

  const KeyPtr p384(EVP_EC_gen("P-384"));
  const BioPtr bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PrivateKey(bio.get(), p384.get(), nullptr, nullptr, 0, nullptr, nullptr);
  const auto wrong_curve = ca.issue_node(make_csr_der(bio_text(bio.get()), "n").value(), "n", kNow);
  ASSERT_FALSE(wrong_curve.ok());
  EXPECT_NE(wrong_curve.error().text.find("P-256"), std::string::npos);
}

TEST(Pki, ForeignAuthorityIsNotOurs) {
  const auto ours = CertificateAuthority::create("test hub", kNow).value();
  const auto other = CertificateAuthority::create("test hub", kNow).value();
  EXPECT_NE(ours.pin(), other.pin());
  EXPECT_EQ(ours.pin(), certificate_pin(ours.certificate_pem()).value());
  EXPECT_EQ(ours.pin().size(), 32U);
  EXPECT_FALSE(
      verifies(other.issue_admin("a", kNow)->certificate_pem, ours.certificate_pem(), X509_PURPOSE_SSL_CLIENT, kNow));
  EXPECT_FALSE(CertificateAuthority::load(ours.certificate_pem(), other.key_pem()).ok());
  EXPECT_TRUE(CertificateAuthority::load(ours.certificate_pem(), ours.key_pem()).ok());
}

TEST(Pki, RefusesNamesThatWouldBecomeSyntax) {
  const auto ca = CertificateAuthority::create("test hub", kNow).value();
  for (const char* host : {"", "a,DNS:evil.example", "a b", "x:y,z", "dirName:sect", "\n"})
    EXPECT_FALSE(ca.issue_server({host}, kNow).ok()) << host;
  const std::string csr = make_csr_der(make_p256_key_pem().value(), "n").value();
  EXPECT_FALSE(ca.issue_node(csr, "", kNow).ok());
  EXPECT_FALSE(ca.issue_node(csr, std::string(65, 'x'), kNow).ok());
}

TEST(Pki, SecretsDiffer) {
  EXPECT_NE(random_bytes(16), random_bytes(16));
  EXPECT_TRUE(ed25519_public_key(make_ed25519_seed()).ok());
}

}  // namespace
}  // namespace wb::world
