// One reading followed through every folder, as text. tests/journey/journey.golden.txt is the first thing to read here:
// this test makes that text anew from the real modules and compares. WB_GOLDEN=write rewrites it.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/memory_rows.h"
#include "base/signature.h"
#include "edge/agent/agent.h"
#include "hub/api/http.h"
#include "sim/releases.h"
#include "world/yaml.h"

namespace wb {
namespace {

constexpr int64_t kNoonMs = 1'795'262'400'000;  // 2026-11-21T12:00:00Z

class Journey : public testing::Test {
 protected:
  void stop(const std::string& folder, const std::string& what) { text_ += "\n== " + folder + "\n   " + what + "\n"; }
  void line(const std::string& name, const std::string& value) {
    text_ += "   " + name + std::string(name.size() < 12 ? 12 - name.size() : 1, ' ') + value + "\n";
  }
  std::string text_ = "One reading, followed through every folder. Each stop says what comes in and what goes out.\n";
  const Moment now_{Instant{kNsPerSecond}, kNoonMs};
};

constexpr const char* kPipeline =
    "name: pump\n"
    "schema:\n"
    "  - {name: heat, type: number}\n"
    "  - {name: spin, type: number}\n"
    "event_time: at\n"
    "source:\n"
    "  - http: {path: /v1/records}\n"
    "transforms:\n"
    "  - derive: {fields: {power: \"heat * spin / 1000\"}}\n"
    "infer: {model: main}\n"
    "sync:\n"
    "  budget: 64KiB\n"
    "  rules:\n"
    "    - anomaly: {normal: ok}\n"
    "    - sample: {rate: 0.1}\n";

TEST_F(Journey, OneReadingThroughEveryFolder) {
  const Bytes artifact = sim::make_release(sim::Kind::kGood, "1").value();
  const wire::Release release = wire::inspect_release(artifact).value();
  const Document document = world::parse_yaml(kPipeline, "pump.yaml", world::no_env()).value();
  Problems problems;
  const std::vector<BlobView> blobs{{"model/main", *release.find("model/main")}};
  Pipeline pipeline = Pipeline::build(document, blobs, {"gw-017", release.digest, 1, false}, problems).value();

  const std::string body = "{\"at\":\"2026-11-21T11:59:58Z\",\"heat\":97.5,\"spin\":240}\n";
  source::Parser parser(pipeline.parser_config(source::Format::kNdjson));
  const source::ParseOutcome parsed = parser.parse(body, now_.unix_ms);
  ASSERT_EQ(parsed.batch.rows_count(), 1U);
  stop("edge/source", "Bytes from the world become a batch: columns with one schema. The socket is in world/.");
  line("in", std::string(trim(body)));
  line("out", parsed.batch.row_text(0) + "   event time " + std::to_string(parsed.batch.event_time_ms[0]));
  line("schema", parsed.batch.schema.id());

  const auto explained = pipeline.explain(parsed.batch, now_.unix_ms);
  ASSERT_EQ(explained.size(), 1U);
  stop("edge/transform", "The batch becomes features. Each step is a component of the pipeline file.");
  line("out", explained[0].row);
  stop("edge/infer", "Features become an answer with a confidence, and how unlike the training data they are.");
  line("out", explained[0].verdict);
  stop("edge/route", "Act here, send, or keep nothing: and why. The draw depends on the record alone.");
  line("out", explained[0].decision);

  PipelineOutcome outcome = pipeline.run(parsed.batch, now_.unix_ms);
  ASSERT_EQ(outcome.offers.size(), 1U);
  const wire::RecordUp waybill = wire::decode_record([&] {
                                   wire::RecordUp record;
                                   EXPECT_TRUE(record.ParseFromString(outcome.offers[0].record));
                                   record.set_seq(1);
                                   return wire::encode(record);
                                 }())
                                     .value();
  line("waybill", "rule " + std::string(rule_name(static_cast<Rule>(waybill.rule()))) + ", inclusion probability " +
                      shortest(waybill.inclusion_probability()) + ", release " + waybill.release().substr(0, 12) + "…");

  auto opened = outbox::Outbox::open({.budget_bytes_per_day = 64U << 10}, {}, now_.mono).value();
  outbox::Outbox box = std::move(opened.outbox);
  std::vector<StoreOp> ops;
  box.offer(now_.mono, std::move(outcome.offers), ops);
  stop("edge/outbox", "What is worth keeping waits on this device, durable before anybody is told \"accepted\".");
  std::string row_value;
  for (const StoreOp& op : ops) {
    if (op.table != NodeTable::kRecords) continue;
    row_value = op.value;
    line("row", "key " + hex_encode(op.key) + " (lane, sequence), " + std::to_string(op.value.size()) +
                    " bytes: head " + std::to_string(op.value.size() - outbox::Outbox::record_of(op.value)->size()) +
                    " + record");
  }
  const outbox::LaneCounts live = box.view(now_.mono).lanes[static_cast<size_t>(Lane::kLive) - 1];
  line("lane live", "produced " + std::to_string(live.produced) + " = effected " + std::to_string(live.effected) +
                        " + waiting " + std::to_string(live.waiting) + " + evicted " + std::to_string(live.evicted) +
                        " + lost " + std::to_string(live.lost));

  ops.clear();
  const outbox::Plan plan = box.plan(now_.mono, {}, ops);
  ASSERT_EQ(plan.lanes.size(), 1U);
  wire::ExchangeRequest request;
  request.set_protocol(limits::kProtocol);
  request.set_incarnation(std::string(16, '\x11'));
  request.set_boot(1);
  *request.add_schemas() = wire::to_wire(pipeline.record_schema());
  const auto& lane = plan.lanes[0];
  sync::build_streams({{lane.lane,
                        lane.after_seq,
                        lane.through_seq,
                        lane.evicted_count,
                        lane.lost_count,
                        {{lane.records[0].seq, lane.records[0].thinning, *outbox::Outbox::record_of(row_value)}}}},
                      request);
  stop("edge/sync",
       "One exchange a contact carries everything. The range says which sequence numbers it accounts for.");
  line("out", "lane " + std::string(lane_name(lane.lane)) + ", after " + std::to_string(lane.after_seq) + " through " +
                  std::to_string(lane.through_seq) + ", " + std::to_string(request.streams(0).records_size()) +
                  " record, thinning " + shortest(lane.records[0].thinning) + "; " +
                  std::to_string(wire::encode(request).size()) + " bytes in all");

  // ---- the hub
  MemoryRows rows;
  hub::Hub hub({});
  ASSERT_TRUE(hub.create_token(rows, now_, {"a-secret-of-sixteen-bytes", 60'000, {{"site", "lyon"}}, "mei"}).ok());
  wire::EnrolRequest enrolment;
  enrolment.set_token("a-secret-of-sixteen-bytes");
  enrolment.set_csr_der("certificate request");
  enrolment.set_node_name("gw-017");
  const auto asked = hub.enrol(rows, now_, enrolment, std::string(16, 'e')).value();
  ASSERT_TRUE(hub.finish_enrolment(rows, now_, *asked.issue, "", "certificate", "authority").ok());
  const auto answer = hub.exchange(rows, now_, "gw-017", request).value().response;
  const auto again = hub.exchange(rows, now_, "gw-017", request).value().response;
  stop("hub/ingest", "Exactly one effect per (node, incarnation, lane, sequence), durable before it is acknowledged.");
  line("out", "ack: lane live through " + std::to_string(answer.acks(0).through_seq()));
  line("again",
       "the same request once more: ack through " + std::to_string(again.acks(0).through_seq()) + ", no second effect");
  ops.clear();
  box.acked(lane.lane, answer.acks(0).through_seq(), ops);
  line("node", "waiting after the ack: " + std::to_string(box.view(now_.mono).waiting_count));

  const hub::Caller admin{hub::Caller::Kind::kAdmin, "mei", ""};
  const auto get = [&](const std::string& path, const std::string& query) {
    return handle(hub, rows, now_, admin, {"GET", path, query, {}, {}, std::string(32, 'x')});
  };
  stop("hub/telemetry", "What nodes say of themselves, with its age; and the records that came back, as a dataset.");
  const hub::Response dataset = get("/v1/datasets/pump", "format=csv");
  ASSERT_EQ(dataset.status, 200) << dataset.body;
  std::istringstream csv(dataset.body);
  for (std::string csv_line; std::getline(csv, csv_line);) line("csv", csv_line);

  const std::string key = ed25519_public_key(sim::publisher_seed()).value();
  ASSERT_TRUE(hub.trust_key(rows, now_, key, "publisher", "mei").ok());
  const auto pushed = hub.push_release(rows, now_, artifact, "mei").value();
  stop("hub/registry", "Nodes, tokens, and releases: signed, content-addressed, never changed.");
  line("release", pushed.name() + "@" + pushed.version() + ", " + std::to_string(pushed.size_bytes()) +
                      " bytes, digest " + pushed.digest().substr(0, 12) + "…, signed by key " +
                      wire::key_id(key).substr(0, 8) + "…");

  const auto rollout =
      hub.start_rollout(rows, now_,
                        {.release = "pump@1", .selector = "site=lyon", .waves_percent = {50, 100}, .actor = "mei"})
          .value();
  stop("hub/rollout", "A selector becomes waves; each wave has a gate; what nodes report moves it.");
  line("rollout", rollout.id() + ": " + rollout.name() + " to '" + rollout.selector() + "', " +
                      std::to_string(rollout.matching()) + " node matches");

  request.clear_streams();
  request.clear_schemas();
  const auto told = hub.exchange(rows, now_, "gw-017", request).value().response;
  stop("hub/dispatch", "What this node is told: one assignment, with a generation that only rises.");
  line("desired", "generation " + std::to_string(told.desired().generation()) + ": " + told.desired().name() + ", " +
                      std::to_string(told.desired().size_bytes()) + " bytes");

  stop("edge/deploy",
       "Desired → fetched → verified → probation → committed, or taken back. Decided here, journalled first.");
  deploy::Config config;
  config.trusted_keys = {key};
  deploy::Deploy deploy = deploy::Deploy::open(config, {}, {}, Prng(1));
  std::vector<deploy::Effect> todo;
  const auto tell = [&](const deploy::Event& event) {
    for (deploy::Effect& effect : deploy.step(now_, event).effects) todo.push_back(std::move(effect));
  };
  tell(deploy::Opened{});
  tell(deploy::DesiredSeen{told.desired()});
  bool shadowed = false;
  for (size_t i = 0; i < todo.size() && i < 100; ++i) {
    const deploy::Effect effect = todo[i];
    if (const auto* store = std::get_if<deploy::Store>(&effect)) {
      line("journal", "ticket " + std::to_string(store->ticket) + " is durable");
      tell(deploy::Stored{store->ticket});
    } else if (const auto* fetch = std::get_if<deploy::FetchRange>(&effect)) {
      line("fetch", "bytes " + std::to_string(fetch->offset) + " to " + std::to_string(fetch->offset + fetch->length));
      tell(deploy::Fetched{fetch->digest, fetch->offset, artifact.substr(fetch->offset, fetch->length)});
    } else if (const auto* write = std::get_if<deploy::WriteSlot>(&effect)) {
      tell(deploy::SlotWritten{write->digest, write->offset + write->bytes.size()});
    } else if (const auto* seal = std::get_if<deploy::SealSlot>(&effect)) {
      tell(deploy::SlotSealed{seal->digest});
    } else if (const auto* read = std::get_if<deploy::ReadSlot>(&effect)) {
      line("verify", "length, SHA-256, signature, structure, and the self-test bit for bit");
      tell(deploy::SlotRead{read->digest, artifact});
    } else if (const auto* load = std::get_if<deploy::LoadCandidate>(&effect)) {
      line("probation", load->release.full_name() + " is tried on this node's own data");
      shadowed = true;
      tell(deploy::Loaded{load->release.digest, true, {}});
    } else if (const auto* promote = std::get_if<deploy::Promote>(&effect)) {
      line("promote", promote->digest.substr(0, 12) + "…");
    }
  }
  EXPECT_TRUE(shadowed);
  line("phase", deploy.view().phase == wire::DEPLOY_PROBATION ? "probation: from here on its own answers decide" : "?");

  const std::string path = std::string(WB_SOURCE_DIR) + "/tests/journey/journey.golden.txt";
  if (std::getenv("WB_GOLDEN") != nullptr) std::ofstream(path) << text_;
  std::ifstream file(path);
  std::stringstream golden;
  golden << file.rdbuf();
  EXPECT_EQ(text_, golden.str()) << "if the change is meant: WB_GOLDEN=write and read the difference";
}

}  // namespace
}  // namespace wb
