// Starting a rollout, and the scan: one pass over the fleet per running rollout. It recounts everything from the rows,
// so that a counter that went wrong is right again a second later.
#include <algorithm>
#include <set>

#include "base/age.h"
#include "base/bytes.h"
#include "base/planted.h"
#include "base/prng.h"
#include "base/typed_rows.h"
#include "hub/rollout/internal.h"
#include "hub/rollout/rollout.h"

namespace wb::hub {
namespace internal {

constexpr std::string_view kLiveKey = "rollouts";

pb::LiveRollouts load_live(Rows& rows) {
  return load_row<pb::LiveRollouts>(rows, Table::kMeta, kLiveKey).value_or(pb::LiveRollouts{});
}
void save_live(Rows& rows, const pb::LiveRollouts& live) { save_row(rows, Table::kMeta, kLiveKey, live); }
void save_rollout(Rows& rows, const pb::Rollout& rollout) { save_row(rows, Table::kRollouts, rollout.id(), rollout); }

void count(pb::Rollout& rollout, pb::ExposureState state, int by) {
  const auto shift = [by](uint32_t value) { return static_cast<uint32_t>(std::max<int64_t>(0, int64_t{value} + by)); };
  switch (state) {
    case pb::EXPOSURE_COMMITTED: rollout.set_committed(shift(rollout.committed())); break;
    case pb::EXPOSURE_FAILED: rollout.set_failed(shift(rollout.failed())); break;
    case pb::EXPOSURE_WITHDRAWN: rollout.set_withdrawn(shift(rollout.withdrawn())); return;
    case pb::EXPOSURE_PENDING: break;
    default: return;
  }
  rollout.set_exposed(shift(rollout.exposed()));
}

void tell(RolloutNews& news, const pb::Rollout& rollout, std::string_view kind, std::string_view node,
          std::string text) {
  news.items.push_back(
      {std::string(kind), std::string(node), rollout.id(), rollout.digest(), rollout.name(), std::move(text)});
}

void halt(Rows& rows, Moment now, pb::LiveRollouts& live, pb::Rollout& rollout, RolloutNews& news) {
  rollout.set_state(pb::ROLLOUT_HALTED);
  rollout.set_changed_ms(now.unix_ms);
  rollout.set_reason("gate failed: " + std::to_string(rollout.failed()) + " of " +
                     std::to_string(rollout.failed() + rollout.committed()) + " nodes that decided took it back");
  live.add_halted_digests(rollout.digest());
  if (live.halted_digests_size() > static_cast<int>(kLiveRolloutsMax) * 4)
    live.mutable_halted_digests()->erase(live.halted_digests().begin());
  save_live(rows, live);
  save_rollout(rows, rollout);
  tell(news, rollout, "rollout_halted", "", rollout.reason());
  news.wake_all = true;
}

uint64_t bucket(const pb::Rollout& rollout, std::string_view node) { return keyed_hash(rollout.salt(), node); }

uint32_t wave_size(uint32_t percent, uint32_t nodes) {
  const auto share = static_cast<uint32_t>((uint64_t{percent} * nodes + 99) / 100);
  return std::max<uint32_t>(1, planted(Bug::kWaveRoundsUp) ? share + 1 : share);
}

bool is_dark(Moment now, int64_t up_ms, int64_t dark_after_ms, int64_t last_contact_ms) {
  if (up_ms < dark_after_ms && last_contact_ms != 0) return false;
  return last_contact_ms == 0 || age_ms(now.unix_ms, last_contact_ms) > dark_after_ms;
}

}  // namespace internal

namespace {
using namespace internal;  // NOLINT: this file implements it

bool contains(const auto& list, std::string_view what) {
  return std::find(list.begin(), list.end(), what) != list.end();
}

struct Census {
  std::vector<std::pair<uint64_t, std::string>> candidates;  // bucket, node: reachable, not exposed yet
  uint32_t reachable_exposed = 0;
};

// Counts the rollout anew and withdraws those that went dark undecided or are no longer named.
Census recount(Rows& rows, Moment now, int64_t up_ms, pb::Rollout& rollout, const Selector& selector,
               const Fleet& fleet, RolloutNews& news) {
  const std::string prefix = rollout.id() + '\0';
  std::map<std::string, pb::Exposure, std::less<>> exposures;
  rows.scan(Table::kExposure, prefix, {}, [&](std::string_view key, std::string_view value) {
    pb::Exposure exposure;
    if (parse_row(value, exposure)) exposures.emplace(key.substr(prefix.size()), std::move(exposure));
    return true;
  });
  rollout.set_matching(0);
  rollout.set_reachable(0);
  rollout.set_exposed(0);
  rollout.set_committed(0);
  rollout.set_failed(0);
  rollout.set_withdrawn(0);
  Census census;
  const auto withdraw = [&](const std::string& node, pb::Exposure& exposure, std::string_view why) {
    exposure.set_state(planted(Bug::kDarkCountsAsFailed) ? pb::EXPOSURE_FAILED : pb::EXPOSURE_WITHDRAWN);
    exposure.set_decided_ms(now.unix_ms);
    exposure.set_reason(std::string(why));
    save_row(rows, Table::kExposure, prefix + node, exposure);
    tell(news, rollout, "withdrawn", node, std::string(why));
  };
  fleet([&](const FleetNode& node) {
    if (node.revoked || !selector.matches(node.labels)) return;
    const bool dark = is_dark(now, up_ms, rollout.dark_after_ms(), node.last_contact_ms);
    rollout.set_matching(rollout.matching() + 1);
    if (!dark) rollout.set_reachable(rollout.reachable() + 1);
    const auto found = exposures.find(node.id);
    const bool known = found != exposures.end();
    if (known && found->second.state() == pb::EXPOSURE_PENDING && dark)
      withdraw(node.id, found->second, "no contact; its place in the wave is free again");
    if (known) count(rollout, found->second.state(), +1);
    const bool exposed = known && found->second.state() != pb::EXPOSURE_WITHDRAWN;
    if (exposed && !dark) ++census.reachable_exposed;
    if (!exposed && !dark && !contains(node.quarantined, rollout.digest()))
      census.candidates.emplace_back(bucket(rollout, node.id), node.id);
    if (known) exposures.erase(found);
  });
  for (auto& [node, exposure] : exposures) {  // revoked, gone, or labelled otherwise meanwhile
    if (exposure.state() == pb::EXPOSURE_PENDING) withdraw(node, exposure, "no longer named by the selector");
    if (exposure.state() == pb::EXPOSURE_COMMITTED || exposure.state() == pb::EXPOSURE_FAILED)
      count(rollout, exposure.state(), +1);
  }
  std::sort(census.candidates.begin(), census.candidates.end());
  return census;
}

// Opens as much room as the stage has: by all matching nodes and by the reachable ones, whichever is less (F1, F3).
void open_wave(pb::Rollout& rollout, const Census& census, RolloutNews& news) {
  const uint32_t percent = rollout.waves_percent(static_cast<int>(rollout.stage()));
  uint32_t room = 0;
  if (percent >= 100) {
    room = static_cast<uint32_t>(census.candidates.size());
  } else {
    const uint32_t most = wave_size(percent, rollout.matching());
    const uint32_t most_reachable = wave_size(percent, rollout.reachable());
    const uint32_t room_all = most - std::min(most, rollout.exposed());
    const uint32_t room_reachable = most_reachable - std::min(most_reachable, census.reachable_exposed);
    room = std::min({room_all, room_reachable, static_cast<uint32_t>(census.candidates.size())});
  }
  rollout.set_wanted(rollout.exposed() + room);
  rollout.set_admit_below(room == 0 ? 0 : census.candidates[room - 1].first);
  if (rollout.state() != pb::ROLLOUT_RUNNING) return;
  for (uint32_t i = 0; i < room; ++i) news.wakes.push_back(census.candidates[i].second);
}

void advance(Rows& rows, Moment now, pb::LiveRollouts& live, pb::Rollout& rollout, RolloutNews& news) {
  GateInput input;
  input.exposed = rollout.exposed();
  input.committed = rollout.committed();
  input.failed = rollout.failed();
  input.wave_nodes = std::max(rollout.exposed(), rollout.wanted());
  input.wave_full = rollout.wanted() <= rollout.exposed();
  input.last_wave = static_cast<int>(rollout.stage()) + 1 >= rollout.waves_percent_size();
  input.max_failure_permille = rollout.max_failure_permille();
  const Verdict verdict = judge(input);
  if (verdict == Verdict::kHalt) return halt(rows, now, live, rollout, news);
  if (verdict == Verdict::kHold || rollout.state() != pb::ROLLOUT_RUNNING) return;
  rollout.set_changed_ms(now.unix_ms);
  if (input.last_wave) {
    rollout.set_state(pb::ROLLOUT_COMPLETED);
    rollout.set_reason("");
    tell(news, rollout, "rollout_completed", "", std::to_string(rollout.committed()) + " nodes run it");
    news.wake_all = true;
    return;
  }
  rollout.set_stage(rollout.stage() + 1);
  tell(news, rollout, "wave", "",
       "wave of " + std::to_string(rollout.waves_percent(static_cast<int>(rollout.stage()))) + " %");
}

void scan_one(Rows& rows, Moment now, int64_t up_ms, pb::LiveRollouts& live, pb::Rollout& rollout, const Fleet& fleet,
              RolloutNews& news) {
  const auto selector = Selector::parse(rollout.selector());
  if (!selector.ok()) return;
  const Census census = recount(rows, now, up_ms, rollout, *selector, fleet, news);
  open_wave(rollout, census, news);  // what the stage allows now: only then is known whether it is full
  const uint32_t stage = rollout.stage();
  advance(rows, now, live, rollout, news);
  if (rollout.stage() != stage) open_wave(rollout, census, news);
  rollout.set_scanned_ms(now.unix_ms);
  save_rollout(rows, rollout);
}

std::vector<std::string> label_names(const Fleet& fleet, uint32_t& nodes_count) {
  std::vector<std::string> names = {"node"};
  fleet([&](const FleetNode& node) {
    ++nodes_count;
    for (const auto& [key, value] : node.labels) names.push_back(key);
    if (names.size() > 4'096) {
      std::sort(names.begin(), names.end());
      names.erase(std::unique(names.begin(), names.end()), names.end());
    }
  });
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

// Most selectors that name nobody are typing errors; a rollout to nobody would never end. An empty fleet is another
// matter: its nodes are still to come.
Status check_reach(const RolloutStart& start, const Selector& selector, const Fleet& fleet) {
  constexpr size_t kValuesMax = 256;
  bool any = false;
  bool matched = false;
  std::map<std::string, std::set<std::string>, std::less<>> values;
  fleet([&](const FleetNode& node) {
    any = true;
    matched = matched || (!node.revoked && selector.matches(node.labels));
    if (matched) return;
    for (const auto& [key, value] : node.labels)
      if (auto& seen = values[key]; seen.size() < kValuesMax) seen.insert(value);
  });
  if (matched || !any) return ok_status();
  return fail(Code::kInvalid, "no node matches '", start.selector, "'", selector.unknown_value(values),
              "; `waybill node list` shows the nodes and their labels");
}

Result<Selector> check_start(const RolloutStart& start, const Fleet& fleet) {
  WB_CHECK(check_waves(start.waves_percent));
  WB_TRY(Selector selector, Selector::parse(start.selector));
  if (start.max_failure_permille >= 1'000) return fail(Code::kInvalid, "max_failure must be below 100 %");
  uint32_t nodes_count = 0;
  const auto names = label_names(fleet, nodes_count);
  if (nodes_count > 0) WB_CHECK(selector.check_labels(names));  // an empty fleet has no labels to compare with
  return selector;
}

}  // namespace

Status check_waves(const std::vector<uint32_t>& waves) {
  if (waves.empty() || waves.size() > kWavesMax)
    return fail(Code::kInvalid, "waves: give 1 to ", std::to_string(kWavesMax), " percentages");
  uint32_t last = 0;
  for (const uint32_t percent : waves) {
    if (percent <= last || percent > 100)
      return fail(Code::kInvalid, "waves must rise, from at least 1 to 100; found ", std::to_string(percent));
    last = percent;
  }
  if (last != 100) return fail(Code::kInvalid, "the last wave must be 100");
  return ok_status();
}

Result<RolloutCensus> plan_rollout(Moment now, const RolloutStart& start, const Fleet& fleet) {
  WB_TRY(const Selector selector, check_start(start, fleet));
  RolloutCensus out;
  fleet([&](const FleetNode& node) {
    if (node.revoked || !selector.matches(node.labels)) return;
    ++out.matching;
    if (!is_dark(now, start.dark_after_ms, start.dark_after_ms, node.last_contact_ms)) ++out.reachable;
  });
  for (const uint32_t percent : start.waves_percent)
    out.waves.push_back({percent, out.matching == 0 ? 0 : std::min(out.matching, wave_size(percent, out.matching))});
  return out;
}

Result<pb::Rollout> start_rollout(Rows& rows, Moment now, const RolloutStart& start, const Fleet& fleet,
                                  RolloutNews& news) {
  WB_TRY(const Selector selector, check_start(start, fleet));
  WB_CHECK(check_reach(start, selector, fleet));
  pb::LiveRollouts live = load_live(rows);
  if (contains(live.halted_digests(), start.digest)) {
    if (!start.allow_halted)
      return fail(
          Code::kDenied, start.name,
          " was halted by its gate before; build a new version, or start it with --allow-halted (allow_halted)");
    auto* halted = live.mutable_halted_digests();
    halted->erase(std::remove(halted->begin(), halted->end(), start.digest), halted->end());
  }
  for (const std::string& id : live.ids()) {
    auto other = find_rollout(rows, id);
    if (!other || (other->state() != pb::ROLLOUT_RUNNING && other->state() != pb::ROLLOUT_PAUSED)) continue;
    const auto others = Selector::parse(other->selector());
    bool overlap = others.ok() && other->selector() == start.selector;
    fleet([&](const FleetNode& node) {
      overlap =
          overlap || (others.ok() && !node.revoked && others->matches(node.labels) && selector.matches(node.labels));
    });
    if (!overlap) continue;
    if (!start.supersede)
      return fail(Code::kExists, "rollout ", id, " of ", other->name(),
                  " still runs on some of these nodes; wait for it, `waybill rollout abort ", id,
                  "`, or end it with --supersede (supersede)");
    WB_TRY(const pb::Rollout ended, command(rows, now, id, RolloutAction::kAbort, start.actor, news));
    (void)ended;
  }
  pb::Rollout rollout;
  live.set_next_id(live.next_id() + 1);
  rollout.set_id("r" + std::to_string(live.next_id()));
  rollout.set_digest(start.digest);
  rollout.set_name(start.name);
  rollout.set_size_bytes(start.size_bytes);
  rollout.set_selector(start.selector);
  for (const uint32_t percent : start.waves_percent) rollout.add_waves_percent(percent);
  rollout.set_state(pb::ROLLOUT_RUNNING);
  rollout.set_created_ms(now.unix_ms);
  rollout.set_changed_ms(now.unix_ms);
  rollout.set_created_by(start.actor);
  rollout.set_salt(keyed_hash(live.next_id(), start.digest));
  rollout.set_dark_after_ms(start.dark_after_ms);
  rollout.set_max_failure_permille(start.max_failure_permille);
  rollout.set_probation_records(start.probation_records);
  rollout.set_probation_ms(start.probation_ms);
  save_rollout(rows, rollout);
  live.mutable_ids()->Add(std::string(rollout.id()));
  std::rotate(live.mutable_ids()->begin(), live.mutable_ids()->end() - 1, live.mutable_ids()->end());
  if (live.ids_size() > static_cast<int>(kLiveRolloutsMax)) live.mutable_ids()->RemoveLast();
  live.set_dirty(true);
  if (live.shortest_dark_ms() == 0 || start.dark_after_ms < live.shortest_dark_ms())
    live.set_shortest_dark_ms(start.dark_after_ms);
  save_live(rows, live);
  tell(news, rollout, "rollout_started", "", "to '" + start.selector + "'");
  return rollout;
}

bool scan_due(Rows& rows, Moment now, int64_t every_ms) {
  const pb::LiveRollouts live = load_live(rows);
  if (live.ids_size() == 0) return false;
  // A clock that went back must not stop the rollouts (T3).
  return live.dirty() || age_ms(now.unix_ms, live.scanned_ms()) >= every_ms || now.unix_ms < live.scanned_ms();
}

void mark_fleet_changed(Rows& rows) {
  pb::LiveRollouts live = load_live(rows);
  if (live.ids_size() == 0 || live.dirty()) return;
  live.set_dirty(true);
  save_live(rows, live);
}

void scan_rollouts(Rows& rows, Moment now, int64_t up_ms, const Fleet& fleet, RolloutNews& news) {
  pb::LiveRollouts live = load_live(rows);
  live.set_shortest_dark_ms(0);
  for (int i = 0; i < live.ids_size(); ++i) {
    auto rollout = find_rollout(rows, live.ids(i));
    if (!rollout || (rollout->state() != pb::ROLLOUT_RUNNING && rollout->state() != pb::ROLLOUT_PAUSED)) continue;
    if (live.shortest_dark_ms() == 0 || rollout->dark_after_ms() < live.shortest_dark_ms())
      live.set_shortest_dark_ms(rollout->dark_after_ms());
    scan_one(rows, now, up_ms, live, *rollout, fleet, news);
  }
  live.set_dirty(false);
  live.set_scanned_ms(now.unix_ms);
  save_live(rows, live);
}

namespace {
// A row that this module cannot have written counts as absent, as one that does not parse.
bool is_sound(const pb::Rollout& rollout, std::string_view id) {
  return rollout.id() == id && rollout.stage() < static_cast<uint32_t>(rollout.waves_percent_size());
}
}  // namespace

std::optional<pb::Rollout> find_rollout(Rows& rows, std::string_view id) {
  auto rollout = load_row<pb::Rollout>(rows, Table::kRollouts, id);
  if (rollout && !is_sound(*rollout, id)) return std::nullopt;
  return rollout;
}

std::vector<pb::Rollout> list_rollouts(Rows& rows) {
  std::vector<pb::Rollout> out;
  rows.scan(Table::kRollouts, "", "", [&](std::string_view id, std::string_view value) {
    pb::Rollout rollout;
    if (parse_row(value, rollout) && is_sound(rollout, id)) out.push_back(std::move(rollout));
    return true;
  });
  std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) {
    return a.id().size() != b.id().size() ? a.id().size() > b.id().size() : a.id() > b.id();
  });
  return out;
}

std::string exposure_key(std::string_view rollout, std::string_view node) {
  std::string key(rollout);
  key += '\0';
  key += node;
  return key;
}

std::string_view rollout_state_name(pb::RolloutState state) {
  switch (state) {
    case pb::ROLLOUT_RUNNING: return "running";
    case pb::ROLLOUT_PAUSED: return "paused";
    case pb::ROLLOUT_HALTED: return "halted";
    case pb::ROLLOUT_COMPLETED: return "completed";
    case pb::ROLLOUT_ABORTED: return "aborted";
    default: return "unknown";
  }
}

std::string_view exposure_state_name(pb::ExposureState state) {
  switch (state) {
    case pb::EXPOSURE_PENDING: return "exposed";
    case pb::EXPOSURE_COMMITTED: return "committed";
    case pb::EXPOSURE_FAILED: return "failed";
    case pb::EXPOSURE_WITHDRAWN: return "withdrawn";
    default: return "not exposed";
  }
}

}  // namespace wb::hub
