// The checkers that need to see the hub or more than one device. Each names the promise it decides.
#include <algorithm>

#include "base/typed_rows.h"
#include "hub/api/audit.h"
#include "hub/ingest/ingest.h"
#include "hub/rollout/rollout.h"
#include "sim/fleet.h"

namespace wb::sim {
namespace {

constexpr int64_t kContactMs = 30'000;  // hub::HubConfig::next_contact_ms
constexpr uint64_t kEarlyRetries = 4;   // the allowance that a node starts with, and one more

// The record that was refused, in the dead letter that says so.
std::optional<wire::RecordUp> refused_record(const wire::RecordUp& letter) {
  wire::RecordUp inside;
  const bool is_one = letter.rule() == static_cast<uint32_t>(Rule::kDeadLetter) &&
                      !letter.raw().starts_with(kUnreadable) && inside.ParseFromString(letter.raw());
  return is_one ? std::optional(inside) : std::nullopt;
}

// The number of the reading that a record brings; a dead letter has it in its text.
uint64_t reading_of(const wire::RecordUp& record) {
  if (record.numbers_size() == 3) return static_cast<uint64_t>(record.numbers(0));
  return record.raw().starts_with(kUnreadable) ? std::stoull(record.raw().substr(kUnreadable.size())) : 0;
}

// The key of a row on the node, lane and number, is the end of its key at the hub.
std::string key_on_node(std::string_view key_at_hub) { return std::string(key_at_hub.substr(key_at_hub.size() - 9)); }

}  // namespace

void Fleet::violate(const std::string& promise, const std::string& text) {
  ++report_.violations_count;
  if (report_.violations.size() < Report::kViolationsMax)
    report_.violations.push_back({promise, text, clock_.now_ms()});
}

// ---- records

// What is stored of a node. Q2: the records of one stream are in order, and unaltered. Q3: a reading is in
// one stream once. B1: each has its inclusion probability. F6: its release is the one that served then.
Fleet::Readings Fleet::readings_at_hub(const SimNode& node, bool check) {
  Readings out;
  std::map<std::pair<std::string, uint32_t>, uint64_t> last_in;  // a copy's readings have larger numbers
  const std::string prefix = node.id() + std::string(1, '\0');
  rows_.scan(Table::kRecords, prefix, prefix, [&](std::string_view key, std::string_view value) {
    const auto record = wire::decode_record(value);
    hub::RecordId place;
    if (!record.ok() || !hub::parse_record_key(key, place)) {
      violate("Q2", node.id() + ": a record at the hub does not decode");
      return true;
    }
    if (record->rule() == static_cast<uint32_t>(Rule::kEvent)) return true;  // no reading
    if (const auto refused = refused_record(*record)) {
      if (!node.is_unwelcome(reading_of(*refused))) violate("Q1", node.id() + ": a letter of a record nobody refused");
      out[reading_of(*refused)].push_back(key_on_node(key));
      uint64_t none_before = 0;
      if (check) check_record(node, *refused, none_before);
      return true;
    }
    out[reading_of(*record)].push_back(key_on_node(key));
    if (check) check_record(node, *record, last_in[{place.incarnation, place.lane}]);
    return true;
  });
  return out;
}

void Fleet::check_record(const SimNode& node, const wire::RecordUp& record, uint64_t& last_in_stream) {
  decided("Q2 Q3 B1");
  const uint64_t id = reading_of(record);
  const std::string what = node.id() + ": reading " + std::to_string(id) + " ";
  if (id == last_in_stream) violate("Q3", what + "is in one stream twice");
  if (id < last_in_stream && !node.copied_) violate("Q2", what + "comes after " + std::to_string(last_in_stream));
  last_in_stream = id;
  const Reading given = node.reading(id);
  const bool as_given = node.is_unreadable(id) ? record.rule() == static_cast<uint32_t>(Rule::kDeadLetter)
                                               : record.numbers_size() == 3 && record.numbers(1) == given.heat &&
                                                     record.numbers(2) == given.spin;
  if (!as_given) violate("Q2", what + "is not what was given");
  if (!(record.inclusion_probability() > 0 && record.inclusion_probability() <= 1))
    violate("B1", what + "has no inclusion probability");
  const auto after = std::upper_bound(node.serving_from_.begin(), node.serving_from_.end(), id,
                                      [](uint64_t wanted, const auto& one) { return wanted < one.first; });
  if (after == node.serving_from_.begin()) return;  // of a copy
  decided("F6");
  if (std::prev(after)->second != record.release() && id < node.next_reading_)
    violate("F6", what + "says that " + record.release().substr(0, 12) + " served, it was " +
                      std::prev(after)->second.substr(0, 12));
}

uint64_t Fleet::hub_gap_of(const std::string& node_id) {
  uint64_t out = 0;
  for (const hub::StreamRow& stream : hub::streams_of(rows_, node_id)) out += stream.state.hub_gap();
  return out;
}

// Records of a stream that arrived, and whose rows were damaged before the ack came: the node cannot know, and counts
// them as lost.
uint64_t Fleet::arrived_and_damaged(const SimNode& node, std::string_view stream) {
  uint64_t out = 0;
  for (const std::string& key : node.rotted_records_)
    if (key[0] == stream.back() && rows_.get(Table::kRecords, std::string(stream) + key.substr(1))) ++out;
  return out;
}

// Q4: each stream adds up, has as many records as it counts, and, if it is the only one and nothing waits, agrees with
// what the node counts, but for what the node could not know.
void Fleet::check_streams(const SimNode& node, const AgentView& view) {
  const auto streams = hub::streams_of(rows_, node.id());
  std::map<uint32_t, int> of_lane;
  for (const hub::StreamRow& stream : streams) ++of_lane[stream.lane];
  for (const hub::StreamRow& stream : streams) {
    decided("Q4");
    const hub::pb::StreamState& state = stream.state;
    const std::string what = node.id() + ", lane " + std::to_string(stream.lane) + ": ";
    if (state.high_seq() != state.effected() + state.evicted() + state.lost() + state.hub_gap())
      violate("Q4", what + "the stream does not add up at the hub");
    uint64_t stored = 0;
    const std::string prefix = hub::stream_key(node.id(), stream.incarnation, stream.lane);
    rows_.scan(Table::kRecords, prefix, prefix, [&](std::string_view, std::string_view) { return ++stored > 0; });
    if (stored != state.effected())
      violate("Q4", what + std::to_string(stored) + " records are stored, " + std::to_string(state.effected()) +
                        " are counted");
    const outbox::LaneCounts& lane = view.outbox.lanes[stream.lane - 1];
    if (of_lane[stream.lane] > 1 || lane.waiting > 0 || node.forgot_ || node.copied_ || state.hub_gap() > 0) continue;
    if (lane.acked_seq != state.high_seq()) continue;
    const uint64_t unknown = arrived_and_damaged(node, prefix);
    if (lane.effected + unknown != state.effected() || lane.lost < state.lost() || lane.lost > state.lost() + unknown)
      violate("Q4", what + "the node counts " + std::to_string(lane.effected) + " effected and " +
                        std::to_string(lane.lost) + " lost, the hub " + std::to_string(state.effected()) + " and " +
                        std::to_string(state.lost()) + "; " + std::to_string(unknown) +
                        " arrived and were damaged before their acks came");
  }
}

// Q3: the hub counts each record of a dataset once.
void Fleet::check_datasets() {
  std::map<std::string, uint64_t> stored;
  rows_.scan(Table::kRecords, "", "", [&](std::string_view, std::string_view value) {
    if (const auto record = wire::decode_record(value); record.ok()) ++stored[record->pipeline()];
    return true;
  });
  rows_.scan(Table::kMeta, "dataset/", "dataset/", [&](std::string_view key, std::string_view value) {
    decided("Q3");
    hub::pb::DatasetRow row;
    const std::string name(key.substr(key.find('/') + 1));
    if (row.ParseFromArray(value.data(), static_cast<int>(value.size())) && row.records() != stored[name])
      violate("Q3", "dataset " + name + " counts " + std::to_string(row.records()) + " records, " +
                        std::to_string(stored[name]) + " are stored");
    return true;
  });
}

// H1: what the hub said is durable is there after its process was replaced.
void Fleet::check_acks_kept() {
  for (const auto& node : nodes_)
    for (const auto& [stream, told] : node->told_acks_) {
      decided("H1");
      const auto state = load_row<hub::pb::StreamState>(rows_, Table::kStreams,
                                                        hub::stream_key(node->id(), stream.first, stream.second));
      if (!state || state->high_seq() < told)
        violate("H1", node->id() + " was told that " + std::to_string(told) + " is durable, the hub has " +
                          std::to_string(state ? state->high_seq() : 0));
    }
}

// H4: the chain of the audit is whole.
void Fleet::check_audit() {
  decided("H4");
  if (const auto broken = hub::first_broken_audit(rows_))
    violate("H4", "the audit chain is broken at entry " + std::to_string(*broken));
}

uint64_t Fleet::audit_head() {
  const auto head = load_row<hub::pb::AuditEntry>(rows_, Table::kMeta, "audit");
  return head ? head->number() : 0;
}

// L2: a hub that is away and yet reached hears hardly more than regular contacts.
void Fleet::check_outage(int64_t lasted_ms) {
  if (away_ == Away::kRefuses) return;
  for (const auto& node : nodes_) {
    decided("L2");
    const auto regular = static_cast<uint64_t>(lasted_ms / kContactMs);
    const uint64_t allowed = regular + regular / 5 + kEarlyRetries * (1 + node->outage_boots_);
    if (node->outage_attempts_ > allowed)
      violate("L2", node->id() + " tried " + std::to_string(node->outage_attempts_) + " times in " +
                        std::to_string(lasted_ms / kMinuteMs) + " minutes, " + std::to_string(allowed) +
                        " are allowed");
  }
}

// ---- rollouts

std::optional<hub::pb::Rollout> Fleet::rollout_of(const std::string& id) {
  return load_row<hub::pb::Rollout>(rows_, Table::kRollouts, id);
}

hub::pb::ExposureState Fleet::exposure_of(const SimNode& node) {
  if (rollouts_.empty()) return hub::pb::EXPOSURE_NONE;
  const auto exposure =
      load_row<hub::pb::Exposure>(rows_, Table::kExposure, hub::exposure_key(rollouts_.back(), node.id()));
  return exposure ? exposure->state() : hub::pb::EXPOSURE_NONE;
}

// F1: a stage admits no more nodes than it allows, and a paused or halted rollout nobody. A node that was withdrawn
// (dark before it decided, F3) and has committed meanwhile by itself is a fact and no admission.
void Fleet::check_admission(const SimNode& node, hub::pb::ExposureState before) {
  const hub::pb::ExposureState after = exposure_of(node);
  const bool admitted = after == hub::pb::EXPOSURE_PENDING ? before != after : before == hub::pb::EXPOSURE_NONE;
  if (after == hub::pb::EXPOSURE_NONE || !admitted) return;
  const auto rollout = rollout_of(rollouts_.back());
  if (!rollout || rollout->state() == hub::pb::ROLLOUT_COMPLETED) return;
  decided("F1");
  if (rollout->state() == hub::pb::ROLLOUT_PAUSED || rollout->state() == hub::pb::ROLLOUT_ABORTED)
    return violate("F1", "rollout " + rollout->name() + " admits " + node.id() + " though it is paused or aborted");
  const auto stage = std::min<int>(static_cast<int>(rollout->stage()), rollout->waves_percent_size() - 1);
  const uint64_t percent = rollout->waves_percent(stage);
  const uint64_t allowed = std::max<uint64_t>(1, (percent * nodes_.size() + 99) / 100);
  uint64_t exposed = 0;
  for (const auto& other : nodes_) {
    const auto state = exposure_of(*other);
    exposed += state != hub::pb::EXPOSURE_NONE && state != hub::pb::EXPOSURE_WITHDRAWN ? 1 : 0;
  }
  if (exposed > allowed)
    violate("F1", "rollout " + rollout->name() + " admits " + node.id() + " and so exposes " + std::to_string(exposed) +
                      " of " + std::to_string(nodes_.size()) + " nodes in stage " + std::to_string(percent) + "%");
}

// F3 F4: a rollout moves on only because nodes committed, and halts only because nodes failed; a node counts as failed
// only if it has refused the release itself. F6: and as committed only if it has really run it.
void Fleet::check_rollouts() {
  for (const std::string& id : rollouts_) {
    const auto rollout = rollout_of(id);
    if (!rollout) continue;
    uint64_t committed = 0;
    uint64_t failed = 0;
    for (const auto& node : nodes_) {
      const auto exposure = load_row<hub::pb::Exposure>(rows_, Table::kExposure, hub::exposure_key(id, node->id()));
      if (!exposure) continue;
      if (exposure->state() == hub::pb::EXPOSURE_COMMITTED) {
        ++committed;
        decided("F6");
        if (!ran_[node->id()].contains(rollout->digest()))
          violate("F6", node->id() + " counts as running " + rollout->name() + " and never did");
      }
      if (exposure->state() != hub::pb::EXPOSURE_FAILED) continue;
      ++failed;
      decided("F3");
      if (!refused_[node->id()].contains(rollout->digest()))
        violate("F3", node->id() + " counts as failed with " + rollout->name() + " and never refused it");
    }
    if (forced_.contains(id)) continue;
    decided("F4");
    if (rollout->state() == hub::pb::ROLLOUT_HALTED && failed == 0)
      violate("F4", "rollout " + rollout->name() + " halted though no node failed");
    // A node that committed may have failed with it since.
    const bool proved = committed > 0 || std::any_of(ran_.begin(), ran_.end(), [&](const auto& one) {
                          return one.second.contains(rollout->digest());
                        });
    if ((rollout->stage() > 0 || rollout->state() == hub::pb::ROLLOUT_COMPLETED) && !proved)
      violate("F4", "rollout " + rollout->name() + " went on though no node committed");
  }
}

void Fleet::check_end() {
  check_acks_kept();
  check_audit();
  check_datasets();
  check_rollouts();
  for (const auto& node : nodes_) {
    node->check_now();
    node->check_last();
  }
  for (const std::string& id : rollouts_) {
    const auto rollout = rollout_of(id);
    if (!rollout) continue;
    if (rollout->state() == hub::pb::ROLLOUT_HALTED) ++report_.halted_rollouts;
    const Kind kind = kinds_[rollout->digest()];
    decided("F1", kind == Kind::kSwapped || kind == Kind::kDeadly ? 1 : 0);
    if ((kind == Kind::kSwapped || kind == Kind::kDeadly) && rollout->state() == hub::pb::ROLLOUT_COMPLETED &&
        !forced_.contains(id))
      violate("F1", "the bad release " + rollout->name() + " was rolled out to the end");
  }
  // F3: whoever was away blocks nothing, so the last rollout is over.
  const auto last = rollouts_.empty() ? std::nullopt : rollout_of(rollouts_.back());
  decided("F3");
  const bool anybody = std::any_of(nodes_.begin(), nodes_.end(), [](const auto& node) { return !node->revoked; });
  if (anybody && (!last || last->state() != hub::pb::ROLLOUT_COMPLETED))
    violate("F3", "the last rollout is not over in the end");
}

}  // namespace wb::sim
