#pragma once
// rollout: brings one release to the nodes a selector names, wave by wave, and takes it back by itself when it is bad.
//
// A node is admitted when it contacts the hub, if the current wave has room for it (F1: exposure never exceeds its
// stage). What the nodes report moves the gate: it passes, halts, or holds; no data is never a verdict (F4). A node
// that has gone dark before it decided is withdrawn: it is in no denominator, and its place is free (F3). What a node
// should run is worked out anew at every contact, from the newest rollout down: so a node that was away for any time
// goes straight to the newest release it is entitled to (U9), and a halt reaches each node at its next contact.
//
// Cost: a contact reads one row per live rollout it has to look at plus its own exposure row. The fleet is scanned only
// by scan_rollouts(), about once a second while a rollout is running.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/rows.h"
#include "base/step.h"
#include "hub.pb.h"
#include "hub/rollout/selector.h"
#include "wire/wire.h"

namespace wb::hub {

inline constexpr size_t kLiveRolloutsMax = 64;  // older ones are kept as rows, but entitle nobody
inline constexpr size_t kWavesMax = 32;
inline constexpr int64_t kScanEveryMs = 1'000;

// A node as a rollout sees it.
struct FleetNode {
  std::string id;
  Labels labels;  // with node=<id>
  int64_t last_contact_ms = 0;
  bool revoked = false;
  std::vector<std::string> quarantined;
  std::string assigned_rollout;
};
using Fleet = std::function<void(const std::function<void(const FleetNode&)>&)>;

// What happened in a call, for the event log, the audit and the wake-up of held contacts.
struct RolloutNews {
  struct Item {
    std::string
        kind;  // rollout_started, wave, rollout_completed, rollout_halted, …, exposed, committed, failed, withdrawn
    std::string node;  // "" = about the rollout
    std::string rollout, digest, name, text;
  };
  std::vector<Item> items;
  std::vector<std::string> wakes;
  bool wake_all = false;
  bool scan_now = false;  // a wave may be over: do not wait for the next tick
};

struct RolloutStart {
  std::string digest, name;
  uint64_t size_bytes = 0;
  std::string selector;
  std::vector<uint32_t> waves_percent;
  int64_t dark_after_ms = 0;
  uint32_t max_failure_permille = 100;
  uint32_t probation_records = 0, probation_ms = 0;
  bool supersede = false, allow_halted = false;
  std::string actor;
};
Status check_waves(const std::vector<uint32_t>& waves_percent);
Result<pb::Rollout> start_rollout(Rows& rows, Moment now, const RolloutStart& start, const Fleet& fleet,
                                  RolloutNews& news);

struct PlannedWave {
  uint32_t percent = 0, nodes = 0;
};
struct RolloutCensus {
  uint32_t matching = 0, reachable = 0;
  std::vector<PlannedWave> waves;
};
Result<RolloutCensus> plan_rollout(Moment now, const RolloutStart& start, const Fleet& fleet);

// What the node should run, and what its report means for the rollouts it takes part in.
struct Entitlement {
  bool keep = false;   // nothing live names this node: leave its assignment as it is
  std::string digest;  // "" = nothing
  std::string name, rollout;
  uint64_t size_bytes = 0;
  uint32_t probation_records = 0, probation_ms = 0;
  int64_t contact_within_ms = 0;  // call again by then, or a running rollout takes the node for dark; 0 = whenever
};
// `reported`: null when no report came with this call (a held answer made again).
Entitlement contact(Rows& rows, Moment now, const FleetNode& node, const wire::Reported* reported, RolloutNews& news);

// Counts, withdraws the dark, judges the gate, opens the next wave. up_ms: how long this hub has been answering; before
// dark_after nobody is dark, because it was the hub that was away (F4).
void scan_rollouts(Rows& rows, Moment now, int64_t up_ms, const Fleet& fleet, RolloutNews& news);
// At once if the fleet or a command changed something, else when the last scan is `every_ms` old.
bool scan_due(Rows& rows, Moment now, int64_t every_ms = kScanEveryMs);
void mark_fleet_changed(Rows& rows);

enum class RolloutAction : uint8_t { kPause, kResume, kPromote, kAbort, kAbortAndRollBack };
Result<pb::Rollout> command(Rows& rows, Moment now, std::string_view id, RolloutAction action, std::string_view actor,
                            RolloutNews& news);

std::optional<pb::Rollout> find_rollout(Rows& rows, std::string_view id);
std::vector<pb::Rollout> list_rollouts(Rows& rows);  // newest first
std::string exposure_key(std::string_view rollout, std::string_view node);
std::string_view rollout_state_name(pb::RolloutState state);
std::string_view exposure_state_name(pb::ExposureState state);

// ---- the gate: integers only, so that every compiler judges alike
enum class Verdict : uint8_t { kHold, kPass, kHalt };
struct GateInput {
  uint32_t exposed = 0, committed = 0, failed = 0;
  uint32_t wave_nodes = 0;  // how many the wave may expose in all
  bool wave_full = false;   // nobody is left to admit in this wave
  bool last_wave = false;
  uint32_t max_failure_permille = 100;
};
Verdict judge(const GateInput& input);

}  // namespace wb::hub
