// Signing requests, certificates and keys from outside: DER and PEM. A request that is accepted gets a certificate that
// reads back with the name that the hub decided, whatever the request said.
#include "world/pki.h"

#include "fuzz/fuzz.h"

using namespace wb;

namespace {

constexpr int64_t kNow = 1'700'000'000;

// Made anew in every process: what is issued differs from run to run, whether it is issued does not.
const world::CertificateAuthority& authority() {
  static const world::CertificateAuthority kAuthority = *world::CertificateAuthority::create("ca", kNow);
  return kAuthority;
}

}  // namespace

WB_FUZZ_TARGET(pki) {
  fuzz::Feed feed(bytes);
  const uint8_t choice = feed.byte() % 3;
  if (choice == 0) {
    const std::string_view der = feed.rest();
    const Status checked = world::check_csr(der);
    if (!checked.ok()) return;
    const auto issued = authority().issue_node(der, "node-1", kNow);
    WB_HOLDS(issued.ok(), issued.ok() ? "" : issued.error().text);
    const auto facts = world::read_certificate(*issued);
    WB_HOLDS(facts.ok() && facts->common_name == "node-1" && facts->unit == "node",
             "another name than the hub decided");
    return;
  }
  const std::string_view pem = choice == 1 ? feed.rest() : feed.text();
  (void)world::read_certificate(pem);
  (void)world::certificate_pin(pem);
  const std::string_view key = feed.rest();
  (void)world::check_pair(pem, key);
  (void)world::make_csr_der(choice == 1 ? pem : key, "name");
  (void)world::CertificateAuthority::load(std::string(pem), std::string(key));
}

WB_FUZZ_SEEDS(pki) {
  const std::string key = *world::make_p256_key_pem();
  const std::string csr = *world::make_csr_der(key, "gw-1");
  put(fuzz::FeedWriter().byte(0).rest(csr).bytes());
  put(fuzz::FeedWriter().byte(1).rest(*authority().issue_node(csr, "n", kNow)).bytes());
  put(fuzz::FeedWriter().byte(1).rest(key).bytes());
  put(fuzz::FeedWriter().byte(2).text(authority().certificate_pem()).rest(authority().key_pem()).bytes());
}
