#pragma once
// The simulated world: a queue of things that happen, nodes with a disk, a hub with rows, and the links between them.

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "base/checksum.h"
#include "base/memory_rows.h"
#include "base/prng.h"
#include "base/signature.h"
#include "hub/api/hub.h"
#include "sim/faults.h"
#include "sim/releases.h"
#include "sim/sim.h"

namespace wb::sim {

class Fleet;

// What happens at a time. Order of scheduling breaks ties, so a history has one order.
class Clock {
 public:
  void at(int64_t ns, std::function<void()> what) {
    queue_.emplace(std::make_pair(ns < now_ ? now_ : ns, order_++), std::move(what));
  }
  void in_ms(int64_t ms, std::function<void()> what) { at(now_ + ms * kNsPerMs, std::move(what)); }
  int64_t now_ns() const { return now_; }
  int64_t now_ms() const { return now_ / kNsPerMs; }
  bool run_one(int64_t until_ns);

 private:
  int64_t now_ = 0;
  uint64_t order_ = 0;
  std::map<std::pair<int64_t, uint64_t>, std::function<void()>> queue_;
};

inline bool hits(Prng& prng, int64_t per_million) { return prng.chance(static_cast<uint32_t>(per_million)); }
// Evenly in [0, max_ms].
inline int64_t draw_ms(Prng& prng, int64_t max_ms) {
  return static_cast<int64_t>(prng.below(static_cast<uint64_t>(max_ms) + 1));
}
// Is it now, looked at once in `step_ms`, for something that happens every `mean_ms`? 0 = never.
inline bool is_due(Prng& prng, int64_t step_ms, int64_t mean_ms) {
  return hits(prng, mean_ms <= 0 ? 0 : std::min<int64_t>(1'000'000, 1'000'000 * step_ms / mean_ms));
}

class SimNode {
 public:
  SimNode(Fleet& fleet, uint32_t index, Prng prng);
  void boot();
  void crash();
  void give_batch();
  const std::string& id() const { return id_; }
  bool up() const { return agent_.has_value(); }
  const Agent* agent() const { return agent_ ? &*agent_ : nullptr; }
  bool partitioned() const;
  void check_now();   // promises that must hold at any time
  void check_last();  // after healing

  int64_t partition_until_ms = 0;

 private:
  friend class Fleet;
  void step(agent::Event&& event);
  void later(int64_t ms, agent::Event event);
  Moment now() const;
  void perform(agent::Store&& effect);
  void perform(agent::LoadRows&& effect);
  void perform(agent::SendExchange&& effect);
  void perform(agent::CancelExchange&& effect);
  void perform(agent::Answer&& effect);
  void perform(agent::Serve&&) {}
  void perform(agent::Act&&) {}
  void perform(agent::Shadow&&);
  void perform(agent::Restart&&) {}  // the simulated store is never found damaged while it runs
  void perform(agent::Log&&) {}
  void perform(deploy::FetchRange&& effect);
  void perform(deploy::WriteSlot&& effect);
  void perform(deploy::SealSlot&& effect);
  void perform(deploy::ReadSlot&& effect);
  void perform(deploy::RemoveSlot&& effect);
  void apply(const std::vector<StoreOp>& ops);
  void commit();
  void count_budget(uint64_t record_bytes);
  void watch_running();
  void check_losses(const AgentView& view, const std::map<uint64_t, uint64_t>& at_hub);
  void check_serving(const AgentView& view);
  // media.cpp
  void take_image();
  void restore_image();
  uint64_t rot();  // how many rows a store would have set aside
  void deliver(uint64_t exchange, const Bytes& response);

