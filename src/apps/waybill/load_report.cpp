#include "apps/waybill/load_report.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace wb::cli {

namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kWindowSeconds = 5;

double rounded(double value, int digits) {
  const double scale = std::pow(10.0, digits);
  return std::round(value * scale) / scale;
}
double per_second(uint64_t count, size_t seconds) {
  return seconds == 0 ? 0 : rounded(static_cast<double>(count) / static_cast<double>(seconds), 1);
}
// Attempts for each that was due: what retries add to the load (L2).
double amplification(const LoadCounts& counts) {
  const uint64_t due = counts.attempts - counts.retries;
  return due == 0 ? 1 : rounded(static_cast<double>(counts.attempts) / static_cast<double>(due), 3);
}
std::string short_number(const Json& value) {
  const double number = value.get<double>();
  char text[32];
  std::snprintf(text, sizeof text, number >= 100 || number == std::floor(number) ? "%.0f" : "%.3g", number);
  return text;
}

}  // namespace

uint32_t LatencyHistogram::bucket_of(uint64_t us) {
  if (us < kSteps) return static_cast<uint32_t>(us);
  const auto doublings = static_cast<uint32_t>(std::bit_width(us)) - std::bit_width(kSteps);
  const auto step = static_cast<uint32_t>(us >> doublings) - kSteps;
  return std::min((doublings + 1) * kSteps + step, kBuckets - 1);
}

uint64_t LatencyHistogram::end_of(uint32_t bucket) {
  if (bucket < kSteps) return bucket;
  const uint32_t doublings = bucket / kSteps - 1;
  return ((uint64_t{kSteps} + bucket % kSteps + 1) << doublings) - 1;
}

void LatencyHistogram::add(uint64_t us) {
  ++buckets_[bucket_of(us)];
  ++count_;
}

uint64_t LatencyHistogram::percentile_us(uint32_t permille) const {
  const uint64_t wanted = (count_ * permille + 999) / 1'000;
  uint64_t seen = 0;
  for (uint32_t i = 0; i < kBuckets && count_ > 0; ++i) {
    seen += buckets_[i];
    if (seen >= wanted) return end_of(i);
  }
  return 0;
}

void LoadCounts::add(const LoadCounts& other) {
  produced += other.produced;
  dropped += other.dropped;
  attempts += other.attempts;
  retries += other.retries;
  answers += other.answers;
  records += other.records;
  drained += other.drained;
  early += other.early;
  unreached += other.unreached;
  broken += other.broken;
  for (const auto& [status, count] : other.refused) refused[status] += count;
}

void LoadReport::begin_phase(const std::string& name, double records_per_s) {
  end();
  LoadPhase phase;
  phase.name = name;
  phase.records_per_s = records_per_s;
  phase.first_second = seconds_.size() - 1;
  phases_.push_back(std::move(phase));
}

void LoadReport::end() {
  if (!phases_.empty()) phases_.back().seconds = seconds_.size() - 1 - phases_.back().first_second;
}

void LoadReport::end_second(uint64_t connected) {
  seconds_.back().connected = connected;
  seconds_.emplace_back();
}

LoadCounts LoadReport::sum(size_t first, size_t count) const {
  LoadCounts out;
  for (size_t i = first; i < std::min(first + count, seconds_.size()); ++i) out.add(seconds_[i].counts);
  return out;
}

int64_t LoadReport::recovered_after_s(const LoadPhase& phase) const {
  for (size_t at = 0; at + kWindowSeconds <= phase.seconds; ++at) {
    const auto taken = static_cast<double>(sum(phase.first_second + at, kWindowSeconds).records);
    if (taken >= 0.95 * phase.records_per_s * kWindowSeconds) return static_cast<int64_t>(at);
  }
  return -1;
}

