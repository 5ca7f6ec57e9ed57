// A pipeline file from text to offers: parse, build (which is lint), and if it builds, run rows through it. The file
// may be anything; what it offers to the outbox must be records that a hub takes (B1).
#include <cmath>

#include "base/prng.h"
#include "edge/agent/pipeline.h"
#include "engine/engine.h"
#include "engine/test_models.h"
#include "fuzz/fuzz.h"
#include "world/yaml.h"

using namespace wb;

namespace {

constexpr int64_t kNow = 1'700'000'000'000;

// A model over columns a and b with two classes, and one that answers a number.
const std::string& classifier() {
  static const std::string kPackage = [] {
    engine::PlainModel model = engine::testing::random_model(1, 2, 2, 4, 9);
    model.features = {"a", "b"};
    model.labels = {"good", "bad"};
    const std::vector<float> values = {1, 2, 3, 4, 5};
    for (const std::string& name : model.features) model.sketches.push_back(engine::make_sketch(name, values, 3));
    return *engine::pack(model);
  }();
  return kPackage;
}
const std::string& regressor() {
  static const std::string kPackage = [] {
    engine::PlainModel model = engine::testing::random_model(2, 1, 1, 3, 9);
    model.features = {"a"};
    return *engine::pack(model);
  }();
  return kPackage;
}

double value(Prng& prng) {
  static constexpr double kNasty[] = {0, -0.0, 1, -1, 1e308, -1e308, 5e-324, 1e15, INFINITY, -INFINITY, NAN};
  return prng.chance(300'000) ? kNasty[prng.below(std::size(kNasty))] : static_cast<double>(prng.below(2'000)) / 64 - 8;
}

Batch rows_for(const Schema& schema, Prng& prng, size_t rows) {
  Batch batch = Batch::with_schema(schema);
  int64_t time = kNow;
  for (size_t row = 0; row < rows; ++row) {
    for (Column& column : batch.columns) {
      if (column.type == ColumnType::kNumber)
        column.numbers.push_back(value(prng));
      else
        column.texts.push_back(std::string(prng.below(4), static_cast<char>('a' + prng.below(3))));
    }
    time += static_cast<int64_t>(prng.below(3'000));
    batch.event_time_ms.push_back(prng.chance(50'000) ? static_cast<int64_t>(prng.below(253'402'300'799'999)) : time);
  }
  return batch;
}

void check(const PipelineOutcome& outcome) {
  for (const outbox::Offer& offer : outcome.offers) {
    wire::RecordUp record;
    WB_HOLDS(record.ParseFromString(offer.record), "an offer that is no record");
    record.set_seq(1);
    const auto decoded = wire::decode_record(wire::encode(record));
    WB_HOLDS(decoded.ok(), decoded.ok() ? "" : decoded.error().text);
    WB_HOLDS(offer.probability > 0 && offer.probability <= 1 && offer.draw >= 0 && offer.draw < 1 && offer.value > 0,
             "B1");
  }
  const PipelineCounters& counts = outcome.counters;
  WB_HOLDS(counts.selected == outcome.offers.size(), "selected");
  WB_HOLDS(counts.not_finite <= counts.scored, "scored");
}

void run(Pipeline& pipeline, std::string_view text) {
  Prng prng(keyed_hash(1, text));
  const Schema schema = pipeline.input_schema();
  (void)pipeline.parser_config(source::Format::kCsv);
  wire::ScoreSketch total;
  for (int i = 0; i < 2; ++i) {
    const PipelineOutcome outcome = pipeline.run(rows_for(schema, prng, 24), kNow + i);
    check(outcome);
    add_sketch(outcome.sketch, total);
  }
  check(pipeline.shadow(rows_for(schema, prng, 3), kNow));
  (void)pipeline.explain(rows_for(schema, prng, 3), kNow);
  check(pipeline.flush(kNow));
  if (const auto offer = pipeline.dead_letter("raw \xff bytes", text.substr(0, 300), kNow)) {
    PipelineOutcome one;
    one.offers.push_back(*offer);
    one.counters.selected = 1;
    check(one);
  }
}

}  // namespace

WB_FUZZ_TARGET(pipeline) {
  const auto document = world::parse_yaml(bytes, "p.yaml", world::no_env());
  if (!document.ok()) return;
  const BlobView blobs[] = {{"model/main", classifier()}, {"model/number", regressor()}, {"model/broken", "WBM"}};
  (void)Pipeline::model_name(*document);
  for (const bool lint : {true, false}) {
    Problems problems;
    PipelineOptions options{"node", "", 7, lint};
    auto pipeline = Pipeline::build(*document, blobs, options, problems);
    WB_HOLDS(pipeline.ok() == problems.empty(), problems.format("p.yaml"));
    if (pipeline.ok()) run(*pipeline, bytes);
  }
}

WB_FUZZ_SEEDS(pipeline) {
  const std::string head =
      "name: pump\nschema:\n  - {name: a, type: number}\n  - {name: b, type: number}\n  - {name: site, type: text}\n";
  std::string everything = head + "infer: {model: main}\n";
  for (const Pipeline::Section& section : Pipeline::sections())
    for (const Spec& spec : section.specs) {
      if (spec.example.empty()) continue;
      put(head + spec.example);
      put(head + "infer: {model: main}\n" + spec.example);
    }
  put(head +
      "transforms:\n  - derive: {fields: {c: \"a * 2 + sqrt(abs(b))\"}}\n  - filter: {where: \"c > 1 && a < 100\"}\n"
      "  - window: {every: 1s, fields: {m: \"mean(a)\", q: \"quantile(b, 0.9)\", n: \"count()\"}, by: site}\n"
      "sync: {budget: 1MiB, rules: [{all: {}}]}\n");
  put(head +
      "infer: {model: main}\nroute: {actions: []}\nsync:\n  budget: 10KiB\n  rules:\n    - novel: {above: 2}\n"
      "    - low_confidence: {below: 0.9}\n    - anomaly: {labels: [bad]}\n    - sample: {rate: 0.1}\n");
  put("name: n\nschema: [{name: a, type: number}]\ninfer: {model: number}\nsync: {rules: [{sample: {rate: 1}}]}\n");
}
