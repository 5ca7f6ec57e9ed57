#include "sim/releases.h"

#include <array>
#include <bit>

#include "engine/engine.h"
#include "wire/wire.h"

namespace wb::sim {
namespace {

constexpr size_t kTrainingRows = 2'000;
constexpr float kHotFrom = 90;

constexpr const char* kPipeline =
    "name: pump\n"
    "schema:\n"
    "  - {name: id, type: number}\n"
    "  - {name: heat, type: number}\n"
    "  - {name: spin, type: number}\n"
    "infer: {model: main}\n"
    "sync:\n"
    "  budget: 64KiB\n"
    "  rules:\n"
    "    - anomaly: {normal: ok}\n"
    "    - sample: {rate: 0.1}\n";

engine::Tree stump(uint32_t feature, float threshold, float low, float high) {
  engine::Tree tree;
  tree.nodes = {{1, 2, feature, threshold, false}, {-1, -1, 0, low, false}, {-1, -1, 0, high, false}};
  return tree;
}

}  // namespace

const std::string& publisher_seed() {
  static const std::string seed(32, 'p');
  return seed;
}

Reading draw_reading(Prng& prng) {
  Reading out;
  out.heat = static_cast<double>(prng.below(10'000)) / 100;
  out.spin = 200 + static_cast<double>(prng.below(10'000)) / 100;
  return out;
}

Result<Bytes> make_release(Kind kind, const std::string& version) {
  Prng prng(7);
  std::vector<float> heat;
  std::vector<float> spin;
  for (size_t i = 0; i < kTrainingRows; ++i) {
    const Reading reading = draw_reading(prng);
    heat.push_back(static_cast<float>(reading.heat));
    spin.push_back(static_cast<float>(reading.spin));
  }
  engine::PlainModel plain;
  plain.objective = engine::Objective::kLogistic;
  plain.labels = {"ok", "hot"};
  plain.base_margins = {0};
  // Trained on heat; the swapped one takes the same thresholds to the wrong column.
  plain.features =
      kind == Kind::kSwapped ? std::vector<std::string>{"spin", "heat"} : std::vector<std::string>{"heat", "spin"};
  plain.trees = {stump(0, kind == Kind::kRetrained ? kHotFrom + 0.5F : kHotFrom, -3, 3), stump(1, 250, -0.1F, 0.1F)};
  // Its sketches are of the columns as the trainer believed them to be.
  plain.sketches = {engine::make_sketch(plain.features[0], heat, 16), engine::make_sketch(plain.features[1], spin, 16)};
  plain.reference_scores.label_counts = {0, 0};
  WB_TRY(const std::string first, engine::pack(plain));
  WB_TRY(const engine::Model model, engine::Model::load(first));
  plain.reference_scores.records = kTrainingRows;
  for (size_t i = 0; i < kTrainingRows; ++i) {
    const std::array<float, 2> row{heat[i], spin[i]};
    std::array<float, 1> margin{};
    std::array<float, 2> probability{};
    model.predict_margins(row, 1, margin);
    model.probabilities(margin, probability);
    const size_t label = probability[1] > probability[0] ? 1 : 0;
    ++plain.reference_scores.label_counts[label];
    ++plain.reference_scores.confidence_bins[engine::confidence_bin(static_cast<double>(probability[label]))];
    if (i >= 16) continue;
    plain.self_test.rows.insert(plain.self_test.rows.end(), row.begin(), row.end());
    plain.self_test.margins.push_back(static_cast<double>(margin[0]));
  }
  WB_TRY(std::string package, engine::pack(plain));

  wire::ReleaseContent content;
  wire::Manifest& manifest = content.manifest;
  manifest.set_name("pump");
  manifest.set_version(version);
  for (const std::string& name : plain.features) manifest.add_feature_names(name);
  manifest.mutable_self_test()->set_rows(static_cast<uint32_t>(plain.self_test.margins.size()));
  for (const double value : plain.self_test.rows) manifest.mutable_self_test()->add_features(static_cast<float>(value));
  for (const double margin : plain.self_test.margins)
    manifest.mutable_self_test()->add_margin_bits(std::bit_cast<uint32_t>(static_cast<float>(margin)));
  wire::ScoreSketch& scores = *manifest.mutable_reference_scores();
  scores.set_records(kTrainingRows);
  for (const uint64_t count : plain.reference_scores.confidence_bins) scores.add_confidence_bins(count);
  for (size_t i = 0; i < plain.labels.size(); ++i) {
    scores.add_labels(plain.labels[i]);
    scores.add_label_counts(plain.reference_scores.label_counts[i]);
  }
  const std::string pipeline = std::string(kPipeline) + (kind == Kind::kPicky ? std::string(kPickyMark) + "\n" : "");
  content.contents = {{"pipeline.yaml", pipeline}, {"model/main", std::move(package)}};
  return wire::build_release(std::move(content), publisher_seed());
}

}  // namespace wb::sim
