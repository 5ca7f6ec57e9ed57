#include "edge/route/route.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/prng.h"

namespace wb::route {
namespace {

Document text(std::string value) {
  Document out;
  out.kind = Document::Kind::kScalar;
  out.text = std::move(value);
  out.at = {7, 9};
  return out;
}
Document map(std::vector<std::pair<std::string, Document>> entries) {
  Document out;
  out.kind = Document::Kind::kMap;
  out.at = {7, 3};
  for (auto& [key, value] : entries) out.entries.push_back({key, {7, 5}, std::move(value)});
  return out;
}
Document list(std::vector<Document> items) {
  Document out;
  out.kind = Document::Kind::kList;
  out.items = std::move(items);
  out.at = {7, 4};
  return out;
}
Document sync_of(std::vector<Document> rules) {
  return map({{"budget", text("64KiB")}, {"rules", list(std::move(rules))}});
}
Document rule(std::string name, std::vector<std::pair<std::string, Document>> fields) {
  return map({{std::move(name), map(std::move(fields))}});
}

const ModelFacts kModel{true, true, false, {"1", "4", "5"}};

Router make(const Document& sync, uint64_t seed = 1, std::string node = "n1", const Document* actions = nullptr) {
  Problems problems;
  auto router = Router::build(actions, &sync, kModel, {std::move(node), "pump", seed}, problems);
  EXPECT_TRUE(router.ok()) << problems.format("f");
  return std::move(router).value();
}

// A batch with what a model said of it.
struct Rows {
  Batch batch = Batch::with_schema({{{"x", ColumnType::kNumber}, {"unit", ColumnType::kText}}});
  std::vector<int32_t> label;
  std::vector<float> score, confidence, novelty;
  std::vector<uint8_t> finite;

