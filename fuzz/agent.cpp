// A whole node over whatever its store holds: outbox, deploy journal, identity, counters, schemas, positions, slot
// files. It starts, comes to rest, and every request that it puts on the air is one that a hub takes: a row that a hub
// would refuse must not hold up all that stand behind it. The hub's answers are the input's too.
#include <map>

#include "base/checksum.h"
#include "edge/agent/agent.h"
#include "edge/agent/test_documents.h"
#include "fuzz/fuzz.h"

using namespace wb;

namespace {

using Store = std::map<std::pair<NodeTable, std::string>, std::string>;

constexpr std::string_view kStateKeys[] = {"outbox/counters",
                                           "outbox/budget",
                                           "outbox/thresholds/0",
                                           "outbox/thresholds/1",
                                           "outbox/thresholds/2",
                                           "outbox/sent/1",
                                           "outbox/sent/2",
                                           "outbox/sent/3",
                                           "outbox/sent/4",
                                           "deploy/desired",
                                           "deploy/committed",
                                           "deploy/previous",
                                           "deploy/candidate",
                                           "deploy/quarantine",
                                           "agent/incarnation",
                                           "agent/boot",
                                           "agent/seed",
                                           "agent/counters",
                                           "schema/",
                                           "source/file:x"};
constexpr int kRoundsMax = 400;

class Node {
 public:
  Node(Store store, fuzz::Feed& feed, bool local) : store_(std::move(store)), feed_(feed), local_(local) {}

