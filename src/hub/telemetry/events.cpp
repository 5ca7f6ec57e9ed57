// Events live in rings, one per subject: row "e/" subject 0x00 slot, and the subject's count in "c/" subject. So a node
// that flaps for a year costs what a quiet one costs.
#include <algorithm>

#include "base/bytes.h"
#include "base/typed_rows.h"
#include "hub/telemetry/telemetry.h"

namespace wb::hub {
namespace {

void append(Rows& rows, const std::string& subject, uint64_t events_max, pb::Event event) {
  const std::string count_key = "c/" + subject;
  const auto stored = rows.get(Table::kEvents, count_key);
  const uint64_t number = (stored && stored->size() == 8 ? read_u64_be(*stored) : 0) + 1;
  event.set_number(number);
  rows.put(Table::kEvents, count_key, key_u64(number));
  save_row(rows, Table::kEvents, "e/" + subject + '\0' + key_u64(number % events_max), event);
}

const wire::Quarantined* find(const auto& list, std::string_view digest) {
  for (const wire::Quarantined& entry : list)
    if (entry.digest() == digest) return &entry;
  return nullptr;
}

}  // namespace

void note(Rows& rows, Moment now, pb::Event event) {
  event.set_time_ms(now.unix_ms);
  event.set_text(fit_text(event.text(), 1'024));
  if (!event.node().empty()) append(rows, EventSubject::node(event.node()), kEventsPerNodeMax, event);
  if (!event.digest().empty()) append(rows, EventSubject::release(event.digest()), kEventsPerReleaseMax, event);
}

std::vector<pb::Event> events_of(Rows& rows, std::string_view subject) {
  std::vector<pb::Event> out;
  rows.scan(Table::kEvents, "e/" + std::string(subject) + '\0', {}, [&](std::string_view, std::string_view value) {
    pb::Event event;
    if (parse_row(value, event)) out.push_back(std::move(event));
    return true;
  });
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.number() < b.number(); });
  return out;
}

void note_report_changes(Rows& rows, Moment now, std::string_view node_id,
                         const std::optional<pb::NodeTelemetry>& before, const wire::Reported& reported) {
  const wire::Reported old = before ? before->reported() : wire::Reported{};
  pb::Event event;
  event.set_node(std::string(node_id));
  if (reported.running_digest() != old.running_digest() && !reported.running_digest().empty()) {
    event.set_kind("running");
    event.set_digest(reported.running_digest());
    event.set_name(reported.running_name());
    note(rows, now, event);
  }
  if (reported.phase() != old.phase() && !reported.candidate_digest().empty() &&
      (reported.phase() == wire::DEPLOY_FETCHING || reported.phase() == wire::DEPLOY_VERIFYING ||
       reported.phase() == wire::DEPLOY_PROBATION)) {
    event.set_kind(std::string(phase_name(reported.phase())));
    event.set_digest(reported.candidate_digest());
    event.clear_name();
    note(rows, now, event);
  }
  for (const wire::Quarantined& bad : reported.quarantined()) {
    if (find(old.quarantined(), bad.digest()) != nullptr) continue;
    event.set_kind("quarantined");
    event.set_digest(bad.digest());
    event.clear_name();
    event.set_text(bad.error_code() + ": " + bad.reason());
    note(rows, now, event);
  }
}

}  // namespace wb::hub
