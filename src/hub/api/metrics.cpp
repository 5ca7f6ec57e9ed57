// Prometheus text. Aggregates only: a fleet of a hundred thousand nodes must not become as many series.
#include "hub/api/dataset.h"
#include "hub/api/http_internal.h"
#include "hub/registry/registry.h"
#include "record/record.h"

namespace wb::hub::internal {
namespace {

class Text {
 public:
  void family(std::string_view name, std::string_view type, std::string_view help) {
    ((((out_ += "# HELP ") += name) += ' ') += help) += '\n';
    ((((out_ += "# TYPE ") += name) += ' ') += type) += '\n';
    name_ = name;
  }
  void value(uint64_t value, std::string_view label = {}, std::string_view of = {}) {
    out_ += name_;
    if (!label.empty()) {
      ((out_ += '{') += label) += "=\"";
      for (const char c : of) {
        if (c == '"' || c == '\\') out_ += '\\';
        out_ += c == '\n' ? ' ' : c;
      }
      out_ += "\"}";
    }
    (out_ += ' ') += std::to_string(value) + "\n";
  }
  void one(std::string_view name, std::string_view type, std::string_view help, uint64_t number) {
    family(name, type, help);
    value(number);
  }
  std::string take() { return std::move(out_); }

 private:
  std::string out_, name_;
};

}  // namespace

std::string metrics_text(Hub& hub, Rows& rows, Moment now) {
  const FleetSummary fleet = fleet_summary(hub, rows, now);
  Text text;
  text.family("waybill_nodes", "gauge", "Enrolled nodes, by when they were last heard.");
  text.value(fleet.now, "heard", "now");
  text.value(fleet.earlier, "heard", "earlier");
  text.value(fleet.unknown, "heard", "never");
  text.one("waybill_oldest_report_age_ms", "gauge", "Age of the oldest report that is part of the sums below.",
           static_cast<uint64_t>(fleet.oldest_ms));
  text.family("waybill_nodes_phase", "gauge", "Nodes by what their deployment is doing.");
  for (const auto& [phase, count] : fleet.phases) text.value(count, "phase", phase);
  text.family("waybill_nodes_running", "gauge", "Nodes by the release that they run.");
  for (const auto& [digest, health] : fleet.releases)
    text.value(health.nodes, "release", health.name.empty() ? digest.substr(0, 12) : health.name);
  const wire::Counters& sums = fleet.counters;
  text.one("waybill_node_records_in", "gauge", "Records that the nodes took from their sources, as last reported.",
           sums.records_in());
  text.one("waybill_node_records_scored", "gauge", "Records that the nodes scored.", sums.records_scored());
  text.one("waybill_node_records_not_sent", "gauge", "Records decided at the node and not sent.",
           sums.records_not_sent());
  text.one("waybill_node_records_lost", "gauge", "Records declared lost by the nodes.", sums.lost());
  text.one("waybill_node_records_refused", "gauge", "Of the lost: records that a hub refused for what is in them.",
           sums.refused_by_hub());
  text.one("waybill_node_outbox_records", "gauge", "Records waiting in the outboxes.", sums.outbox_records());
  text.one("waybill_node_outbox_bytes", "gauge", "Bytes waiting in the outboxes.", sums.outbox_bytes());
  text.one("waybill_node_bytes_up", "gauge", "Record bytes that the nodes have uploaded.", sums.bytes_up());
  text.one("waybill_node_bytes_seen", "gauge", "What uploading everything would have cost.", sums.bytes_seen());
  text.family("waybill_node_records_uploaded", "gauge", "Uploaded records by the rule that sent them.");
  for (const wire::RuleCount& rule : sums.rules())
    text.value(rule.uploaded(), "rule", rule_name(static_cast<Rule>(rule.rule())));
  text.family("waybill_dataset_records", "gauge", "Records held here, by pipeline.");
  for (const DatasetInfo& info : list_datasets(rows)) text.value(info.row.records(), "pipeline", info.pipeline);
  std::map<std::string_view, uint64_t> states;
  for (const pb::Rollout& rollout : list_rollouts(rows)) ++states[rollout_state_name(rollout.state())];
  text.family("waybill_rollouts", "gauge", "Rollouts by state.");
  for (const auto& [state, count] : states) text.value(count, "state", state);
  text.one("waybill_releases", "gauge", "Releases held here.", list_releases(rows).size());
  return text.take();
}

}  // namespace wb::hub::internal
