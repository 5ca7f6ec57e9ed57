// B4: what the hub can say of a node's readings, from the records that came and the losses that were declared, against
// what the simulated device knows.
#include "sim/estimates.h"

#include <cmath>

#include "hub/ingest/ingest.h"
#include "sim/fleet.h"

namespace wb::sim {
namespace {

constexpr double kSampleRate = 0.1;  // of the simulated pipeline; anomalies all go

struct Sum {
  uint64_t count = 0;
  double selected = 0;  // of 1 / thinning
  double selected_variance = 0;
  double readings = 0;  // of 1 / inclusion probability
  double readings_variance = 0;
};

double variance_of(double p) { return (1 - p) / (p * p); }

}  // namespace

Estimate& Estimate::operator+=(const Estimate& other) {
  nodes += other.nodes;
  truth += other.truth;
  estimated += other.estimated;
  variance += other.variance;
  squares += other.squares;
  return *this;
}

Estimates& Estimates::operator+=(const Estimates& other) {
  readings += other.readings;
  thinned += other.thinned;
  lossy += other.lossy;
  return *this;
}

// In the end, of a node whose memory is whole and from which nothing waits any more. Without evictions and losses the
// count of what was selected is exact.
void Fleet::check_estimates(const SimNode& node, const AgentView& view) {
  if (node.forgot_ || node.copied_ || !node.lost_by_hub_.empty() || hub_gap_of(node.id()) > 0) return;
  if (view.outbox.waiting_count > 0) return;
  decided("B4");
  Sum sum;
  const std::string prefix = node.id() + std::string(1, '\0');
  rows_.scan(Table::kRecords, prefix, prefix, [&](std::string_view, std::string_view value) {
    const auto record = wire::decode_record(value);
    if (!record.ok()) return true;                                           // told by check_record
    if (record->rule() == static_cast<uint32_t>(Rule::kEvent)) return true;  // no reading
    const double p = record->inclusion_probability();
    const double thinning = record->rule() == static_cast<uint32_t>(Rule::kSample) ? p / kSampleRate : p;
    ++sum.count;
    sum.selected += 1 / thinning;
    sum.selected_variance += variance_of(thinning);
    if (record->rule() == static_cast<uint32_t>(Rule::kDeadLetter)) return true;  // no reading
    sum.readings += 1 / p;
    sum.readings_variance += variance_of(p);
    return true;
  });
  double selected = 0;
  uint64_t evicted = 0;
  for (const outbox::RuleCounts& rule : view.outbox.rules) {
    if (&rule == &view.outbox.rules[static_cast<size_t>(Rule::kEvent) - 1]) continue;
    selected += static_cast<double>(rule.selected);
    evicted += rule.evicted;
  }
  uint64_t lost = 0;
  for (const hub::StreamRow& stream : hub::streams_of(rows_, node.id())) lost += stream.state.lost();
  const auto add = [](Estimate& to, double truth, double estimated, double variance) {
    to += Estimate{to.of, 1, truth, estimated, variance, (estimated - truth) * (estimated - truth)};
  };
  if (lost == 0)
    add(report_.estimates.readings, static_cast<double>(node.readings_taken_), sum.readings, sum.readings_variance);
  if (evicted == 0 && lost == 0 && std::abs(sum.selected - selected) > 1e-6 * selected)
    violate("B4", node.id() + ": " + std::to_string(selected) +
                      " records were selected and none dropped, those that came stand for " +
                      std::to_string(sum.selected));
  if (evicted > 0 && lost == 0) add(report_.estimates.thinned, selected, sum.selected, sum.selected_variance);
  if (lost > 0 && sum.count > 0) {
    const double each = 1 + static_cast<double>(lost) / static_cast<double>(sum.count);
    add(report_.estimates.lossy, selected, sum.selected * each, sum.selected_variance * each * each);
  }
}

}  // namespace wb::sim
