// Plain model → package. Trees are rewritten in preorder, so that a left child needs no pointer and a file cannot hold
// a cycle; a split is a number into the table of all different (feature, threshold) pairs of the ensemble.
#include <algorithm>
#include <cmath>

#include "base/bytes.h"
#include "base/checksum.h"
#include "engine/format.h"

namespace wb::engine {
namespace format {
namespace {

Status check_sketch(const FeatureSketch& sketch) {
  const bool empty = sketch.counts.empty() && sketch.edges.empty();
  if (!empty && sketch.counts.size() != sketch.edges.size() + 1) {
    return fail(Code::kInvalid, "sketch '", sketch.name, "': counts must be edges + 1");
  }
  if (sketch.edges.size() > limits::kSketchEdgesMax)
    return fail(Code::kInvalid, "sketch '", sketch.name, "': too many edges");
  for (size_t i = 0; i < sketch.edges.size(); ++i) {
    const bool ascending = i == 0 || sketch.edges[i - 1] < sketch.edges[i];
    if (!std::isfinite(sketch.edges[i]) || !ascending) {
      return fail(Code::kInvalid, "sketch '", sketch.name, "': edges must be finite and ascending");
    }
  }
  if (!std::isfinite(sketch.min) || !std::isfinite(sketch.max) || sketch.min > sketch.max) {
    return fail(Code::kInvalid, "sketch '", sketch.name, "': min and max must be finite and in order");
  }
  return ok_status();
}

// What version 1 has no bytes for.
Status check_version_1(const PlainModel& model) {
  const bool sum = model.sum.precision == Precision::kF32 && !model.sum.divisor && !model.sum.factor &&
                   model.sum.offsets.empty() && model.slope == 1;
  const bool known = model.objective <= Objective::kRegression && model.compare == Compare::kF32Less;
  bool plain = sum && known && model.steps.empty() && model.sets.empty() && !model.calibration;
  for (const Tree& tree : model.trees) {
    plain = plain && tree.vectors.empty();
    for (const TreeNode& node : tree.nodes) plain = plain && (node.left < 0 || node.missing == Missing::kNan);
  }
  return plain ? ok_status() : Status(fail(Code::kUnsupported, "a package of version 1 cannot carry this model"));
}

}  // namespace

Status check_model(const PlainModel& model) {
  WB_CHECK(check_description(model));
  WB_CHECK(check_version_1(model));
  if (!model.sketches.empty() && model.sketches.size() != model.features.size()) {
    return fail(Code::kInvalid, "sketches must be one per feature, or none");
  }
  for (size_t i = 0; i < model.sketches.size(); ++i) {
    if (model.sketches[i].name != model.features[i]) return fail(Code::kInvalid, "sketches must be in feature order");
    WB_CHECK(check_sketch(model.sketches[i]));
  }
  WB_CHECK(check_sketch(model.reference_scores.prediction));
  if (model.reference_scores.label_counts.size() != model.labels.size()) {
    return fail(Code::kInvalid, "reference scores must count every label");
  }
  const size_t rows = model.self_test.margin_bits.size() / model.base_margins.size();
  if (rows > limits::kSelfTestRowsMax || model.self_test.rows.size() != rows * model.features.size() ||
      model.self_test.margin_bits.size() != rows * model.base_margins.size()) {
    return fail(Code::kInvalid, "self-test rows and margins do not match the model's shape");
  }
  if (model.notes.size() > limits::kNotesMax) return fail(Code::kInvalid, "too many notes");
  for (const auto& [key, value] : model.notes) {
    if (key.empty() || key.size() > limits::kNoteBytesMax || value.size() > limits::kNoteBytesMax) {
      return fail(Code::kInvalid, "note '", std::string_view(key).substr(0, 32), "' is empty or too long");
    }
  }
  return ok_status();
}

}  // namespace format

namespace {

using namespace format;

// The different thresholds of each feature, ascending, and where each feature's begin in the numbering of all splits.
struct SplitTable {
  std::vector<std::vector<float>> thresholds;
  std::vector<uint32_t> first;
  size_t count = 0;
};

// -0 and +0 split alike, so they are one threshold.
float canonical(double threshold) { return threshold == 0 ? 0.0F : static_cast<float>(threshold); }

// The nodes that can be reached, in preorder.
std::vector<const TreeNode*> preorder(const Tree& tree) {
  std::vector<const TreeNode*> order;
  std::vector<int32_t> waiting{0};
  while (!waiting.empty()) {
    const TreeNode& node = tree.nodes[static_cast<size_t>(waiting.back())];
    waiting.pop_back();
    order.push_back(&node);
    if (node.left < 0) continue;
    waiting.push_back(node.right);
    waiting.push_back(node.left);
  }
  return order;
}

SplitTable split_table(const PlainModel& model, const std::vector<std::vector<const TreeNode*>>& orders) {
  SplitTable table;
  table.thresholds.resize(model.features.size());
  for (const auto& order : orders) {
    for (const TreeNode* node : order) {
      if (node->left >= 0) table.thresholds[node->feature].push_back(canonical(node->value));
    }
  }
  for (std::vector<float>& thresholds : table.thresholds) {
    std::sort(thresholds.begin(), thresholds.end());
    thresholds.erase(std::unique(thresholds.begin(), thresholds.end()), thresholds.end());
    table.first.push_back(static_cast<uint32_t>(table.count));
    table.count += thresholds.size();
  }
  return table;
}

std::string pack_trees(const PlainModel& model, const std::vector<std::vector<const TreeNode*>>& orders,
                       const SplitTable& table) {
  std::string out;
  size_t nodes = 0;
  for (const auto& order : orders) nodes += order.size();
  put_varint(out, orders.size());
  put_varint(out, nodes);
  for (const Tree& tree : model.trees) put_varint(out, tree.output);
  BitWriter bits;
  for (const auto& order : orders) {
    for (const TreeNode* node : order) {
      bits.put(node->left < 0 ? 1 : 0, 1);
      if (node->left < 0) {
        bits.put(std::bit_cast<uint32_t>(static_cast<float>(node->value)), 32);
        continue;
      }
      const std::vector<float>& thresholds = table.thresholds[node->feature];
      const auto rank =
          std::lower_bound(thresholds.begin(), thresholds.end(), canonical(node->value)) - thresholds.begin();
      bits.put(node->default_left ? 1 : 0, 1);
      bits.put(table.first[node->feature] + static_cast<uint32_t>(rank), split_bits(table.count));
    }
  }
  return out + bits.finish();
}

std::string pack_about(const PlainModel& model) {
  std::string out;
  out.push_back(static_cast<char>(model.objective));
  out.push_back(model.missing_allowed ? 1 : 0);
  put_varint(out, model.features.size());
  for (const std::string& name : model.features) put_text(out, name);
  put_varint(out, model.labels.size());
  for (const std::string& label : model.labels) put_text(out, label);
  put_varint(out, model.base_margins.size());
  for (const double margin : model.base_margins) put_f32(out, static_cast<float>(margin));
  return out;
}

std::string pack_thresholds(const SplitTable& table) {
  std::string out;
  for (const std::vector<float>& thresholds : table.thresholds) {
    put_varint(out, thresholds.size());
    for (const float threshold : thresholds) put_f32(out, threshold);
  }
  return out;
}

void put_sketch(std::string& out, const FeatureSketch& sketch) {
  put_varint(out, sketch.counts.size());
  for (const double edge : sketch.edges) put_f64(out, edge);
  for (const uint64_t count : sketch.counts) put_varint(out, count);
  put_f64(out, sketch.min);
  put_f64(out, sketch.max);
  put_varint(out, sketch.missing);
}

std::string pack_scores(const ReferenceScores& scores) {
  std::string out;
  put_varint(out, scores.records);
  for (const uint64_t count : scores.confidence_bins) put_varint(out, count);
  for (const uint64_t count : scores.label_counts) put_varint(out, count);
  put_sketch(out, scores.prediction);
  return out;
}

void put_section(std::string& out, Tag tag, std::string_view payload) {
  out.push_back(static_cast<char>(tag));
  put_text(out, payload);
}

}  // namespace

Result<std::string> pack(const PlainModel& model) {
  WB_CHECK(check_model(model));
  std::vector<std::vector<const TreeNode*>> orders;
  for (const Tree& tree : model.trees) orders.push_back(preorder(tree));
  const SplitTable table = split_table(model, orders);
  std::string out(kMagic);
  out.push_back(static_cast<char>(kVersion));
  out.push_back(0);
  put_section(out, Tag::kAbout, pack_about(model));
  put_section(out, Tag::kThresholds, pack_thresholds(table));
  put_section(out, Tag::kTrees, pack_trees(model, orders, table));
  std::string sketches;
  put_varint(sketches, model.sketches.size());
  for (const FeatureSketch& sketch : model.sketches) put_sketch(sketches, sketch);
  put_section(out, Tag::kSketches, sketches);
  put_section(out, Tag::kScores, pack_scores(model.reference_scores));
  std::string test;
  put_varint(test, model.self_test.margin_bits.size() / model.base_margins.size());
  for (const float value : model.self_test.rows) put_f32(test, value);
  for (const uint32_t bits : model.self_test.margin_bits) put_u32(test, bits);
  put_section(out, Tag::kSelfTest, test);
  std::string notes;
  put_varint(notes, model.notes.size());
  for (const auto& [key, value] : model.notes) {
    put_text(notes, key);
    put_text(notes, value);
  }
  put_section(out, Tag::kNotes, notes);
  put_u32(out, crc32c(out));
  if (out.size() > limits::kModelBytesMax) {
    return fail(Code::kFull, "the package has ", std::to_string(out.size()), " bytes, the limit is ",
                std::to_string(limits::kModelBytesMax), "; train fewer or smaller trees");
  }
  return out;
}

}  // namespace wb::engine
