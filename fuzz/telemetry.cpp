// What nodes report about themselves, as the wire lets it through, merged over a fleet: sums stay bounded whatever a
// node says. And the probation gate over any three sketches.
#include "hub/telemetry/telemetry.h"
#include "base/memory_rows.h"
#include "edge/agent/pipeline.h"
#include "edge/deploy/probation.h"
#include "fuzz/fuzz.h"

using namespace wb;

namespace {

// As a request that carries it would be read; nullopt if a hub refuses it.
std::optional<wire::ExchangeRequest> report(std::string_view reported, std::string_view counters) {
  wire::ExchangeRequest request;
  request.set_incarnation(std::string(16, 'i'));
  if (!request.mutable_reported()->ParseFromArray(reported.data(), static_cast<int>(reported.size())))
    return std::nullopt;
  if (!request.mutable_counters()->ParseFromArray(counters.data(), static_cast<int>(counters.size())))
    return std::nullopt;
  auto decoded = wire::decode_exchange_request(wire::encode(request));
  if (!decoded.ok()) return std::nullopt;
  return std::move(decoded).value();
}

void check(const wire::ScoreSketch& sketch) {
  constexpr auto kBins = static_cast<int>(limits::kBinsMax);
  WB_HOLDS(sketch.labels_size() == sketch.label_counts_size(), "labels and their counts");
  WB_HOLDS(sketch.labels_size() <= static_cast<int>(limits::kClassesMax), "labels");
  WB_HOLDS(sketch.confidence_bins_size() <= kBins && sketch.novelty_bins_size() <= kBins &&
               sketch.latency_bins_us_size() <= kBins,
           "bins");
}

}  // namespace

WB_FUZZ_TARGET(telemetry) {
  fuzz::Feed feed(bytes);
  MemoryRows rows;
  std::vector<hub::FleetMember> members;
  wire::ScoreSketch merged;
  std::vector<wire::ScoreSketch> sketches(3);
  for (size_t i = 0; i < 6 && !feed.empty(); ++i) {
    const std::string node = "n" + std::to_string(feed.byte() % 3);
    const Moment now{{0}, static_cast<int64_t>(feed.number(8))};
    const std::string_view reported = feed.text();
    const auto request = report(reported, feed.text());
    if (!request) continue;
    hub::record_report(rows, now, node, *request);
    members.push_back({node, now.unix_ms});
    sketches[i % 3] = request->reported().running_sketch();
    hub::merge(merged, request->reported().running_sketch());
    hub::merge(merged, request->reported().candidate_sketch());
    check(merged);
  }
  const Moment now{{0}, static_cast<int64_t>(feed.number(8))};
  const hub::FleetSummary summary = hub::summarise(rows, now, 60'000, [&](const auto& visit) {
    for (const hub::FleetMember& member : members) visit(member);
  });
  WB_HOLDS(summary.nodes == summary.now + summary.earlier + summary.unknown, "coverage");
  WB_HOLDS(summary.counters.rules_size() <= 64, "rules");
  for (const auto& [digest, health] : summary.releases) check(health.sketch);
  for (const bool up : {false, true}) {
    deploy::Probation probation{&sketches[0], &sketches[1], &sketches[2], 10, up};
    const deploy::Verdict verdict = deploy::judge(probation, deploy::Thresholds{});
    WB_HOLDS(verdict.kind != deploy::Verdict::Kind::kFail || verdict.code.starts_with("DEPLOY_"), verdict.code);
  }
}

WB_FUZZ_SEEDS(telemetry) {
  wire::Reported reported;
  reported.set_running_digest(std::string(64, 'a'));
  reported.set_phase(wire::DEPLOY_PROBATION);
  reported.set_candidate_digest(std::string(64, 'b'));
  reported.add_quarantined()->set_digest(std::string(64, 'c'));
  for (wire::ScoreSketch* sketch : {reported.mutable_running_sketch(), reported.mutable_candidate_sketch()}) {
    sketch->set_records(100);
    for (int i = 0; i < 20; ++i) sketch->add_confidence_bins(5);
    for (int i = 0; i < 20; ++i) sketch->add_novelty_bins(5);
    for (int i = 0; i < 24; ++i) sketch->add_latency_bins_us(4);
    for (const char* label : {"good", "bad"}) {
      sketch->add_labels(label);
      sketch->add_label_counts(50);
    }
  }
  wire::Counters counters;
  counters.set_records_in(100);
  counters.add_rules()->set_rule(3);
  fuzz::FeedWriter out;
  for (uint8_t i = 0; i < 3; ++i)
    out.byte(i).number(1'700'000'000'000 + i, 8).text(reported.SerializeAsString()).text(counters.SerializeAsString());
  put(out.number(1'700'000'100'000, 8).bytes());
}
