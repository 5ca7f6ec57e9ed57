// One simulated device: a disk that keeps a prefix, a clock that may lie, a link that may be cut, and the real Agent.
#include <algorithm>

#include "sim/fleet.h"

namespace wb::sim {
namespace {

constexpr int64_t kConnectFailMs = 800;

}  // namespace

SimNode::SimNode(Fleet& fleet, uint32_t index, Prng prng)
    : fleet_(fleet), index_(index), id_("node-" + std::to_string(index)), prng_(prng) {}

Moment SimNode::now() const {
  return {Instant{fleet_.clock_.now_ns() - booted_ns_}, Fleet::kEpochMs + fleet_.clock_.now_ms() + clock_offset_ms_};
}

bool SimNode::partitioned() const { return fleet_.clock_.now_ms() < partition_until_ms; }

void SimNode::boot() {
  if (agent_) return;
  booted_ns_ = fleet_.clock_.now_ns();
  expected_ticket_ = 1;
  clock_offset_ms_ = 0;
  if (hits(prng_, fleet_.faults_.clock_jump_per_million)) {
    const bool past = prng_.chance(500'000);
    clock_offset_ms_ = past ? -(Fleet::kEpochMs + fleet_.clock_.now_ms()) : 2'500'000'000'000;
  }
  if (image_ && hits(prng_, fleet_.faults_.image_per_million)) restore_image();
  StoredState found;
  if (hits(prng_, fleet_.faults_.rot_per_million)) found.damaged_rows_count = rot();
  for (const auto& [key, value] : rows_) {
    StoredRow row{static_cast<NodeTable>(key.first), key.second, value, static_cast<uint32_t>(value.size())};
    if (row.table == NodeTable::kRecords) row.value.resize(std::min<size_t>(row.value.size(), kRecordHeadBytes));
    found.rows.push_back(std::move(row));
  }
  std::vector<deploy::SlotFile> files;
  for (const auto& [digest, slot] : slots_) files.push_back({digest, slot.bytes.size(), slot.sealed});
  AgentConfig config;
  config.node_id = id_;
  config.read_document = fleet_.options_.read_document;
  config.deploy.trusted_keys = {*ed25519_public_key(publisher_seed())};
  config.outbox.bytes_max = outbox::kBytesMin;
  config.sync.long_poll_ms = 600'000;
  auto opened = Agent::open(std::move(config), found, std::move(files), prng_.split(), std::nullopt);
  if (!opened.ok()) return fleet_.violate("Q5", id_ + " did not start: " + opened.error().text);
  agent_.emplace(std::move(opened).value());
  step(agent::Opened{});
}

// Everything in memory goes; of the tickets under way a prefix arrived.
void SimNode::crash() {
  if (!agent_) return;
  ++fleet_.report_.crashes;
  check_now();
  ++life_;
  agent_.reset();
  size_t arrived = prng_.below(queued_.size() + 1);
  for (const agent::Store& store : queued_) {
    if (arrived == 0) break;
    --arrived;
    apply(store.ops);
  }
  queued_.clear();
  commit_scheduled_ = false;
  exchange_ = 0;
  waiting_.clear();
}

void SimNode::step(agent::Event&& event) {
  if (!agent_) return;
  ++fleet_.report_.events;
  Step<agent::Effect> out = agent_->step(now(), std::move(event));
  fleet_.trace_.update(uint64_t{index_} << 32 | out.effects.size());
  fleet_.trace_.update(static_cast<uint64_t>(out.wake_at.ns));
  const uint64_t mine = life_;
  for (agent::Effect& effect : out.effects) {
    fleet_.trace_.update(effect.index());
    std::visit([this](auto&& e) { perform(std::forward<decltype(e)>(e)); }, std::move(effect));
    if (life_ != mine) return;
  }
  watch_running();
  const uint64_t timer = ++timer_;
  if (out.wake_at == kNever) return;
  fleet_.clock_.at(booted_ns_ + out.wake_at.ns, [this, mine, timer] {
    if (life_ == mine && timer_ == timer) step(agent::Wake{});
  });
}

void SimNode::later(int64_t ms, agent::Event event) {
  fleet_.clock_.in_ms(ms, [this, mine = life_, event = std::move(event)]() mutable {
    if (life_ == mine) step(std::move(event));
  });
}

// ---- the disk

void SimNode::apply(const std::vector<StoreOp>& ops) {
  for (const StoreOp& op : ops) {
    const auto key = std::make_pair(static_cast<uint8_t>(op.table), op.key);
    if (op.erase)
      rows_.erase(key);
    else
      rows_[key] = op.value;
  }
}

void SimNode::perform(agent::Store&& effect) {
  for (const StoreOp& op : effect.ops) fleet_.trace_.update(op.key);
  if (effect.ticket != expected_ticket_) return;  // refused: an earlier one has to be submitted again first
  ++expected_ticket_;
  queued_.push_back(std::move(effect));
  if (commit_scheduled_) return;
  commit_scheduled_ = true;
  fleet_.clock_.in_ms(1 + static_cast<int64_t>(prng_.below(40)), [this, mine = life_] {
    if (life_ == mine) commit();
  });
}

void SimNode::commit() {
  commit_scheduled_ = false;
  if (queued_.empty()) return;
  const uint64_t first = queued_.front().ticket;
  const uint64_t last = queued_.back().ticket;
  if (hits(prng_, fleet_.faults_.store_fail_per_million)) {
    ++fleet_.report_.store_failures;
    expected_ticket_ = first;
    queued_.clear();
    return step(agent::StoreFailed{first, fail(prng_.chance(500'000) ? Code::kFull : Code::kInternal, "simulated")});
  }
  for (const agent::Store& store : queued_) apply(store.ops);
  queued_.clear();
  step(agent::Stored{last});
}

void SimNode::perform(agent::LoadRows&& effect) {
  agent::RowsLoaded loaded;
  loaded.id = effect.id;
  for (const std::string& key : effect.keys) {
    const auto found = rows_.find({static_cast<uint8_t>(NodeTable::kRecords), key});
    if (found != rows_.end())
      loaded.rows.push_back({NodeTable::kRecords, key, found->second, static_cast<uint32_t>(found->second.size())});
  }
  later(1, std::move(loaded));
}

void SimNode::perform(deploy::WriteSlot&& effect) {
  Slot& slot = slots_[effect.digest];
  if (effect.offset == 0) slot = Slot{};
  if (slot.bytes.size() != effect.offset)
    return later(
        1, agent::DeployEvent{deploy::SlotFailed{effect.digest, fail(Code::kInvalid, "offset is not the length")}});
  slot.bytes += effect.bytes;
  later(2, agent::DeployEvent{deploy::SlotWritten{effect.digest, slot.bytes.size()}});
}
void SimNode::perform(deploy::SealSlot&& effect) {
  slots_[effect.digest].sealed = true;
  later(2, agent::DeployEvent{deploy::SlotSealed{effect.digest}});
}
void SimNode::perform(deploy::ReadSlot&& effect) {
  const auto found = slots_.find(effect.digest);
  if (found == slots_.end() || !found->second.sealed)
    return later(1, agent::DeployEvent{deploy::SlotFailed{effect.digest, fail(Code::kNotFound, "no such slot")}});
  later(1, agent::DeployEvent{deploy::SlotRead{effect.digest, found->second.bytes}});
}
void SimNode::perform(deploy::RemoveSlot&& effect) { slots_.erase(effect.digest); }

// ---- the link

void SimNode::perform(agent::SendExchange&& effect) {
  exchange_ = effect.id;
  fleet_.trace_.update(effect.request);
  const uint64_t mine = life_;
  using Got = agent::ExchangeFailed::Got;
  const auto failed = [this, mine, id = effect.id](const char* why, Got got) {
    if (life_ != mine || exchange_ != id) return;
    exchange_ = 0;
    ++fleet_.report_.exchanges_lost;
    step(agent::ExchangeFailed{id, fail(Code::kUnavailable, why), 0, got});
  };
  if (partitioned()) return fleet_.clock_.in_ms(kConnectFailMs, [failed] { failed("no route", Got::kNowhere); });
  fleet_.clock_.in_ms(effect.deadline_ms, [failed] { failed("timed out", Got::kSent); });
  auto request = wire::decode_exchange_request(effect.request);
  if (!request.ok()) return fleet_.violate("wire", id_ + " sent what the hub refuses: " + request.error().text);
  uint64_t record_bytes = 0;
  for (const wire::StreamUp& stream : request->streams())
    for (const wire::RecordUp& record : stream.records()) record_bytes += record.ByteSizeLong();
  count_budget(record_bytes);
  const uint32_t copies = hits(prng_, fleet_.faults_.double_per_million) ? 2 : 1;
  for (uint32_t i = 0; i < copies; ++i) {
    const int64_t delay = 5 + draw_ms(prng_, fleet_.faults_.delay_max_ms);
    if (hits(prng_, fleet_.faults_.lose_per_million)) continue;
    fleet_.clock_.in_ms(
        delay, [this, mine, id = effect.id, bytes = effect.request] { fleet_.at_hub(*this, mine, id, bytes); });
  }
}
void SimNode::perform(agent::CancelExchange&& effect) {
  if (exchange_ == effect.id) exchange_ = 0;
}

void SimNode::perform(deploy::FetchRange&& effect) {
  if (partitioned() || hits(prng_, fleet_.faults_.lose_per_million))
    return later(kConnectFailMs, agent::DeployEvent{deploy::FetchFailed{effect.digest, effect.offset,
                                                                        fail(Code::kUnavailable, "no route"), 0}});
  auto range = fleet_.hub_->read_artifact(fleet_.rows_, effect.digest, effect.offset, effect.length);
  if (!range.ok())
    return later(50, agent::DeployEvent{deploy::FetchFailed{effect.digest, effect.offset, range.error(), 0}});
  later(50 + static_cast<int64_t>(prng_.below(2'000)),
        agent::DeployEvent{deploy::Fetched{effect.digest, effect.offset, std::move(range->bytes)}});
}

// ---- the producer

void SimNode::give_batch() {
  if (!agent_ || agent_->serving() == nullptr) return;
  const Pipeline& pipeline = *agent_->serving();
  Batch batch = Batch::with_schema(pipeline.input_schema());
  const uint64_t answer_id = next_answer_++;
  waiting_[answer_id].since_ns = fleet_.clock_.now_ns();
  std::vector<uint64_t>& hot = waiting_[answer_id].hot;
  for (uint32_t i = 0; i < fleet_.options_.rows_per_batch; ++i) {
    const Reading reading = draw_reading(prng_);
    const uint64_t id = next_reading_++;
    batch.columns[0].numbers.push_back(static_cast<double>(id));
    batch.columns[1].numbers.push_back(reading.heat);
    batch.columns[2].numbers.push_back(reading.spin);
    batch.event_time_ms.push_back(now().unix_ms);
    if (reading.heat >= 91) hot.push_back(id);  // hot for every good model
  }
  ++given_;
  agent::SourceBatch event;
  event.epoch = agent_->serving_epoch();
  event.answer_id = answer_id;
  event.batch = std::move(batch);
  step(std::move(event));
}

void SimNode::perform(agent::Answer&& effect) {
  const auto found = waiting_.find(effect.answer_id);
  if (found == waiting_.end()) return;
  busy_in_a_row_ = effect.verdict == agent::Answer::Verdict::kBusy ? busy_in_a_row_ + 1 : 0;
  if (effect.verdict == agent::Answer::Verdict::kAccepted) {
    fleet_.report_.records_accepted += effect.rows_accepted;
    const deploy::View view = agent_->view().deploy;
    // A swapped model may serve only where nothing better ran; what it calls normal is not owed.
    if (!fleet_.bad_.contains(view.running_digest) && !fleet_.bad_.contains(view.candidate_digest))
      accepted_hot_.insert(found->second.hot.begin(), found->second.hot.end());
  }
  waiting_.erase(found);
}

void SimNode::perform(agent::Shadow&&) { later(0, agent::ShadowRun{}); }

}  // namespace wb::sim