  void add(int64_t time, double x, int32_t row_label, float row_confidence, float row_novelty, bool row_finite = true) {
    batch.columns[0].numbers.push_back(x);
    batch.columns[1].texts.push_back("a\"b");
    batch.event_time_ms.push_back(time);
    label.push_back(row_label);
    score.push_back(row_confidence);
    confidence.push_back(row_confidence);
    novelty.push_back(row_novelty);
    finite.push_back(row_finite ? 1 : 0);
  }
  VerdictsView view() const { return {label, score, confidence, novelty, finite}; }
};

Rows random_rows(size_t count, uint64_t seed) {
  Rows rows;
  Prng prng(seed);
  for (size_t i = 0; i < count; ++i) {
    const double x = static_cast<double>(prng.below(1000));
    const auto label = static_cast<int32_t>(prng.chance(100'000) ? 1 : 0);
    const float confidence = 0.5F + 0.5F * static_cast<float>(unit_interval(prng.next()));
    const float novelty = 5.0F * static_cast<float>(unit_interval(prng.next()));
    rows.add(static_cast<int64_t>(i) * 10, x, label, confidence, novelty);
  }
  return rows;
}

Document mixed_rules() {
  return sync_of({rule("anomaly", {{"normal", text("1")}, {"rate", text("0.8")}}),
                  rule("low_confidence", {{"below", text("0.6")}, {"rate", text("0.3")}}),
                  rule("sample", {{"rate", text("0.05")}})});
}

TEST(Route, FirstMatchNamesTheReasonAndTheLargestRateDecides) {
  const Document sync = sync_of(
      {rule("sample", {{"rate", text("0.01")}}), rule("anomaly", {{"normal", text("1")}, {"rate", text("1")}})});
  const Router router = make(sync);
  Rows rows;
  rows.add(1, 1, 1, 0.9F, 0);
  rows.add(2, 1, 0, 0.9F, 0);
  Routed out;
  router.run(rows.batch, rows.view(), out);
  EXPECT_EQ(out.decisions[0].rule, Rule::kSample);
  EXPECT_EQ(out.decisions[0].probability, 1);
  EXPECT_EQ(out.decisions[0].value, 8);
  EXPECT_TRUE(out.decisions[0].selected);
  EXPECT_DOUBLE_EQ(out.decisions[0].priority, out.decisions[0].uniform / 8);
  EXPECT_EQ(out.decisions[1].probability, 0.01);
}

// B1, B4: over many seeds the weights 1/p estimate counts and sums without bias, for the fleet and for a domain of it.
TEST(Route, WeightsEstimateWithoutBias) {
  const Rows rows = random_rows(1'000, 7);
  const Document sync = mixed_rules();
  double count_truth = 0, sum_truth = 0, unsure_truth = 0;
  for (size_t i = 0; i < rows.label.size(); ++i) {
    count_truth += 1;
    sum_truth += rows.batch.columns[0].numbers[i];
    unsure_truth += rows.confidence[i] < 0.6F ? 1 : 0;
  }
  constexpr int kSeeds = 400;
  struct Moments {
    double sum = 0, squares = 0;
  };
  Moments count, sum, unsure;
  const auto take = [](Moments& m, double x) {
    m.sum += x;
    m.squares += x * x;
  };
  Routed out;
  for (int seed = 0; seed < kSeeds; ++seed) {
    make(sync, static_cast<uint64_t>(seed)).run(rows.batch, rows.view(), out);
    double c = 0, s = 0, u = 0;
    for (size_t i = 0; i < out.decisions.size(); ++i) {
      const Decision& decision = out.decisions[i];
      if (!decision.selected) continue;
      ASSERT_GT(decision.probability, 0);
      ASSERT_GE(decision.uniform, 0);
      ASSERT_LT(decision.uniform, 1);
      c += 1 / decision.probability;
      s += rows.batch.columns[0].numbers[i] / decision.probability;
      u += rows.confidence[i] < 0.6F ? 1 / decision.probability : 0;
    }
    take(count, c);
    take(sum, s);
    take(unsure, u);
  }
  const auto check = [](const Moments& m, double truth) {
    const double mean = m.sum / kSeeds;
    const double error = std::sqrt((m.squares / kSeeds - mean * mean) / kSeeds);
    EXPECT_LT(std::abs(mean - truth), 4 * error) << "mean " << mean << " truth " << truth << " error " << error;
    EXPECT_LT(error, 0.05 * truth);  // an interval wide enough for anything would prove nothing
  };
  check(count, count_truth);
  check(sum, sum_truth);
  check(unsure, unsure_truth);
}

// Given that a row was selected, u/p is uniform: the outbox relies on it when it thins by priority.
TEST(Route, PriorityIsUniformGivenSelection) {
  const Rows rows = random_rows(4'000, 9);
  Routed out;
  std::map<int, int> bins;
  int selected = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    make(mixed_rules(), seed).run(rows.batch, rows.view(), out);
    for (const Decision& decision : out.decisions) {
      if (!decision.selected) continue;
      ++selected;
      ++bins[static_cast<int>(decision.uniform * 10)];
    }
  }
  ASSERT_GT(selected, 5'000);
  double chi_squared = 0;
  for (int bin = 0; bin < 10; ++bin) chi_squared += std::pow(bins[bin] - selected / 10.0, 2) / (selected / 10.0);
  EXPECT_LT(chi_squared, 27.9);  // 9 degrees of freedom, 0.1 %
}

// B3: the same selection in any order, in any batches, and when a record is delivered twice; another node draws its
// own.
TEST(Route, SelectionDependsOnTheRecordAlone) {
  const Rows rows = random_rows(500, 3);
  const Router router = make(mixed_rules());
  Routed whole;
  router.run(rows.batch, rows.view(), whole);
  std::vector<size_t> order(500);
  for (size_t i = 0; i < order.size(); ++i) order[i] = 499 - i;
  order.push_back(17);  // delivered again
  Rows shuffled;
  for (const size_t i : order)
    shuffled.add(rows.batch.event_time_ms[i], rows.batch.columns[0].numbers[i], rows.label[i], rows.confidence[i],
                 rows.novelty[i]);
  Routed again;
  router.run(shuffled.batch, shuffled.view(), again);
  for (size_t i = 0; i < order.size(); ++i) {
    EXPECT_EQ(again.decisions[i].selected, whole.decisions[order[i]].selected) << i;
    EXPECT_EQ(again.decisions[i].priority, whole.decisions[order[i]].priority) << i;
  }
  Routed other;
  make(mixed_rules(), 1, "n2").run(rows.batch, rows.view(), other);
  int differ = 0;
  for (size_t i = 0; i < 500; ++i) differ += other.decisions[i].selected != whole.decisions[i].selected ? 1 : 0;
  EXPECT_GT(differ, 10);
}

TEST(Route, NotFiniteIsNeverConfidentNorAnomalous) {
  Rows rows;
  rows.add(1, NAN, -1, 0, 0, false);
  Routed out;
  make(sync_of({rule("anomaly", {{"normal", text("1")}}), rule("low_confidence", {{"below", text("0.9")}})}))
      .run(rows.batch, rows.view(), out);
  EXPECT_EQ(out.decisions[0].rule, Rule::kNotFinite);
  EXPECT_TRUE(out.decisions[0].selected);
  EXPECT_EQ(out.decisions[0].lane, Lane::kLive);
  make(sync_of({rule("not_finite", {{"rate", text("0.000001")}})})).run(rows.batch, rows.view(), out);
  EXPECT_EQ(out.decisions[0].probability, 0.000001);
  EXPECT_FALSE(out.decisions[0].selected);
}

TEST(Route, NeverStopsEverything) {
  const Router router = make(sync_of({rule("all", {}), rule("never", {})}));
  Rows rows = random_rows(50, 1);
  Routed out;
  router.run(rows.batch, rows.view(), out);
  for (const Decision& decision : out.decisions) EXPECT_FALSE(decision.selected || decision.rule);
  EXPECT_FALSE(router.dead_letter("x"));
  EXPECT_TRUE(make(sync_of({rule("all", {})})).dead_letter("x")->selected);
}

TEST(Route, ActionsCarryAPayloadAndAreCapped) {
  const Document actions = map({{"actions", list({rule("stdout", {{"when", text("anomaly")}}),
                                                  rule("file", {{"path", text("f")}, {"when", text("all")}})})}});
  const Router router = make(mixed_rules(), 1, "n1", &actions);
  Rows rows;
  rows.add(5, 1.5, 1, 0.75F, 0.25F);
  rows.add(6, NAN, -1, 0, 0, false);
  Routed out;
  router.run(rows.batch, rows.view(), out);
  ASSERT_EQ(out.acts.size(), 3U);
  EXPECT_EQ(
      out.acts[0].payload,
      R"({"event_time_ms":5,"node":"n1","pipeline":"pump","when":"anomaly","label":"4","score":0.75,"confidence":0.75,)"
      R"("novelty":0.25,"values":{"x":1.5,"unit":"a\"b"}})");
  EXPECT_EQ(out.acts[2].payload,
            R"({"event_time_ms":6,"node":"n1","pipeline":"pump","when":"all","score":null,"confidence":0,"novelty":0,)"
            R"("values":{"x":null,"unit":"a\"b"}})");
  const Rows many = random_rows(kActsPerBatchMax + 10, 2);
  router.run(many.batch, many.view(), out);
  EXPECT_EQ(out.acts.size(), kActsPerBatchMax);
  EXPECT_GT(out.acts_dropped_count, 9U);
}

TEST(Route, ExplainSaysWhy) {
  const Router router = make(mixed_rules());
  Rows rows;
  rows.add(5, 1.5, 1, 0.75F, 0.25F);
  rows.add(6, 1.5, 0, 0.95F, 0.25F);
  EXPECT_EQ(router.explain(rows.batch, rows.view(), 0).substr(0, 50),
            "send by anomaly: class 4 is an anomaly (p=0.8 u=0.");
  EXPECT_EQ(router.explain(rows.batch, rows.view(), 1).substr(0, 48),
            "keep: not drawn by sample: audit sample (p=0.05 ");
}

std::string problems_of(const Document* route, const Document* sync, const ModelFacts& model = kModel) {
  Problems problems;
  EXPECT_FALSE(Router::build(route, sync, model, {"n", "p", 1}, problems).ok());
  return problems.format("f");
}

TEST(Route, FaultsAreNamedWithTheirPlace) {
  Document sync = sync_of({rule("anomoly", {{"normal", text("1")}})});
  EXPECT_EQ(problems_of(nullptr, &sync), "f:7:5: unknown rule 'anomoly'; did you mean 'anomaly'?\n");
  sync = sync_of({rule("anomaly", {{"classes", list({text("44")})}})});
  EXPECT_EQ(problems_of(nullptr, &sync), "f:7:4: anomaly.classes: the model has no class '44'; did you mean '4'?\n");
  sync = sync_of({rule("anomaly", {})});
  EXPECT_NE(problems_of(nullptr, &sync).find("say what an anomaly is"), std::string::npos);
  sync = sync_of({rule("anomaly", {{"above", text("3")}})});
  EXPECT_NE(problems_of(nullptr, &sync).find("the model answers with classes"), std::string::npos);
  sync = sync_of({rule("sample", {{"rate", text("0")}})});
  EXPECT_NE(problems_of(nullptr, &sync).find("sample.rate: '0' is out of range"), std::string::npos);
  sync = sync_of({rule("sample", {{"rate", text("1.5")}})});
  EXPECT_NE(problems_of(nullptr, &sync).find("at most 1"), std::string::npos);
  sync = map({{"rules", list({rule("all", {})})}});
  EXPECT_NE(problems_of(nullptr, &sync).find("sync.budget: is required"), std::string::npos);
  sync = sync_of({rule("novel", {{"above", text("3")}})});
  EXPECT_NE(problems_of(nullptr, &sync, {}).find("novel: needs a model"), std::string::npos);
  Document actions = map({{"actions", list({rule("stdout", {{"when", text("novel")}})})}});
  EXPECT_NE(problems_of(&actions, nullptr).find("'when: novel' needs above here"), std::string::npos);
  actions = map(
      {{"actions", list({rule("mqtt", {{"url", text("tcp://x")}, {"topic", text("a/#")}, {"when", text("all")}})})}});
  EXPECT_NE(problems_of(&actions, nullptr).find("must start with mqtt://"), std::string::npos);
  EXPECT_NE(problems_of(&actions, nullptr).find("no wildcards"), std::string::npos);
}

// Adding a rule never lowers the chance of a row.
TEST(Route, SameDrawForEveryRate) {
  const Rows rows = random_rows(300, 5);
  Routed low, high;
  make(sync_of({rule("sample", {{"rate", text("0.1")}})})).run(rows.batch, rows.view(), low);
  make(sync_of({rule("sample", {{"rate", text("0.4")}})})).run(rows.batch, rows.view(), high);
  for (size_t i = 0; i < 300; ++i) EXPECT_LE(low.decisions[i].selected, high.decisions[i].selected);
}

}  // namespace
}  // namespace wb::route
