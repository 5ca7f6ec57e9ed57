#include "fuzz/hub_world.h"

#include "base/checksum.h"
#include "hub/api/test_hub.h"

namespace wb::fuzz {
namespace {

MemoryRows::Snapshot make() {
  MemoryRows rows;
  hub::Hub hub{hub::HubConfig{}};
  WB_ASSERT(hub::trust_test_publisher(hub, rows, kHubNow).ok());
  for (const char* node : {"n1", "n2"}) (void)hub::enrol_test_node(hub, rows, kHubNow, node);
  WB_ASSERT(hub.create_token(rows, kHubNow, {"an-unused-token-0123", 1'000'000, {}, "ada"}).ok());
  WB_ASSERT(hub.push_release(rows, kHubNow, hub_release_artifact(), "ada").ok());
  WB_ASSERT(hub.exchange(rows, kHubNow, "n1", hub_report(), "serial-n1").ok());
  hub::Hub::RolloutSpec spec;
  spec.release = "pump@1";
  spec.selector = "site=lyon";
  spec.actor = "ada";
  WB_ASSERT(hub.start_rollout(rows, kHubNow, spec).ok());
  for (const char* node : {"n1", "n2"})
    WB_ASSERT(hub.exchange(rows, kHubNow, node, hub_report(), std::string("serial-") + node).ok());
  hub.tick(rows, Moment{{12 * kNsPerSecond}, kHubNow.unix_ms + 2'000});
  return rows.snapshot();
}

}  // namespace

const MemoryRows::Snapshot& hub_rows() {
  static const MemoryRows::Snapshot kRows = make();
  return kRows;
}

const std::string& hub_release_artifact() {
  static const std::string kArtifact = hub::test_release("1");
  return kArtifact;
}

const std::string& hub_release_digest() {
  static const std::string kDigest = sha256_hex(hub_release_artifact());
  return kDigest;
}

wire::ExchangeRequest hub_report() {
  wire::ExchangeRequest request;
  request.set_incarnation(std::string(16, 'i'));
  (*request.mutable_labels())["line"] = "a";
  wire::Reported& reported = *request.mutable_reported();
  reported.set_running_digest(hub_release_digest());
  reported.set_phase(wire::DEPLOY_COMMITTED);
  reported.mutable_running_sketch()->add_labels("good");
  reported.mutable_running_sketch()->add_label_counts(3);
  request.mutable_counters()->set_records_in(9);
  const Schema schema{{{"x", ColumnType::kNumber}, {"s", ColumnType::kText}}};
  *request.add_schemas() = wire::to_wire(schema);
  wire::StreamUp& stream = *request.add_streams();
  stream.set_lane(2);
  stream.set_through_seq(2);
  for (const uint64_t seq : {1, 2}) {
    wire::RecordUp& record = *stream.add_records();
    record.set_seq(seq);
    record.set_pipeline("pump");
    record.set_schema(schema.id());
    record.set_inclusion_probability(0.5);
    record.set_rule(4);
    record.add_numbers(1.5);
    record.add_texts("t");
  }
  return request;
}

}  // namespace wb::fuzz