  struct Slot {
    Bytes bytes;
    bool sealed = false;
  };
  using Disk = std::map<std::pair<uint8_t, std::string>, std::string>;
  struct Image {
    Disk rows;
    std::map<std::string, Slot> slots;
    std::set<uint64_t> accepted_hot;
  };
  struct Waiting {
    std::vector<uint64_t> hot;  // reading ids
    int64_t since_ns = 0;
  };
  Fleet& fleet_;
  uint32_t index_;
  std::string id_;
  Prng prng_;
  // durable
  Disk rows_;
  std::map<std::string, Slot> slots_;
  // volatile
  std::optional<Agent> agent_;
  uint64_t life_ = 0;   // events of an earlier life are dropped
  uint64_t timer_ = 0;  // one timer: an earlier one is void
  int64_t booted_ns_ = 0;
  int64_t clock_offset_ms_ = 0;
  std::deque<agent::Store> queued_;
  uint64_t expected_ticket_ = 1;
  bool commit_scheduled_ = false;
  uint64_t exchange_ = 0;  // in flight; 0 = none
  uint64_t next_answer_ = 1;
  std::map<uint64_t, Waiting> waiting_;  // by answer id
  // what the checkers know
  uint64_t next_reading_ = 1;
  std::set<uint64_t> accepted_hot_;  // ids of anomalous readings whose producer heard "accepted"
  uint64_t given_ = 0;
  uint64_t generation_seen_ = 0;
  uint64_t quarantined_seen_ = 0;
  std::optional<Image> image_;
  uint64_t rotted_records_ = 0;     // rows of records that were damaged
  bool forgot_ = false;             // rows of its state were damaged, or its disk was an old image
  std::set<uint64_t> lost_by_hub_;  // readings that the hub had and its backup had not
  std::set<std::string> assigned_;  // digests that the hub ever named to it
  std::deque<wire::Desired> old_desired_;
  bool has_run_ = false;
  uint32_t busy_in_a_row_ = 0;
  uint64_t evicted_seen_ = 0;
  uint64_t last_at_hub_ = 0;  // exchange that the hub answered last, and with which acks
  std::string last_acks_;
  int64_t budget_day_start_ns_ = 0;
  uint64_t budget_day_bytes_ = 0;
};

class Fleet {
 public:
  explicit Fleet(const Options& options);
  Report run();

 private:
  friend class SimNode;
  void set_up();
  void enrol(SimNode& node);
  void live(SimNode& node, bool faulty);
  void operate();
  void ship(Kind kind, const std::string& version);
  void hub_tick();
  void wake_held();
  void restart_hub();
  void heal();
  void check_now_and_then();
  void check_rollouts();
  void check_admission(const SimNode& node, hub::pb::ExposureState before);
  hub::pb::ExposureState exposure_of(const SimNode& node);
  void check_end();
  std::map<uint64_t, uint64_t> readings_at_hub(const std::string& node_id, bool check);
  uint64_t hub_gap_of(const std::string& node_id);
  void back_up_hub();
  void restore_hub();
  Result<wire::ExchangeResponse> resume(const std::string& node_id);
  void at_hub(SimNode& node, uint64_t life, uint64_t id, const Bytes& request);
  void answer(SimNode& node, uint64_t life, uint64_t id, wire::ExchangeResponse response);
  void violate(const std::string& promise, const std::string& text);
  Moment hub_now() const { return {Instant{clock_.now_ns()}, kEpochMs + clock_.now_ms()}; }

  static constexpr int64_t kEpochMs = 1'780'000'000'000;
  Options options_;
  Prng prng_;
  Clock clock_;
  Faults faults_;  // of the current phase: calm while healing
  bool healing_ = false;
  int64_t quiet_from_ns_ = 0;
  MemoryRows rows_;
  std::optional<hub::Hub> hub_;
  uint64_t hub_life_ = 0;
  struct Held {
    uint64_t hub_life;
    uint64_t node_life;
    uint64_t id;
    uint64_t serial;
  };
  std::map<std::string, Held> held_;
  uint64_t next_held_ = 1;
  std::vector<std::unique_ptr<SimNode>> nodes_;
  std::map<std::string, uint64_t> index_of_;
  std::set<std::string> shipped_;  // digests
  std::set<std::string> bad_;      // digests of swapped releases
  std::vector<std::string> rollouts_;
  struct Order {
    Kind kind;
    std::string version;
  };
  std::vector<Order> orders_;  // what the operator shipped, to do again after a restore
  struct Backup {
    MemoryRows::Snapshot rows;
    size_t orders = 0;
    size_t rollouts = 0;
  };
  std::optional<Backup> backup_;
  std::string last_good_;  // digest that all must run in the end
  Fnv64 trace_;
  Report report_;
};

}  // namespace wb::sim
