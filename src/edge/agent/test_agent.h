#pragma once
// A node in memory for tests: performs the agent's effects on a store that is a map, a slot folder that is another, and
// a hub that keeps what arrives. The store is as strict as the real one: it takes tickets in order without holes, and
// after a failure nothing until the failed ticket comes again.

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/checksum.h"
#include "base/signature.h"
#include "edge/agent/agent.h"
#include "edge/agent/test_documents.h"
#include "wire/wire.h"

namespace wb {

class TestNode {
 public:
  AgentConfig config;
  std::optional<LocalPipeline> local;

  // What is durable.
  std::map<std::pair<NodeTable, std::string>, std::string> rows;
  std::map<std::string, std::pair<Bytes, bool>> slots;  // digest → bytes, sealed
  // The hub: how often each (incarnation, lane, seq) came, and what it serves.
  std::map<std::tuple<std::string, uint32_t, uint64_t>, int> effects;
  uint64_t hub_gaps = 0;
  std::map<std::string, Bytes> artifacts;
  wire::Desired desired;
  // Effects of this life that wait to be performed, oldest first.
  std::deque<agent::Store> submitted;
  std::deque<agent::LoadRows> loads;
  std::deque<agent::SendExchange> exchanges;
  // What happened.
  std::map<uint64_t, agent::Answer> answers;
  std::vector<wire::ExchangeRequest> requests;
  std::vector<uint64_t> cancelled;
  std::vector<uint64_t> served;  // epochs
  std::vector<std::string> restarts;
  std::vector<std::string> logged;
  std::vector<uint64_t> tickets;  // in the order in which they were handed to the store
  uint64_t shadows = 0;
  Instant wake_at = kNever;
  Moment now;

  TestNode() {
    config.node_id = "node-1";
    config.read_document = [](std::string_view field) -> Result<Document> {
      return test_pipeline("pump", std::string(field));
    };
    config.deploy.trusted_keys = {*ed25519_public_key(kTestPublisher)};
    config.deploy.thresholds.records_min = 2;
    config.outbox.bytes_max = outbox::kBytesMin;
    local = LocalPipeline{test_pipeline("pump", "v"), {}};
    now.unix_ms = 1'700'000'000'000;
  }

  Agent& agent() { return *agent_; }
  AgentView view() const { return agent_->view(); }

  void boot() {
    power_cut();
    StoredState found;
    for (const auto& [key, value] : rows) {
      StoredRow row{key.first, key.second, value, static_cast<uint32_t>(value.size())};
      if (row.table == NodeTable::kRecords) row.value.resize(std::min<size_t>(row.value.size(), kRecordHeadBytes));
      found.rows.push_back(std::move(row));
    }
    std::vector<deploy::SlotFile> files;
    for (const auto& [digest, slot] : slots) files.push_back({digest, slot.first.size(), slot.second});
    now.mono = Instant{0};
    next_ticket_ = 1;
    Result<Agent> opened = Agent::open(config, found, std::move(files), Prng(++boots_), local);
    ASSERT_TRUE(opened.ok()) << opened.error().text;
    agent_.emplace(std::move(opened).value());
    feed(agent::Opened{});
  }
  void power_cut() {
    agent_.reset();
    submitted.clear();
    loads.clear();
    exchanges.clear();
  }

  void feed(agent::Event event) {
    Step<agent::Effect> step = agent_->step(now, std::move(event));
    wake_at = step.wake_at;
    for (agent::Effect& effect : step.effects)
      std::visit([this](auto&& one) { perform(std::forward<decltype(one)>(one)); }, std::move(effect));
    while (!follow_up_.empty()) {
      agent::Event next = std::move(follow_up_.front());
      follow_up_.pop_front();
      feed(std::move(next));
    }
  }

  // One row per value; the producer waits under `answer_id`.
  agent::SourceBatch batch(uint64_t answer_id, const std::vector<double>& values) const {
    agent::SourceBatch out;
    out.epoch = agent_->serving_epoch();
    out.answer_id = answer_id;
    out.batch = Batch::with_schema(agent_->serving()->input_schema());
    for (const double value : values) {
      out.batch.columns[0].numbers.push_back(value);
      out.batch.event_time_ms.push_back(now.unix_ms);
    }
    return out;
  }
  void send(uint64_t answer_id, const std::vector<double>& values) { feed(batch(answer_id, values)); }

