// The gate on histograms as they occur: Shuttle has one class with about 80% of the rows.
#include "edge/deploy/probation.h"

#include <gtest/gtest.h>

#include "edge/deploy/test_releases.h"

namespace wb::deploy {
namespace {

const std::vector<uint64_t> kShuttle = {79, 0, 0, 15, 6, 0, 0};

struct Case {
  const char* name;
  wire::ScoreSketch candidate;
  wire::ScoreSketch incumbent;
  wire::ScoreSketch reference;
  uint64_t wanted = 500;
  bool time_is_up = false;
  Verdict::Kind kind = Verdict::Kind::kWait;
  std::string code = {};
};

Verdict judged(const Case& one) {
  Probation probation;
  probation.candidate = &one.candidate;
  probation.incumbent = one.incumbent.records() == 0 ? nullptr : &one.incumbent;
  probation.reference = &one.reference;
  probation.records_wanted = one.wanted;
  probation.time_is_up = one.time_is_up;
  return judge(probation, Thresholds{});
}

wire::ScoreSketch slow(wire::ScoreSketch sketch, int bin) {
  std::swap(*sketch.mutable_latency_bins_us()->Mutable(4), *sketch.mutable_latency_bins_us()->Mutable(bin));
  return sketch;
}

// As many of its answers as `n` fell into a slower bin.
wire::ScoreSketch waited(wire::ScoreSketch sketch, uint64_t n, int bin) {
  sketch.set_latency_bins_us(4, sketch.latency_bins_us(4) - n);
  sketch.set_latency_bins_us(bin, sketch.latency_bins_us(bin) + n);
  return sketch;
}

TEST(Probation, Table) {
  const auto scores = [](uint64_t n) { return test_scores(n, kShuttle, 97, 1); };
  const auto kWait = Verdict::Kind::kWait;
  const auto kPass = Verdict::Kind::kPass;
  const auto kFail = Verdict::Kind::kFail;
  const Case cases[] = {
      // Passing: alike; retrained on newer data and therefore different from the incumbent, but as its reference says;
      // a drifted world in which incumbent and candidate move together away from every training set.
      {"alike", scores(500), scores(500), scores(9'000), 500, false, kPass, {}},
      {"retrained",
       test_scores(500, {50, 5, 5, 30, 10}, 92, 1),
       scores(500),
       test_scores(9'000, {52, 5, 4, 29, 10}, 93, 1),
       500,
       false,
       kPass,
       {}},
      {"drifted world",
       test_scores(500, {20, 0, 0, 20, 60}, 70, 9),
       test_scores(500, {22, 0, 0, 20, 58}, 68, 9),
       scores(9'000),
       500,
       false,
       kPass,
       {}},
      {"more sure than the incumbent",
       test_scores(500, kShuttle, 99, 0),
       test_scores(500, kShuttle, 75, 1),
       scores(9'000),
       500,
       false,
       kPass,
       {}},
      {"first release", scores(500), {}, scores(9'000), 500, false, kPass, {}},
      {"nothing to compare with", scores(500), {}, {}, 500, false, kPass, {}},
      {"as many errors as the incumbent",
       test_scores(500, kShuttle, 97, 1, 100),
       test_scores(500, kShuttle, 97, 1, 96),
       scores(9'000),
       500,
       false,
       kPass,
       {}},
      {"8 times slower", slow(scores(500), 7), scores(500), scores(9'000), 500, false, kPass, {}},
      {"a longer tail of confidence",
       test_scores(500, kShuttle, 88, 1),
       scores(500),
       scores(9'000),
       500,
       false,
       kPass,
       {}},
      // No data is never a verdict (F4).
      {"no data", {}, scores(500), scores(9'000), 500, false, kWait, {}},
      {"no data and no time", {}, scores(500), scores(9'000), 500, true, kWait, {}},
      {"little data and no time", scores(29), scores(29), scores(9'000), 500, true, kWait, {}},
      {"all bad, but few", test_scores(29, {0, 0, 100}, 40, 19), scores(29), scores(9'000), 500, true, kWait, {}},
      {"not yet", scores(400), scores(400), scores(9'000), 500, false, kWait, {}},
      {"time is up with enough", scores(400), scores(400), scores(9'000), 500, true, kPass, {}},
      {"a rollout that asks for no records", scores(40), scores(40), scores(9'000), 0, false, kPass, {}},
      {"a batch of the few had to wait", waited(scores(30), 3, 14), scores(30), scores(9'000), 0, false, kPass, {}},
      // Failing. Columns in the wrong order: another label for most, unsure, and far from what it was trained on.
      {"wrong columns", test_scores(500, {10, 2, 3, 15, 70}, 62, 19), scores(500), scores(9'000), 500, false, kFail,
       "DEPLOY_FAILED/PROBATION/LABEL_DRIFT"},
      {"wrong columns, first release",
       test_scores(500, {10, 2, 3, 15, 70}, 62, 19),
       {},
       scores(9'000),
       500,
       false,
       kFail,
       "DEPLOY_FAILED/PROBATION/LABEL_DRIFT"},
      {"wrong columns, decided early", test_scores(200, {10, 2, 3, 15, 70}, 62, 19), scores(200), scores(9'000), 5'000,
       false, kFail, "DEPLOY_FAILED/PROBATION/LABEL_DRIFT"},
      {"unsure", test_scores(500, kShuttle, 55, 1), scores(500), scores(9'000), 500, false, kFail,
       "DEPLOY_FAILED/PROBATION/SCORE_DRIFT"},
      {"foreign features", test_scores(500, kShuttle, 97, 18), scores(500), scores(9'000), 500, false, kFail,
       "DEPLOY_FAILED/PROBATION/NOVELTY"},
      {"cannot score", test_scores(500, kShuttle, 97, 1, 60), scores(500), scores(9'000), 500, false, kFail,
       "DEPLOY_FAILED/PROBATION/ERRORS"},
      {"scores nothing at all", test_scores(500, kShuttle, 97, 1, 500), scores(500), scores(9'000), 500, false, kFail,
       "DEPLOY_FAILED/PROBATION/ERRORS"},
      {"32 times slower", slow(scores(500), 9), scores(500), scores(9'000), 500, false, kFail,
       "DEPLOY_FAILED/PROBATION/LATENCY"},
  };
  for (const Case& one : cases) {
    const Verdict verdict = judged(one);
    EXPECT_EQ(verdict.kind, one.kind) << one.name << ": " << verdict.code << " " << verdict.text;
    EXPECT_EQ(verdict.code, one.code) << one.name;
    EXPECT_EQ(verdict.text.empty(), one.kind == kPass) << one.name;
  }
}

TEST(Probation, TheTextSaysWhatWasMeasured) {
  const Verdict verdict = judged({"", test_scores(1'000, {10, 90}, 97, 1), test_scores(1'000, {80, 20}, 97, 1),
                                  test_scores(1'000, {90, 10}, 97, 1)});
  EXPECT_EQ(verdict.text,
            "the label distribution of its answers differs by 0.70 from the running release and by 0.80 from its own "
            "reference; at most 0.20 is accepted");
}

TEST(Probation, LabelsAreComparedByNameNotByPlace) {
  wire::ScoreSketch a;
  wire::ScoreSketch b;
  for (const char* label : {"1", "2"}) a.add_labels(label);
  for (const char* label : {"2", "3", "1"}) b.add_labels(label);
  for (uint64_t count : {30U, 70U}) a.add_label_counts(count);
  for (uint64_t count : {700U, 0U, 300U}) b.add_label_counts(count);
  EXPECT_EQ(label_distance_ppm(a, b), 0U);
}

TEST(Probation, DistancesOfOrderedBinsAreDisplacements) {
  wire::ScoreSketch a;
  wire::ScoreSketch b;
  for (int i = 0; i < 20; ++i) a.add_confidence_bins(i == 19 ? 100 : 0);
  for (int i = 0; i < 20; ++i) b.add_confidence_bins(i == 17 ? 7 : 0);
  EXPECT_EQ(confidence_distance_ppm(a, b), 2'000'000U);
  EXPECT_EQ(confidence_distance_ppm(b, a), 2'000'000U);
  EXPECT_EQ(confidence_distance_ppm(a, {}), kNoDistance);
  for (int i = 0; i < 20; ++i) a.add_novelty_bins(i == 2 ? 5 : 0);
  for (int i = 0; i < 20; ++i) b.add_novelty_bins(i == 6 ? 5 : 0);
  EXPECT_EQ(novelty_distance_ppm(b, a), 4'000'000U);
  EXPECT_EQ(novelty_distance_ppm(a, b), 0U) << "less novel is no harm";
}

TEST(Probation, HostileCountsDoNotWrap) {
  wire::ScoreSketch hostile = test_scores(500, kShuttle, 97, 1);
  for (auto* bins : {hostile.mutable_label_counts(), hostile.mutable_confidence_bins(), hostile.mutable_novelty_bins()})
    for (uint64_t& count : *bins) count = ~uint64_t{0};
  const Verdict verdict = judged({"", test_scores(500, kShuttle, 97, 1), test_scores(500, kShuttle, 97, 1), hostile});
  EXPECT_EQ(verdict.kind, Verdict::Kind::kPass);
}

}  // namespace
}  // namespace wb::deploy
