#pragma once
// telemetry: what the nodes last said, merged over the fleet with its age and its coverage, and what happened to a node
// or a release, in order. Nothing here is a guess: a node that has not been heard counts as unknown, never as its last
// state.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/rows.h"
#include "base/step.h"
#include "hub.pb.h"
#include "wire/wire.h"

namespace wb::hub {

// Events kept per subject; the oldest make room.
inline constexpr uint64_t kEventsPerNodeMax = 256;
inline constexpr uint64_t kEventsPerReleaseMax = 2'048;
inline constexpr int64_t kTelemetryEveryMs = 10'000;  // an unchanged report is written again this often

// Keeps the newest report of one node. Counters move with every record, so they are written with the report when
// anything a person would look at has changed, and otherwise at most every kTelemetryEveryMs.
void record_report(Rows& rows, Moment now, std::string_view node_id, const wire::ExchangeRequest& request);
std::optional<pb::NodeTelemetry> last_report(Rows& rows, std::string_view node_id);

// ---- merging
void merge(wire::ScoreSketch& into, const wire::ScoreSketch& from);
void merge(wire::Counters& into, const wire::Counters& from);

struct ReleaseHealth {
  std::string digest, name;
  uint32_t nodes = 0;
  wire::ScoreSketch sketch;
};
struct FleetSummary {
  int64_t as_of_ms = 0;
  uint32_t nodes = 0;                             // enrolled and not revoked
  uint32_t now = 0;                               // heard within fresh_ms
  uint32_t earlier = 0;                           // heard, but longer ago
  uint32_t unknown = 0;                           // never heard
  int64_t oldest_ms = 0;                          // age of the oldest report that is part of the sums
  wire::Counters counters;                        // over `now` and `earlier`
  std::map<std::string, ReleaseHealth> releases;  // by digest running; "" = nothing
  std::map<std::string, uint32_t> phases;         // deploy phase → nodes
};
// One node of the fleet, as the registry knows it.
struct FleetMember {
  std::string id;
  int64_t last_contact_ms = 0;
};
FleetSummary summarise(Rows& rows, Moment now, int64_t fresh_ms,
                       const std::function<void(const std::function<void(const FleetMember&)>&)>& members);

std::string_view phase_name(wire::DeployPhase phase);

// ---- events
struct EventSubject {
  static std::string node(std::string_view id) { return "n/" + std::string(id); }
  static std::string release(std::string_view digest) { return "r/" + std::string(digest); }
};
// Numbers and stamps the event, and keeps it under its node and its release (each if it names one).
void note(Rows& rows, Moment now, pb::Event event);
std::vector<pb::Event> events_of(Rows& rows, std::string_view subject);  // oldest first
// What changed between two reports of a node, as events.
void note_report_changes(Rows& rows, Moment now, std::string_view node_id,
                         const std::optional<pb::NodeTelemetry>& before, const wire::Reported& reported);

}  // namespace wb::hub