Json LoadReport::phase_json(const LoadPhase& phase) const {
  const LoadCounts counts = sum(phase.first_second, phase.seconds);
  Json out{{"name", phase.name},
           {"seconds", phase.seconds},
           {"records_offered_per_s", phase.records_per_s},
           {"exchanges_per_s", per_second(counts.answers, phase.seconds)},
           {"records_per_s", per_second(counts.records, phase.seconds)},
           {"latency_ms",
            {{"count", phase.latency.count()},
             {"p50", static_cast<double>(phase.latency.percentile_us(500)) / 1'000},
             {"p95", static_cast<double>(phase.latency.percentile_us(950)) / 1'000},
             {"p99", static_cast<double>(phase.latency.percentile_us(990)) / 1'000},
             {"max", static_cast<double>(phase.latency.percentile_us(1'000)) / 1'000}}},
           {"attempts", counts.attempts},
           {"retries", counts.retries},
           {"retry_amplification", amplification(counts)},
           {"before_retry_after", counts.early},
           {"records_not_taken", counts.drained},
           {"unreached", counts.unreached},
           {"broken", counts.broken}};
  Json refused = Json::object();
  for (const auto& [status, count] : counts.refused) refused[std::to_string(status)] = count;
  out["refused"] = std::move(refused);
  if (phase.records_per_s > 0) out["goodput_95_after_s"] = recovered_after_s(phase);
  return out;
}

Json LoadReport::json() const {
  Json out{{"mode", mode_}, {"agents", agents_}};
  out["connected_at_end"] = connected();
  out["phases"] = Json::array();
  for (const LoadPhase& phase : phases_) out["phases"].push_back(phase_json(phase));
  if (has_cost_) {
    const double answers = static_cast<double>(total().answers);
    out["hub"] = {
        {"cpu_s", rounded(cost_.cpu_s, 3)},
        {"exchanges_per_cpu_s", cost_.cpu_s <= 0 ? 0 : rounded(answers / cost_.cpu_s, 0)},
        {"pss_mib_before", rounded(cost_.pss_before_kib / 1'024, 1)},
        {"pss_mib_after", rounded(cost_.pss_after_kib / 1'024, 1)},
        {"kib_per_agent",
         rounded((cost_.pss_after_kib - cost_.pss_before_kib) / static_cast<double>(std::max<size_t>(1, agents_)), 1)}};
  }
  out["seconds"] = Json::array();
  for (size_t i = 0; i + 1 < seconds_.size(); ++i) {
    const LoadCounts& counts = seconds_[i].counts;
    uint64_t refused = 0;
    for (const auto& [status, count] : counts.refused) refused += count;
    out["seconds"].push_back({{"s", i},
                              {"connected", seconds_[i].connected},
                              {"produced", counts.produced},
                              {"attempts", counts.attempts},
                              {"answers", counts.answers},
                              {"records", counts.records},
                              {"records_not_taken", counts.drained},
                              {"refused", refused},
                              {"unreached", counts.unreached},
                              {"broken", counts.broken}});
  }
  return out;
}

std::string LoadReport::table(bool with_seconds) const {
  const Json all = json();
  TextTable phases({"PHASE", "S", "OFFERED REC/S", "EXCHANGES/S", "RECORDS/S", "P50 MS", "P99 MS", "REFUSED",
                    "NOT TAKEN", "FAILED", "RETRIES", "AMPLIFICATION", "95 % AFTER S"});
  for (const Json& phase : all["phases"]) {
    std::string refused;
    for (const auto& [status, count] : phase["refused"].items())
      refused += (refused.empty() ? "" : " ") + status + ":" + count.dump();
    phases.row({cell(phase, "name"), cell(phase, "seconds"), short_number(phase["records_offered_per_s"]),
                short_number(phase["exchanges_per_s"]), short_number(phase["records_per_s"]),
                short_number(phase["latency_ms"]["p50"]), short_number(phase["latency_ms"]["p99"]),
                refused.empty() ? "0" : refused, cell(phase, "records_not_taken"),
                std::to_string(phase["unreached"].get<uint64_t>() + phase["broken"].get<uint64_t>()),
                cell(phase, "retries"), short_number(phase["retry_amplification"]), cell(phase, "goodput_95_after_s")});
  }
  std::string out = phases.text();
  out += "\n" + std::to_string(connected()) + " of " + std::to_string(agents_) + " agents connected at the end\n";
  if (all.contains("hub"))
    out += "hub: " + all["hub"]["cpu_s"].dump() + " s of CPU time, " + all["hub"]["exchanges_per_cpu_s"].dump() +
           " exchanges per CPU second; PSS " + all["hub"]["pss_mib_before"].dump() + " MiB before, " +
           all["hub"]["pss_mib_after"].dump() + " MiB after: " + all["hub"]["kib_per_agent"].dump() +
           " KiB for each agent\n";
  if (!with_seconds) return out;
  const std::vector<std::string> fields = {"s",       "connected",         "produced", "attempts",  "answers",
                                           "records", "records_not_taken", "refused",  "unreached", "broken"};
  TextTable rows({"SECOND", "CONNECTED", "PRODUCED", "ATTEMPTS", "ANSWERS", "RECORDS", "NOT TAKEN", "REFUSED",
                  "UNREACHED", "BROKEN"});
  for (const Json& second : all["seconds"]) {
    std::vector<std::string> cells;
    for (const std::string& field : fields) cells.push_back(cell(second, field));
    rows.row(std::move(cells));
  }
  return out + "\n" + rows.text();
}

}  // namespace wb::cli
