// A model package with full trees, for script/bench: Shuttle is so easy that trained trees have a dozen nodes, and
// fifty of those say little. Every tree here is complete to its depth; thresholds are values that Shuttle's rows really
// take, so that rows part ways. The answers mean nothing. usage: wb_made_up_model TREES DEPTH CLASSES SHUTTLE.csv
// OUT.wbm
#include "base/prng.h"
#include "bench/processes.h"
#include "engine/engine.h"
#include "world/files.h"

namespace {

using namespace wb;

constexpr size_t kFeatures = 9;

std::vector<std::vector<float>> columns_of(const std::string& csv_path) {
  std::vector<std::vector<float>> out(kFeatures);
  std::ifstream in(csv_path);
  std::string line;
  std::getline(in, line);  // names
  while (std::getline(in, line)) {
    const char* at = line.c_str();
    for (size_t i = 0; i < kFeatures; ++i) {
      char* end = nullptr;
      out[i].push_back(std::strtof(at, &end));
      at = end + 1;
    }
  }
  if (out[0].empty()) bench::give_up(csv_path + " has no rows: run script/data");
  return out;
}

engine::Tree full_tree(Prng& prng, int depth, uint32_t output, const std::vector<std::vector<float>>& columns) {
  engine::Tree tree{output, {}};
  const size_t splits = (size_t{1} << depth) - 1;
  for (size_t i = 0; i < 2 * splits + 1; ++i) {
    engine::TreeNode node;
    if (i < splits) {
      node.feature = static_cast<uint32_t>(prng.below(kFeatures));
      node.value = columns[node.feature][prng.below(columns[node.feature].size())];
      node.left = static_cast<int32_t>(2 * i + 1);
      node.right = static_cast<int32_t>(2 * i + 2);
    } else {
      node.value = static_cast<float>(prng.below(2'000)) / 50.0F - 20.0F;  // far apart: nearly every row is sure
    }
    tree.nodes.push_back(node);
  }
  return tree;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) bench::give_up("usage: wb_made_up_model TREES DEPTH CLASSES SHUTTLE.csv OUT.wbm");
  const auto trees = static_cast<uint32_t>(std::atoi(argv[1]));
  const int depth = std::atoi(argv[2]);
  const auto classes = static_cast<uint32_t>(std::atoi(argv[3]));
  const auto columns = columns_of(argv[4]);
  const uint32_t outputs = classes == 2 ? 1 : classes;
  Prng prng(1);
  engine::PlainModel plain;
  plain.objective = classes == 2 ? engine::Objective::kLogistic : engine::Objective::kSoftprob;
  for (size_t i = 0; i < kFeatures; ++i) {
    plain.features.push_back("V" + std::to_string(i + 1));
    plain.sketches.push_back(engine::make_sketch(plain.features.back(), columns[i], 32));
  }
  for (uint32_t i = 0; i < classes; ++i) plain.labels.push_back("c" + std::to_string(i));
  plain.base_margins.assign(outputs, 0.0F);
  plain.reference_scores.label_counts.resize(classes);
  for (uint32_t i = 0; i < trees; ++i) plain.trees.push_back(full_tree(prng, depth, i % outputs, columns));
  const auto bytes = engine::pack(plain);
  if (!bytes.ok()) bench::give_up(bytes.error().text);
  const Status written = world::write_file_atomic(argv[5], *bytes, world::kPublicMode);
  if (!written.ok()) bench::give_up(written.error().text);
  return 0;
}