  void commit(size_t count = SIZE_MAX) {
    uint64_t last = 0;
    for (; count > 0 && !submitted.empty(); --count) {
      for (const StoreOp& op : submitted.front().ops) {
        if (op.erase)
          rows.erase({op.table, op.key});
        else
          rows[{op.table, op.key}] = op.value;
      }
      last = submitted.front().ticket;
      submitted.pop_front();
    }
    if (last > 0) feed(agent::Stored{last});
  }
  void fail_store(Code code = Code::kInternal) {
    ASSERT_FALSE(submitted.empty());
    const uint64_t first = submitted.front().ticket;
    submitted.clear();
    next_ticket_ = first;
    feed(agent::StoreFailed{first, fail(code, "disk")});
  }
  void load() {
    agent::RowsLoaded loaded{loads.front().id, {}};
    for (const std::string& key : loads.front().keys)
      if (const auto row = rows.find({NodeTable::kRecords, key}); row != rows.end())
        loaded.rows.push_back({NodeTable::kRecords, key, row->second, static_cast<uint32_t>(row->second.size())});
    loads.pop_front();
    feed(std::move(loaded));
  }
  // Store and loads until nothing moves.
  void settle() {
    for (int i = 0; i < 1'000 && (!submitted.empty() || !loads.empty()); ++i) submitted.empty() ? load() : commit();
  }
  void wake() {
    ASSERT_NE(wake_at, kNever);
    now.mono = std::max(now.mono, wake_at);
    feed(agent::Wake{});
  }
  void pass_ms(int64_t ms) {
    const Instant until = after_ms(now.mono, ms);
    for (int i = 0; i < 10'000 && wake_at <= until; ++i) wake();
    now.mono = until;
  }
  // Until an exchange is on the air.
  bool reach_exchange(bool store_works = true) {
    for (int i = 0; i < 200 && exchanges.empty(); ++i) {
      if (store_works) settle();
      if (!exchanges.empty()) break;
      if (wake_at == kNever) return false;
      wake();
    }
    return !exchanges.empty();
  }

  // The hub takes what the oldest exchange on the air brings, once each.
  wire::ExchangeResponse at_hub() {
    wire::ExchangeResponse response;
    response.set_protocol(limits::kProtocol);
    response.set_unix_ms(now.unix_ms);
    response.mutable_grant()->set_drain_bytes_per_s(1U << 20);
    *response.mutable_desired() = desired;
    const wire::ExchangeRequest request = wire::decode_exchange_request(exchanges.front().request).value();
    for (const wire::StreamUp& stream : request.streams()) {
      uint64_t& through = hub_acks_[{request.incarnation(), stream.lane()}];
      for (const wire::RecordUp& record : stream.records())
        if (record.seq() > through) ++effects[{request.incarnation(), stream.lane(), record.seq()}];
      if (stream.through_seq() > through) hub_gaps += stream.evicted_count() + stream.lost_count();
      through = std::max(through, stream.through_seq());
      wire::StreamAck* ack = response.add_acks();
      ack->set_lane(stream.lane());
      ack->set_through_seq(through);
    }
    return response;
  }
  void answer(const wire::ExchangeResponse& response) {
    const uint64_t id = exchanges.front().id;
    exchanges.pop_front();
    feed(agent::ExchangeDone{id, wire::encode(response)});
  }
  void answer() { answer(at_hub()); }
  void lose_exchange(agent::ExchangeFailed::Got got) {
    const uint64_t id = exchanges.front().id;
    exchanges.pop_front();
    feed(agent::ExchangeFailed{id, fail(Code::kUnavailable, "lost"), 0, got});
  }
  // Contacts until nothing waits.
  void drain() {
    for (int i = 0; i < 60; ++i) {
      settle();
      if (view().outbox.waiting_count == 0 && !view().outbox.gaps_waiting) return;
      ASSERT_TRUE(reach_exchange());
      pass_ms(requests.back().long_poll_ms());  // nothing is new: the hub holds its answer, unless we take it back
      if (!exchanges.empty()) answer();
    }
  }
  void want(uint64_t generation, const std::string& version, const std::string& field) {
    const Bytes artifact = test_release(version, field);
    desired.set_generation(generation);
    desired.set_digest(sha256_hex(artifact));
    desired.set_name("pump@" + version);
    desired.set_size_bytes(artifact.size());
    desired.set_probation_records(2);
    desired.set_probation_ms(60'000);
    artifacts[desired.digest()] = artifact;
  }
  // Contacts the hub once, and lets everything that needs no hub happen.
  void contact() {
    ASSERT_TRUE(reach_exchange());
    answer();
    settle();
  }
  size_t records_count() const {
    size_t count = 0;
    for (const auto& [key, value] : rows) count += key.first == NodeTable::kRecords ? 1 : 0;
    return count;
  }
  std::string state(const std::string& key) const {
    const auto found = rows.find({NodeTable::kState, key});
    return found == rows.end() ? "" : found->second;
  }
  void expect_exact() const {  // Q4
    for (const outbox::LaneCounts& lane : view().outbox.lanes)
      EXPECT_EQ(lane.produced, lane.effected + lane.waiting + lane.evicted + lane.lost);
  }

 private:
  void perform(agent::Store&& effect) {
    tickets.push_back(effect.ticket);
    ASSERT_GE(effect.ticket, next_ticket_) << "handed to the store again though it has not failed";
    if (effect.ticket > next_ticket_) return;  // refused with an earlier one
    ++next_ticket_;
    submitted.push_back(std::move(effect));
  }
  void perform(agent::LoadRows&& effect) { loads.push_back(std::move(effect)); }
  void perform(agent::SendExchange&& effect) {
    requests.push_back(wire::decode_exchange_request(effect.request).value());
    exchanges.push_back(std::move(effect));
  }
  void perform(agent::CancelExchange&& effect) {
    cancelled.push_back(effect.id);
    std::erase_if(exchanges, [&](const agent::SendExchange& one) { return one.id == effect.id; });
  }
  void perform(agent::Answer&& effect) {
    EXPECT_FALSE(answers.contains(effect.answer_id)) << "answered twice";
    answers[effect.answer_id] = std::move(effect);
  }
  void perform(agent::Serve&& effect) { served.push_back(effect.epoch); }
  void perform(agent::Act&&) {}
  void perform(agent::Shadow&&) {
    ++shadows;
    follow_up_.emplace_back(agent::ShadowRun{});
  }
  void perform(agent::Restart&& effect) { restarts.push_back(effect.text); }
  void perform(agent::Log&& effect) { logged.push_back(std::move(effect.text)); }
  void perform(deploy::FetchRange&& effect) {
    follow_up_.emplace_back(agent::DeployEvent{deploy::Fetched{
        effect.digest, effect.offset, artifacts.at(effect.digest).substr(effect.offset, effect.length)}});
  }
  void perform(deploy::WriteSlot&& effect) {
    Bytes& bytes = slots[effect.digest].first;
    bytes.resize(effect.offset);
    bytes += effect.bytes;
    follow_up_.emplace_back(agent::DeployEvent{deploy::SlotWritten{effect.digest, bytes.size()}});
  }
  void perform(deploy::SealSlot&& effect) {
    slots[effect.digest].second = true;
    follow_up_.emplace_back(agent::DeployEvent{deploy::SlotSealed{effect.digest}});
  }
  void perform(deploy::ReadSlot&& effect) {
    follow_up_.emplace_back(agent::DeployEvent{deploy::SlotRead{effect.digest, slots.at(effect.digest).first}});
  }
  void perform(deploy::RemoveSlot&& effect) { slots.erase(effect.digest); }

  std::optional<Agent> agent_;
  std::deque<agent::Event> follow_up_;
  std::map<std::pair<std::string, uint32_t>, uint64_t> hub_acks_;
  uint64_t next_ticket_ = 1;
  uint64_t boots_ = 0;
};

}  // namespace wb
