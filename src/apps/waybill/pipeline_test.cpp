// The pipeline as a whole: text of a file and bytes of a source in, records for the outbox out.
#include <cmath>
#include <map>

#include "apps/waybill/test_pipeline.h"

namespace wb::pipeline_tests {
namespace {

Pipeline good(std::string_view yaml = kGood, uint64_t seed = 1) {
  Built built = build(yaml, true, seed);
  EXPECT_EQ(built.problems, "");
  return std::move(built.pipeline.at(0));
}

std::string lines(int count, int from = 0) {
  std::string out;
  for (int i = from; i < from + count; ++i)
    out += "{\"ts\":" + std::to_string(1'700'000'000'000 + i) + ",\"x\":" + std::to_string((i * 37) % 100 / 10.0) +
           ",\"y\":" + std::to_string((i * 13) % 100) + ",\"unit\":\"u" + std::to_string(i % 3) + "\"}\n";
  return out;
}

Batch parse(const Pipeline& pipeline, std::string_view text) {
  source::Parser parser(pipeline.parser_config(source::Format::kNdjson));
  source::ParseOutcome outcome = parser.parse(text, 5);
  EXPECT_EQ(outcome.faults_count, 0U) << outcome.faults.at(0).text;
  return std::move(outcome.batch);
}

TEST(Pipeline, SelectedRecordsCarryTheirWaybill) {
  Pipeline pipeline = good();
  const PipelineOutcome out = pipeline.run(parse(pipeline, lines(300)), 1'700'000'000'999);
  EXPECT_EQ(out.counters.rows_in, 300U);
  EXPECT_EQ(out.counters.scored, 300U);
  EXPECT_EQ(out.counters.selected, out.offers.size());
  EXPECT_EQ(out.counters.selected + out.counters.not_sent, 300U);
  ASSERT_GT(out.offers.size(), 100U);
  std::map<Rule, int> rules;
  for (const outbox::Offer& offer : out.offers) {
    wire::RecordUp record;
    ASSERT_TRUE(record.ParseFromString(offer.record));
    EXPECT_EQ(record.seq(), 0U);
    EXPECT_EQ(record.pipeline(), "pump");
    EXPECT_EQ(record.release(), "d1");
    EXPECT_EQ(record.schema(), pipeline.record_schema().id());
    EXPECT_EQ(record.rule(), static_cast<uint32_t>(offer.rule));
    EXPECT_EQ(record.inclusion_probability(), offer.probability);
    EXPECT_EQ(record.numbers_size(), 2);
    EXPECT_EQ(record.texts_size(), 1);
    EXPECT_EQ(record.taken_unix_ms(), 1'700'000'000'999);
    EXPECT_EQ(record.verdict().label(), record.numbers(0) < 5 ? "1" : "4");
    EXPECT_EQ(offer.rule == Rule::kAnomaly, record.numbers(0) >= 5);
    EXPECT_GE(offer.draw, 0);
    EXPECT_LT(offer.draw, 1);
    ++rules[offer.rule];
  }
  EXPECT_EQ(rules[Rule::kAnomaly], 150);
  EXPECT_GT(rules[Rule::kSample], 3);
  EXPECT_EQ(out.acts.size(), 150U);
}

TEST(Pipeline, SketchCountsWhatWasAnswered) {
  Pipeline pipeline = good();
  wire::ScoreSketch total;
  add_sketch(pipeline.run(parse(pipeline, lines(200)), 1).sketch, total);
  add_sketch(pipeline.run(parse(pipeline, lines(100, 200)), 1).sketch, total);
  EXPECT_EQ(total.records(), 300U);
  EXPECT_EQ(total.errors(), 0U);
  ASSERT_EQ(total.labels_size(), 2);
  EXPECT_EQ(total.labels(1), "4");
  EXPECT_EQ(total.label_counts(0) + total.label_counts(1), 300U);
  EXPECT_EQ(total.label_counts(1), 150U);
  ASSERT_EQ(total.confidence_bins_size(), 20);
  EXPECT_EQ(total.confidence_bins(19), 300U);
  ASSERT_EQ(total.novelty_bins_size(), 20);
}

// B3: the same records are selected when the input comes in other portions, twice, or after a restart.
TEST(Pipeline, SelectionSurvivesRestartAndRedelivery) {
  const auto keys_of = [](const PipelineOutcome& out, std::map<int64_t, int>& keys) {
    for (const outbox::Offer& offer : out.offers) {
      wire::RecordUp record;
      ASSERT_TRUE(record.ParseFromString(offer.record));
      ++keys[record.event_time_ms()];
    }
  };
  std::map<int64_t, int> once, twice;
  Pipeline first = good();
  keys_of(first.run(parse(first, lines(300)), 1), once);
  Pipeline second = good();
  keys_of(second.run(parse(second, lines(100, 200)), 7), twice);
  keys_of(second.run(parse(second, lines(300)), 8), twice);
  ASSERT_EQ(once.size(), twice.size());
  for (const auto& [time, count] : once) EXPECT_EQ(twice[time], time >= 1'700'000'000'200 ? 2 : 1);
  std::map<int64_t, int> other;
  Pipeline reseeded = good(kGood, 2);
  keys_of(reseeded.run(parse(reseeded, lines(300)), 1), other);
  EXPECT_NE(once, other);
}

// The size that is only computed must be the size that encoding would have given.
TEST(Pipeline, BytesSeenAreExact) {
  Pipeline pipeline = good(R"yaml(name: pump
schema: [{name: x}, {name: unit, type: text}]
event_time: ts
sync: {budget: 64KiB, rules: [all: {}]}
)yaml");
  const std::vector<std::string> inputs = {R"({"ts":1700000000000,"x":1,"unit":""})",
                                           R"({"ts":0,"x":null,"unit":"abc"})",
                                           R"({"ts":3,"x":1e9,"unit":")" + std::string(300, 'u') + "\"}"};
  for (const std::string& text : inputs) {
    const PipelineOutcome out = pipeline.run(parse(pipeline, text), 1'700'000'000'999);
    ASSERT_EQ(out.offers.size(), 1U);
    EXPECT_EQ(out.counters.bytes_seen, out.offers[0].record.size()) << text;
  }
}

TEST(Pipeline, ShadowScoresAndDoesNothingElse) {
  Pipeline pipeline = good();
  const PipelineOutcome out = pipeline.shadow(parse(pipeline, lines(300)), 1);
  EXPECT_EQ(out.counters.scored, 300U);
  EXPECT_EQ(out.sketch.records(), 300U);
  EXPECT_TRUE(out.offers.empty());
  EXPECT_TRUE(out.acts.empty());
}

TEST(Pipeline, NotFiniteIsCountedAndSentByItsOwnRule) {
  Pipeline pipeline = good();
  const PipelineOutcome out = pipeline.run(parse(pipeline, "{\"ts\":1,\"x\":null,\"y\":1,\"unit\":\"a\"}"), 1);
  EXPECT_EQ(out.counters.not_finite, 1U);
  EXPECT_EQ(out.sketch.errors(), 1U);
  ASSERT_EQ(out.offers.size(), 1U);
  EXPECT_EQ(out.offers[0].rule, Rule::kNotFinite);
  EXPECT_TRUE(out.acts.empty());
}

TEST(Pipeline, TransformsComeBeforeTheModel) {
  Pipeline pipeline = good(R"yaml(name: pump
schema: [{name: a}, {name: y}]
event_time: ts
transforms:
  - rename: {fields: {a: x}}
  - filter: {where: "y > 1"}
infer: {model: main}
sync: {budget: 64KiB, rules: [all: {}]}
)yaml");
  const PipelineOutcome out =
      pipeline.run(parse(pipeline, "{\"ts\":1,\"a\":9,\"y\":0}\n{\"ts\":2,\"a\":9,\"y\":2}"), 1);
  EXPECT_EQ(out.counters.filtered, 1U);
  ASSERT_EQ(out.offers.size(), 1U);
  wire::RecordUp record;
  ASSERT_TRUE(record.ParseFromString(out.offers[0].record));
  EXPECT_EQ(record.verdict().label(), "4");
  EXPECT_EQ(pipeline.run(parse(pipeline, "{\"ts\":3,\"a\":9,\"y\":2}"), 1).counters.filtered, 0U);
}

TEST(Pipeline, WindowsCloseAtTheEnd) {
  Pipeline pipeline = good(R"yaml(name: pump
schema: [{name: x}]
event_time: ts
transforms:
  - window: {every: 1s, length: 1s, fields: {m: "mean(x)"}}
sync: {budget: 64KiB, rules: [all: {}]}
)yaml");
  EXPECT_TRUE(pipeline.holds_rows());
  EXPECT_TRUE(pipeline.run(parse(pipeline, "{\"ts\":1000,\"x\":1}\n{\"ts\":1500,\"x\":2}"), 1).offers.empty());
  const PipelineOutcome out = pipeline.flush(2);
  ASSERT_EQ(out.offers.size(), 1U);
  wire::RecordUp record;
  ASSERT_TRUE(record.ParseFromString(out.offers[0].record));
  EXPECT_EQ(record.numbers(0), 1.5);
}

TEST(Pipeline, DeadLettersKeepTheInputWithinLimits) {
  Pipeline pipeline = good();
  const auto offer = pipeline.dead_letter(std::string(5'000, '\xFF'), "row 1: \xC3\x28 is not text", 9);
  ASSERT_TRUE(offer);
  EXPECT_EQ(offer->lane, Lane::kDeadLetter);
  wire::RecordUp record;
  ASSERT_TRUE(record.ParseFromString(offer->record));
  EXPECT_EQ(record.raw().size(), limits::kDeadLetterRawBytesMax);
  EXPECT_EQ(record.reason(), "row 1: ?( is not text");
  Pipeline silent = good("name: p\nschema: [{name: x}]\nsync: {rules: [never: ]}\n");
  EXPECT_FALSE(silent.dead_letter("x", "y", 9));
}

TEST(Pipeline, ExplainNamesVerdictAndReason) {
  Pipeline pipeline = good();
  const auto lines_out = pipeline.explain(parse(pipeline, "{\"ts\":1,\"x\":9,\"y\":50,\"unit\":\"a\"}"), 1);
  ASSERT_EQ(lines_out.size(), 1U);
  EXPECT_EQ(lines_out[0].row, "x=9 y=50 unit=a");
  EXPECT_EQ(lines_out[0].verdict.substr(0, 25), "label=4 confidence=0.9525");
  EXPECT_EQ(lines_out[0].decision.substr(0, 45), "send by anomaly: class 4 is an anomaly (p=1 u");
}

}  // namespace
}  // namespace wb::pipeline_tests
