#pragma once
// A hub with somebody in it, for tests and fuzz targets that start from one: a publisher's key, a small release of
// "pump", a node that enrols with a token of its own.

#include <vector>

#include "base/signature.h"
#include "hub/api/hub.h"

namespace wb::hub {

inline const std::string kTestPublisher(32, 'k');  // seed of its key

inline Status trust_test_publisher(Hub& hub, Rows& rows, Moment now) {
  return hub.trust_key(rows, now, *ed25519_public_key(kTestPublisher), "ci", "ada");
}

inline Bytes test_release(const std::string& version) {
  wire::ReleaseContent content;
  content.manifest.set_name("pump");
  content.manifest.set_version(version);
  content.contents = {{"pipeline.yaml", "name: pump"}};
  return *wire::build_release(content, kTestPublisher);
}

struct TestEnrolment {
  wire::EnrolRequest request;
  wire::EnrolResponse response;
};
// At site=lyon; its certificate's serial is "serial-NAME".
inline TestEnrolment enrol_test_node(Hub& hub, Rows& rows, Moment now, const std::string& name) {
  const std::string secret = "secret-of-" + name + "-0123456789";
  WB_ASSERT(hub.create_token(rows, now, {secret, 1'000'000, {{"site", "lyon"}}, "ada"}).ok());
  TestEnrolment out;
  out.request.set_token(secret);
  out.request.set_csr_der("csr of " + name);
  out.request.set_node_name(name);
  const auto decided = hub.enrol(rows, now, out.request, std::string(16, 'e'));
  WB_ASSERT(decided.ok() && decided->issue);
  out.response = *hub.finish_enrolment(rows, now, *decided->issue, "serial-" + name, "cert", "ca");
  return out;
}

}  // namespace wb::hub