  void live() {
    AgentConfig config;
    config.node_id = "node-1";
    config.read_document = [](std::string_view field) -> Result<Document> {
      return test_pipeline("pump", std::string(field));
    };
    config.deploy.trusted_keys = {*ed25519_public_key(kTestPublisher)};
    config.outbox.bytes_max = outbox::kBytesMin;
    std::optional<LocalPipeline> local;
    if (local_) local = LocalPipeline{test_pipeline("pump", "v"), {}};
    slots_[sha256_hex(artifact())] = artifact();
    std::vector<deploy::SlotFile> files;
    for (const auto& [digest, bytes] : slots_) files.push_back({digest, bytes.size(), true});
    files.push_back({"no digest", 1, false});
    auto opened = Agent::open(config, found(), files, Prng(1), local);
    WB_HOLDS(opened.ok(), opened.ok() ? "" : opened.error().text);  // Q5: content never stops a start
    agent_.emplace(std::move(opened).value());
    events_.emplace_back(agent::Opened{});
    now_.unix_ms = 1'700'000'000'000;
    for (int round = 0; round < kRoundsMax; ++round) {
      if (events_.empty()) {
        if (wake_at_ == kNever || now_.mono.ns > 3'600 * kNsPerSecond) return;
        now_.mono = std::max(now_.mono, wake_at_);
        events_.emplace_back(agent::Wake{});
      }
      agent::Event event = std::move(events_.front());
      events_.erase(events_.begin());
      take(agent_->step(now_, std::move(event)));
    }
  }
  static const Bytes& artifact() {
    static const Bytes kArtifact = test_release("1", "v");
    return kArtifact;
  }

 private:
  StoredState found() const {
    StoredState out;
    for (const auto& [key, value] : store_) {
      StoredRow row{key.first, key.second, value, static_cast<uint32_t>(value.size())};
      if (row.table == NodeTable::kRecords) row.value.resize(std::min<size_t>(row.value.size(), kRecordHeadBytes));
      out.rows.push_back(std::move(row));
    }
    return out;
  }
  void take(Step<agent::Effect>&& step) {
    wake_at_ = step.wake_at;
    for (agent::Effect& effect : step.effects)
      std::visit([this](auto&& one) { perform(std::move(one)); }, std::move(effect));
    for (const outbox::LaneCounts& lane : agent_->view().outbox.lanes)
      WB_HOLDS(lane.produced == lane.effected + lane.waiting + lane.evicted + lane.lost, "Q4");
  }
  void deploy(deploy::Event event) { events_.emplace_back(agent::DeployEvent{std::move(event)}); }

  void perform(agent::Store&& effect) {
    for (const StoreOp& op : effect.ops) {
      if (op.erase)
        store_.erase({op.table, op.key});
      else
        store_[{op.table, op.key}] = op.value;
    }
    events_.emplace_back(agent::Stored{effect.ticket});
  }
  void perform(agent::LoadRows&& effect) {
    agent::RowsLoaded loaded{effect.id, {}};
    for (const std::string& key : effect.keys)
      if (const auto row = store_.find({NodeTable::kRecords, key}); row != store_.end())
        loaded.rows.push_back({NodeTable::kRecords, key, row->second, static_cast<uint32_t>(row->second.size())});
    events_.emplace_back(std::move(loaded));
  }
  void perform(agent::SendExchange&& effect) {
    const auto request = wire::decode_exchange_request(effect.request);
    WB_HOLDS(request.ok(), "the hub refuses what this node sends: " + (request.ok() ? "" : request.error().text));
    if (feed_.empty() || ++exchanges_ > 20) {
      events_.emplace_back(
          agent::ExchangeFailed{effect.id, fail(Code::kUnavailable, "lost"), 0, agent::ExchangeFailed::Got::kSent});
      return;
    }
    events_.emplace_back(agent::ExchangeDone{effect.id, Bytes(feed_.text())});
  }
  void perform(deploy::FetchRange&& effect) {
    if (feed_.empty() || ++fetches_ > 20)
      return deploy(deploy::FetchFailed{effect.digest, effect.offset, fail(Code::kUnavailable, "lost"), 0});
    deploy(deploy::Fetched{effect.digest, effect.offset, Bytes(feed_.text())});
  }
  void perform(deploy::WriteSlot&& effect) {
    Bytes& bytes = slots_[effect.digest];
    if (bytes.size() + effect.bytes.size() > limits::kReleaseBytesMax || effect.offset > bytes.size())
      return deploy(deploy::SlotFailed{effect.digest, fail(Code::kFull, "disk")});
    bytes.resize(effect.offset);
    bytes += effect.bytes;
    deploy(deploy::SlotWritten{effect.digest, bytes.size()});
  }
  void perform(deploy::SealSlot&& effect) { deploy(deploy::SlotSealed{effect.digest}); }
  void perform(deploy::ReadSlot&& effect) {
    const auto slot = slots_.find(effect.digest);
    if (slot == slots_.end()) return deploy(deploy::SlotFailed{effect.digest, fail(Code::kNotFound, "no such slot")});
    deploy(deploy::SlotRead{effect.digest, slot->second});
  }
  void perform(deploy::RemoveSlot&& effect) { slots_.erase(effect.digest); }
  void perform(agent::Shadow&&) { events_.emplace_back(agent::ShadowRun{}); }
  void perform(agent::Serve&&) {
    if (agent_->serving() == nullptr) return;
    agent::SourceBatch batch;
    batch.epoch = agent_->serving_epoch();
    batch.answer_id = batch.epoch;
    batch.batch = Batch::with_schema(agent_->serving()->input_schema());
    for (double value : {5.0, 50.0, 500.0}) {
      for (Column& column : batch.batch.columns)
        column.type == ColumnType::kNumber ? column.numbers.push_back(value) : column.texts.push_back("t");
      batch.batch.event_time_ms.push_back(now_.unix_ms);
    }
    events_.emplace_back(std::move(batch));
  }
  template <class Other>
  void perform(Other&&) {}

  Store store_;
  fuzz::Feed& feed_;
  bool local_;
  std::map<std::string, Bytes> slots_;
  std::optional<Agent> agent_;
  std::vector<agent::Event> events_;
  Moment now_;
  Instant wake_at_ = kNever;
  int exchanges_ = 0;
  int fetches_ = 0;
};

Store read_store(fuzz::Feed& feed) {
  Store store;
  while (!feed.empty()) {
    const uint8_t which = feed.byte();
    if (which == 0xFF) break;
    if (which < std::size(kStateKeys)) {
      store[{NodeTable::kState, std::string(kStateKeys[which])}] = feed.text();
    } else {
      std::string key(1, static_cast<char>(which % 6));
      key += key_u64(feed.number(8));
      store[{NodeTable::kRecords, key}] = feed.text();
    }
  }
  return store;
}

}  // namespace

WB_FUZZ_TARGET(agent) {
  fuzz::Feed feed(bytes);
  const bool local = feed.byte() % 2 == 1;
  Store store = read_store(feed);
  Node(std::move(store), feed, local).live();
}

WB_FUZZ_SEEDS(agent) {
  const Bytes& artifact = Node::artifact();
  wire::Desired desired;
  desired.set_generation(3);
  desired.set_digest(sha256_hex(artifact));
  desired.set_name("pump@1");
  desired.set_size_bytes(artifact.size());
  desired.set_probation_records(2);
  desired.set_probation_ms(1'000);
  const std::string slot = std::string(1, '\1') + key_u64(0) + wire::encode(desired);
  wire::ExchangeResponse response;
  response.set_protocol(1);
  response.set_unix_ms(1'700'000'000'000);
  response.mutable_grant()->set_drain_bytes_per_s(1U << 20);
  *response.mutable_desired() = desired;
  wire::RecordUp record;
  record.set_pipeline("pump");
  record.set_inclusion_probability(0.5);
  record.add_numbers(3);
  outbox::Config config;
  config.bytes_max = outbox::kBytesMin;
  auto box = outbox::Outbox::open(config, StoredState{}, Instant{0});
  std::vector<StoreOp> ops;
  std::vector<outbox::Offer> offers(3);
  for (outbox::Offer& offer : offers) offer.record = wire::encode(record);
  (void)box->outbox.offer(Instant{0}, offers, ops);
  for (const bool committed : {false, true}) {
    fuzz::FeedWriter out;
    out.byte(committed ? 0 : 1);
    for (const StoreOp& op : ops) {
      if (op.table == NodeTable::kRecords)
        out.byte(static_cast<uint8_t>(60 + op.key[0])).rest(op.key.substr(1)).text(op.value);
      for (size_t i = 0; i < std::size(kStateKeys); ++i)
        if (op.key == kStateKeys[i]) out.byte(static_cast<uint8_t>(i)).text(op.value);
    }
    if (committed) {
      out.byte(9).text(std::string(1, '\1') + wire::encode(desired));
      out.byte(10).text(slot);
      out.byte(12).text(std::string("\1\1", 2) + key_u64(0) + key_u64(0) + wire::encode(desired));
      out.byte(13).text(std::string(1, '\1'));
    }
    out.byte(14).text(std::string(16, 'i')).byte(15).text(key_u64(4)).byte(16).text(key_u64(9));
    put(out.byte(0xFF).text(wire::encode(response)).text(wire::encode(response)).text(artifact).bytes());
  }
  fuzz::FeedWriter fresh;
  put(fresh.byte(0).byte(0xFF).text(wire::encode(response)).text(artifact).text(wire::encode(response)).bytes());
}
