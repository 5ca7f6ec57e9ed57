// The hub's HTTP surface as a function: any caller, method, path, query, header and body. It answers with a status and,
// if it refuses, with an error in its one shape; an error has written nothing.
#include <nlohmann/json.hpp>

#include "fuzz/fuzz.h"
#include "fuzz/hub_world.h"

using namespace wb;
using namespace wb::fuzz;

namespace {

hub::Caller caller_of(uint8_t which) {
  switch (which % 4) {
    case 0: return {hub::Caller::Kind::kAdmin, "ada", "01"};
    case 1: return {hub::Caller::Kind::kNode, "n1", "serial-n1"};
    case 2: return {hub::Caller::Kind::kNode, "unknown", "x"};
    default: return {};
  }
}
constexpr const char* kMethods[] = {"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"};

}  // namespace

WB_FUZZ_TARGET(hub_http) {
  Feed feed(bytes);
  MemoryRows rows;
  rows.restore(hub_rows());
  hub::Hub hub{hub::HubConfig{}};
  for (int i = 0; i < 4 && (i == 0 || !feed.empty()); ++i) {
    const hub::Caller caller = caller_of(feed.byte());
    hub::Request request;
    request.method = kMethods[feed.byte() % std::size(kMethods)];
    request.path = feed.text();
    request.query = feed.text();
    const std::string key(feed.text());
    if (!key.empty()) request.headers["idempotency-key"] = key;
    const std::string range(feed.text());
    if (!range.empty()) request.headers["range"] = range;
    request.body = feed.text();
    request.entropy = std::string(32, static_cast<char>('a' + i));
    const auto before = rows.snapshot();
    const hub::Response response = hub::handle(hub, rows, kHubNow, caller, request);
    WB_HOLDS(response.status >= 200 && response.status < 600, request.path);
    if (response.status < 400) {
      if (response.issue) (void)hub::finish_enrol(hub, rows, kHubNow, *response.issue, "s", "cert", "ca");
      continue;
    }
    WB_HOLDS(rows.snapshot() == before, "an error wrote something: " + response.body);
    const auto body = nlohmann::json::parse(response.body, nullptr, false);
    WB_HOLDS(body.is_object() && body["error"]["message"].is_string(), response.body);
  }
}

WB_FUZZ_SEEDS(hub_http) {
  const auto seed = [&](uint8_t caller, uint8_t method, std::string_view path, std::string_view query,
                        std::string_view body) {
    put(FeedWriter()
            .byte(caller)
            .byte(method)
            .text(path)
            .text(query)
            .text(method == 1 ? "key" : "")
            .text("")
            .text(body)
            .bytes());
  };
  for (const char* path :
       {"/v1/nodes", "/v1/nodes/n1", "/v1/releases", "/v1/rollouts/r1", "/v1/fleet", "/v1/track/node/n1",
        "/v1/datasets", "/v1/audit", "/v1/keys", "/metrics", "/ping", "/v1/track/n1", "/v1/n%6Fdes/%00"})
    seed(0, 0, path, "", "");
  seed(0, 0, "/v1/datasets/pump", "format=csv&since=7d&limit=10&until=2026-11-23T14%3A00%3A00Z", "");
  seed(0, 0, "/v1/audit", "after=0&limit=5", "");
  seed(0, 1, "/v1/tokens", "", R"({"lifetime": "5m", "labels": {"site": "lyon"}})");
  seed(0, 1, "/v1/rollouts", "",
       R"({"release":"pump@1","selector":"site=lyon","waves":[1,50,100],"dark_after":"15m","supersede":true})");
  seed(0, 1, "/v1/rollouts/r1/abort", "", R"({"roll_back": true})");
  seed(0, 1, "/v1/rollouts/plan", "", R"({"release":"pump@1"})");
  seed(0, 4, "/v1/nodes/n1/labels", "", R"({"site": null, "x": "y"})");
  seed(0, 1, "/v1/nodes/n1/labels", "", R"({"labels": {"site": null, "x": "y"}})");
  seed(0, 1, "/v1/nodes/n2/revoke", "", "{}");
  seed(0, 1, "/v1/keys", "",
       R"({"name": "x", "public_key": "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"})");
  seed(0, 1, "/v1/releases", "", hub_release_artifact());
  seed(1, 0, "/v1/artifacts/" + hub_release_digest(), "offset=0&length=10", "");
  seed(1, 1, "/v1/exchange", "", wire::encode(hub_report()));
  wire::EnrolRequest enrol;
  enrol.set_token("an-unused-token-0123");
  enrol.set_csr_der("csr");
  enrol.set_node_name("n3");
  seed(3, 1, "/v1/enrol", "", wire::encode(enrol));
  seed(1, 1, "/v1/renew", "", wire::encode(enrol));
}
