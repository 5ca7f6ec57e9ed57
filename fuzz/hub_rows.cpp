// A hub opened over tables that hold anything. It answers every call, with whatever it can make of the rows, and never
// crashes: a damaged row costs what it says, not the fleet.
#include "fuzz/fuzz.h"
#include "fuzz/hub_world.h"
#include "hub/api/audit.h"
#include "hub/api/dataset.h"

using namespace wb;
using namespace wb::fuzz;

namespace {

constexpr uint8_t kTablesCount = 13;

// Rows that are put over those of a good hub: which row of it (or, past its end, any table and key), then its value.
void damage(Feed& feed, MemoryRows& rows) {
  std::vector<std::pair<Table, std::string>> keys;
  for (const auto& [key, value] : hub_rows()) keys.push_back(key);
  for (size_t i = 0; i < 64 && !feed.empty(); ++i) {
    const uint8_t which = feed.byte();
    if (which == 0xFF) return;
    if (which < keys.size()) {
      const std::string_view value = feed.text();
      if (value.empty())
        rows.erase(keys[which].first, keys[which].second);
      else
        rows.put(keys[which].first, keys[which].second, value);
      continue;
    }
    const auto table = static_cast<Table>(1 + feed.byte() % kTablesCount);
    const std::string key(feed.text());
    rows.put(table, key, feed.text());
  }
}

hub::Response ask(hub::Hub& hub, Rows& rows, Moment now, const std::string& method, const std::string& path,
                  const std::string& query = "", const std::string& body = "") {
  const hub::Request request{method, path, query, {{"idempotency-key", "k"}}, body, std::string(32, 'e')};
  const auto response = hub::handle(hub, rows, now, {hub::Caller::Kind::kAdmin, "ada", "01"}, request);
  WB_HOLDS(response.status >= 200 && response.status < 600, path);
  return response;
}

}  // namespace

WB_FUZZ_TARGET(hub_rows) {
  Feed feed(bytes);
  MemoryRows rows;
  rows.restore(hub_rows());
  const Moment now{{feed.byte() * 60 * kNsPerSecond}, kHubNow.unix_ms + static_cast<int64_t>(feed.number(4))};
  const uint8_t choice = feed.byte();
  damage(feed, rows);
  hub::Hub hub{hub::HubConfig{}};
  hub.tick(rows, Moment{{0}, kHubNow.unix_ms});
  for (const char* node : {"n1", "n2"}) {
    (void)hub.exchange(rows, now, node, hub_report(), "");
    (void)hub.resume(rows, now, node);
  }
  hub.tick(rows, now);
  (void)hub.take_wakes();
  const std::string& digest = hub_release_digest();
  for (const char* path : {"/v1/nodes", "/v1/nodes/n1", "/v1/releases", "/v1/releases/pump@1", "/v1/rollouts",
                           "/v1/rollouts/r1", "/v1/fleet", "/v1/track/node/n1", "/v1/track/release/pump@1",
                           "/v1/datasets", "/v1/audit", "/v1/keys", "/v1/tokens", "/metrics", "/ready"})
    (void)ask(hub, rows, now, "GET", path);
  (void)ask(hub, rows, now, "GET", "/v1/artifacts/" + digest);
  (void)ask(hub, rows, now, "GET", "/v1/datasets/pump", "format=csv");
  (void)ask(hub, rows, now, "GET", "/v1/datasets/pump", "format=ndjson");
  hub::DatasetQuery query;
  query.pipeline = "pump";
  query.format = hub::DatasetQuery::Format::kCsv;
  query.dead_letters = (choice & 1U) != 0;
  (void)hub::export_page(rows, query);
  (void)hub.read_artifact(rows, digest, choice, 1U << 20);
  (void)hub.push_release(rows, now, hub_release_artifact(), "ada");
  (void)hub.set_labels(rows, now, "n1", {{"site", "oslo"}}, "ada");
  constexpr hub::Hub::RolloutCommand kCommands[] = {
      hub::Hub::RolloutCommand::kPause, hub::Hub::RolloutCommand::kResume, hub::Hub::RolloutCommand::kPromote,
      hub::Hub::RolloutCommand::kAbort, hub::Hub::RolloutCommand::kAbortAndRollBack};
  (void)hub.command_rollout(rows, now, "r1", kCommands[choice % std::size(kCommands)], "ada");
  hub::Hub::RolloutSpec spec;
  spec.release = "pump@1";
  spec.supersede = (choice & 2U) != 0;
  spec.actor = "ada";
  (void)hub.plan_rollout(rows, now, spec);
  (void)hub.start_rollout(rows, now, spec);
  (void)hub.revoke_node(rows, now, "n2", "ada");
  (void)hub::first_broken_audit(rows);
  wire::EnrolRequest enrol;
  enrol.set_token("an-unused-token-0123");
  enrol.set_csr_der("csr");
  enrol.set_node_name("n1");
  (void)hub.enrol(rows, now, enrol, std::string(16, 'x'));
}

WB_FUZZ_SEEDS(hub_rows) {
  // Each row of the hub as it is, a few at a time, so that mutation starts from the real messages.
  const auto& rows = hub_rows();
  uint8_t at = 0;
  FeedWriter out;
  out.byte(1).number(1'000, 4).byte(0);
  for (const auto& [key, value] : rows) {
    out.byte(at++).text(value);
    if (at % 4 != 0 && at < rows.size()) continue;
    put(out.bytes());
    out = FeedWriter();
    out.byte(at).number(at * 100'000ULL, 4).byte(at);
  }
}
