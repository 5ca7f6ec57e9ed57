#pragma once
// Fleet: the simulated world around the nodes. The hub with its rows and transactions (control.cpp), the operator
// (operator.cpp), and the checkers that need to see more than one node (checks.cpp).

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/checksum.h"
#include "base/memory_rows.h"
#include "base/prng.h"
#include "base/signature.h"
#include "hub/api/hub.h"
#include "sim/clock.h"
#include "sim/coverage.h"
#include "sim/faults.h"
#include "sim/node.h"
#include "sim/releases.h"
#include "sim/script.h"
#include "sim/sim.h"

namespace wb::sim {

// How a hub that is away looks from a node.
enum class Away : uint8_t { kNo, kRefuses, kSilent, kBusyLater, kBusy };

class Fleet {
 public:
  explicit Fleet(const Options& options);
  Report run();

 private:
  friend class SimNode;
  void set_up();
  void enrol(SimNode& node);
  void live(SimNode& node);
  void heal();
  void check_now_and_then();
  void clone(SimNode& node);

  // control.cpp: calls to the hub share a transaction; their answers leave after its commit (H1)
  void begin_call();
  void commit_calls();
  void end_transaction(bool committed);
  void restart_hub();
  void hub_tick();
  void hub_faults();
  void begin_outage(int64_t for_ms);
  void begin_overload(int64_t for_ms);
  void end_outage();
  void wake_held();
  void at_hub(SimNode& node, uint64_t life, uint64_t id, const Bytes& request);
  void forget_others_requests(const SimNode& node);
  void hold(SimNode& node, uint64_t life, uint64_t id, int64_t hold_ms);
  void answer(SimNode& node, uint64_t life, uint64_t id, wire::ExchangeResponse response);
  void back_up_hub();
  void keep_backup();
  void restore_hub();
  bool hub_away() const { return away_ != Away::kNo; }

  // operator.cpp
  void operate();
  void ship(Kind kind, const std::string& version);
  std::string next_version() { return std::to_string(next_version_++); }
  void meddle();
  bool command(const std::string& rollout, hub::Hub::RolloutCommand what);
  void revoke(const std::string& id);
  void mark_revoked(const std::string& id);
  Kind draw_kind();
  std::string find_rollout(uint32_t version);

  // cues.cpp
  void perform(const Cue& cue);
  void obey(const Cue& order);

  // checks.cpp
  void check_rollouts();
  void check_admission(const SimNode& node, hub::pb::ExposureState before);
  void check_acks_kept();
  void check_audit();
  void check_datasets();
  uint64_t audit_head();
  void check_streams(const SimNode& node, const AgentView& view);
  uint64_t arrived_and_damaged(const SimNode& node, std::string_view stream);
  void check_estimates(const SimNode& node, const AgentView& view);
  void check_record(const SimNode& node, const wire::RecordUp& record, uint64_t& last_in_stream);
  void check_outage(int64_t lasted_ms);
  std::optional<hub::pb::Rollout> rollout_of(const std::string& id);
  hub::pb::ExposureState exposure_of(const SimNode& node);
  void check_end();
  // Reading → the keys on its node of the records that brought it.
  using Readings = std::map<uint64_t, std::vector<std::string>>;
  Readings readings_at_hub(const SimNode& node, bool check);
  uint64_t hub_gap_of(const std::string& node_id);
  void violate(const std::string& promise, const std::string& text);
  void decided(std::string_view ids, uint64_t times = 1) { report_.evidence.decided(ids, times); }
  Moment hub_now() const { return {Instant{clock_.now_ns()}, kEpochMs + clock_.now_ms()}; }

  Options options_;
  Prng prng_;
  Clock clock_;
  Faults faults_;  // of the current phase: calm while healing
  bool healing_ = false;
  int64_t quiet_from_ns_ = 0;
  // the hub
  MemoryRows rows_;
  std::optional<hub::Hub> hub_;
  uint64_t hub_life_ = 0;
  bool in_transaction_ = false;
  struct Call {
    SimNode* node;
    uint64_t life;
    uint64_t id;
    std::function<void()> done;  // after the commit
  };
  std::vector<Call> calls_;
  struct Held {
    SimNode* node;
    uint64_t life;
    uint64_t id;
  };
  void resume(const Held& held);
  std::map<uint64_t, Held> held_;  // by serial
  uint64_t next_held_ = 1;
  Away away_ = Away::kNo;
  int64_t away_since_ms_ = 0;
  int64_t refusing_until_ms_ = 0;  // a proxy before it does: SimNode::is_unwelcome
  int64_t hub_well_since_ms_ = 0;  // no outage, overload, restart or restore since
  uint32_t load_permille_ = 0;
  // the fleet
  std::vector<std::unique_ptr<SimNode>> nodes_;
  std::vector<std::unique_ptr<SimNode>> copies_;
  std::map<std::string, std::set<std::string>> ran_;      // node → digests that it ran
  std::map<std::string, std::set<std::string>> refused_;  // node → digests that it put into quarantine
  // the operator
  std::map<std::string, uint64_t> shipped_;  // digest → bytes
  std::map<std::string, Kind> kinds_;        // by digest
  std::vector<std::string> rollouts_;
  std::set<std::string> forced_;  // rollouts that the operator promoted by hand
  struct Order {
    Kind kind;
    std::string version;
    std::string revoked;  // instead of a release: a node
  };
  std::vector<Order> orders_;  // what the operator did, to do again after a restore
  uint32_t next_version_ = 1;
  Script script_;
  struct Backup {
    MemoryRows::Snapshot rows;
    size_t orders = 0;
    size_t rollouts = 0;
  };
  std::optional<Backup> backup_;
  std::string last_good_;  // digest that all must run in the end
  Fnv64 trace_;
  HubWatch hub_watch_;
  Report report_;
};

}  // namespace wb::sim
