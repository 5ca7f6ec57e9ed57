#pragma once
// A small pipeline with a model that can be told by hand: x < 5 is class "1", else class "4".

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/prng.h"
#include "edge/agent/pipeline.h"
#include "engine/engine.h"
#include "world/yaml.h"

namespace wb::pipeline_tests {

inline Bytes two_class_model() {
  engine::PlainModel model;
  model.objective = engine::Objective::kLogistic;
  model.features = {"x", "y"};
  model.labels = {"1", "4"};
  model.base_margins = {0};
  engine::Tree tree;
  tree.nodes = {{1, 2, 0, 5.0F, true}, {-1, -1, 0, -3, false}, {-1, -1, 0, 3, false}};
  model.trees.push_back(tree);
  model.reference_scores.label_counts = {0, 0};
  std::vector<float> x, y;
  Prng prng(1);
  for (int i = 0; i < 1000; ++i) {
    x.push_back(static_cast<float>(prng.below(1000)) / 100);
    y.push_back(static_cast<float>(prng.below(1000)) / 10);
  }
  model.sketches = {engine::make_sketch("x", x, 16), engine::make_sketch("y", y, 16)};
  auto bytes = engine::pack(model);
  EXPECT_TRUE(bytes.ok()) << bytes.error().text;
  return std::move(bytes).value();
}

struct Built {
  std::vector<Pipeline> pipeline;  // one, or none if there were problems
  std::string problems;            // as lint prints them
};

inline Built build(std::string_view yaml, bool with_model = true, uint64_t seed = 1) {
  Built out;
  const auto document = world::parse_yaml(yaml, "p.yaml", world::no_env());
  if (!document.ok()) {
    out.problems = document.error().text + "\n";
    return out;
  }
  const Bytes model = two_class_model();
  std::vector<BlobView> blobs;
  if (with_model) blobs.push_back({"model/main", model});
  Problems problems;
  auto pipeline = Pipeline::build(*document, blobs, {"n1", "d1", seed, !with_model}, problems);
  out.problems = problems.format("p.yaml");
  if (pipeline.ok()) out.pipeline.push_back(std::move(pipeline).value());
  return out;
}

inline constexpr std::string_view kGood = R"yaml(name: pump
schema:
  - {name: x, type: number}
  - {name: y}
  - {name: unit, type: text}
event_time: ts
infer: {model: main}
route:
  actions:
    - stdout: {when: anomaly}
sync:
  budget: 64KiB
  rules:
    - anomaly: {normal: 1, rate: 1}
    - novel: {above: 3.0, rate: 0.5}
    - sample: {rate: 0.1}
)yaml";

}  // namespace wb::pipeline_tests
