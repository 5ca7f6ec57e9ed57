#include "hub/telemetry/telemetry.h"

#include <algorithm>
#include <cmath>

#include "base/age.h"
#include "base/typed_rows.h"

namespace wb::hub {
namespace {

constexpr double kWeightMax = 1e300;  // is a number in JSON, which infinity is not

// What a node reports is its own claim, up to 2^64 - 1: a sum stays there. Wrapped, one node could make a fleet of many
// losses look like one of none.
uint64_t plus(uint64_t a, uint64_t b) { return a + b >= a ? a + b : UINT64_MAX; }
double plus(double a, double b) { return std::isfinite(b) && b > 0 ? std::min(a + b, kWeightMax) : a; }

template <class Field>
void add_bins(Field& into, const Field& from) {
  while (into.size() < from.size()) into.Add(0);
  for (int i = 0; i < from.size(); ++i) into.Set(i, plus(into.Get(i), from.Get(i)));
}

// Of a report, what changes by itself while nothing happens.
bool differs_to_a_person(const pb::NodeTelemetry& before, const wire::ExchangeRequest& request) {
  const wire::Reported& a = before.reported();
  const wire::Reported& b = request.reported();
  return a.running_digest() != b.running_digest() || a.phase() != b.phase() ||
         a.candidate_digest() != b.candidate_digest() || a.desired_generation() != b.desired_generation() ||
         a.quarantined_size() != b.quarantined_size() || a.waiting_for() != b.waiting_for() ||
         before.counters().lost() != request.counters().lost() ||
         before.counters().records_in() != request.counters().records_in() ||
         before.counters().bytes_up() != request.counters().bytes_up();
}

}  // namespace

std::optional<pb::NodeTelemetry> last_report(Rows& rows, std::string_view node_id) {
  return load_row<pb::NodeTelemetry>(rows, Table::kTelemetry, node_id);
}

void record_report(Rows& rows, Moment now, std::string_view node_id, const wire::ExchangeRequest& request) {
  if (!request.has_reported() && !request.has_counters()) return;  // a contact without a report says nothing new
  const auto before = last_report(rows, node_id);
  note_report_changes(rows, now, node_id, before, request.reported());
  const int64_t age = before ? age_ms(now.unix_ms, before->received_ms()) : 0;
  if (before && age >= 0 && age < kTelemetryEveryMs && !differs_to_a_person(*before, request)) return;
  pb::NodeTelemetry row;
  *row.mutable_reported() = request.reported();
  *row.mutable_counters() = request.counters();
  row.set_received_ms(now.unix_ms);
  row.set_node_unix_ms(request.unix_ms());
  row.set_waiting_bytes(request.waiting_bytes());
  save_row(rows, Table::kTelemetry, node_id, row);
}

void merge(wire::ScoreSketch& into, const wire::ScoreSketch& from) {
  add_bins(*into.mutable_confidence_bins(), from.confidence_bins());
  add_bins(*into.mutable_latency_bins_us(), from.latency_bins_us());
  add_bins(*into.mutable_novelty_bins(), from.novelty_bins());
  into.set_records(plus(into.records(), from.records()));
  into.set_errors(plus(into.errors(), from.errors()));
  for (int i = 0; i < std::min(from.labels_size(), from.label_counts_size()); ++i) {
    const auto found = std::find(into.labels().begin(), into.labels().end(), from.labels(i));
    const int at = static_cast<int>(found - into.labels().begin());
    if (found == into.labels().end()) {
      if (into.labels_size() >= static_cast<int>(limits::kClassesMax)) continue;  // hostile: a model has no more
      into.add_labels(from.labels(i));
      into.add_label_counts(0);
    }
    into.set_label_counts(at, plus(into.label_counts(at), from.label_counts(i)));
  }
}

void merge(wire::Counters& into, const wire::Counters& from) {
  into.set_records_in(plus(into.records_in(), from.records_in()));
  into.set_records_rejected(plus(into.records_rejected(), from.records_rejected()));
  into.set_records_filtered(plus(into.records_filtered(), from.records_filtered()));
  into.set_records_scored(plus(into.records_scored(), from.records_scored()));
  into.set_records_not_sent(plus(into.records_not_sent(), from.records_not_sent()));
  into.set_outbox_records(plus(into.outbox_records(), from.outbox_records()));
  into.set_outbox_bytes(plus(into.outbox_bytes(), from.outbox_bytes()));
  into.set_oldest_waiting_ms(std::max<uint64_t>(into.oldest_waiting_ms(), from.oldest_waiting_ms()));
  into.set_bytes_up(plus(into.bytes_up(), from.bytes_up()));
  into.set_bytes_seen(plus(into.bytes_seen(), from.bytes_seen()));
  into.set_lost(plus(into.lost(), from.lost()));
  into.set_actions(plus(into.actions(), from.actions()));
  into.set_boots(plus(into.boots(), from.boots()));
  into.set_offline_ms(plus(into.offline_ms(), from.offline_ms()));
  into.set_dead_letters(plus(into.dead_letters(), from.dead_letters()));
  into.set_damaged_rows(plus(into.damaged_rows(), from.damaged_rows()));
  into.set_refused_by_hub(plus(into.refused_by_hub(), from.refused_by_hub()));
  for (const wire::RuleCount& rule : from.rules()) {
    const auto found = std::find_if(into.mutable_rules()->begin(), into.mutable_rules()->end(),
                                    [&](const wire::RuleCount& known) { return known.rule() == rule.rule(); });
    wire::RuleCount* sum = found == into.mutable_rules()->end() ? nullptr : &*found;
    if (sum == nullptr) {
      if (into.rules_size() >= 64) continue;
      sum = into.add_rules();
      sum->set_rule(rule.rule());
    }
    sum->set_selected(plus(sum->selected(), rule.selected()));
    sum->set_uploaded(plus(sum->uploaded(), rule.uploaded()));
    sum->set_evicted(plus(sum->evicted(), rule.evicted()));
    sum->set_evicted_weight(plus(sum->evicted_weight(), rule.evicted_weight()));
  }
}

FleetSummary summarise(Rows& rows, Moment now, int64_t fresh_ms,
                       const std::function<void(const std::function<void(const FleetMember&)>&)>& members) {
  FleetSummary out;
  out.as_of_ms = now.unix_ms;
  members([&](const FleetMember& member) {
    ++out.nodes;
    if (member.last_contact_ms == 0) {
      ++out.unknown;
      return;
    }
    const int64_t age = std::max<int64_t>(0, age_ms(now.unix_ms, member.last_contact_ms));
    ++(age <= fresh_ms ? out.now : out.earlier);
    const auto report = last_report(rows, member.id);
    if (!report) return;
    out.oldest_ms = std::max(out.oldest_ms, age);
    merge(out.counters, report->counters());
    const wire::Reported& reported = report->reported();
    ++out.phases[std::string(phase_name(reported.phase()))];
    ReleaseHealth& release = out.releases[reported.running_digest()];
    release.digest = reported.running_digest();
    release.name = reported.running_name();
    ++release.nodes;
    merge(release.sketch, reported.running_sketch());
  });
  return out;
}

std::string_view phase_name(wire::DeployPhase phase) {
  switch (phase) {
    case wire::DEPLOY_IDLE: return "idle";
    case wire::DEPLOY_FETCHING: return "fetching";
    case wire::DEPLOY_VERIFYING: return "verifying";
    case wire::DEPLOY_PROBATION: return "probation";
    case wire::DEPLOY_COMMITTED: return "committed";
    case wire::DEPLOY_ROLLED_BACK: return "rolled_back";
    case wire::DEPLOY_REJECTED: return "rejected";
    case wire::DEPLOY_SAFE_MODE: return "safe_mode";
    default: return "unknown";
  }
}

}  // namespace wb::hub
