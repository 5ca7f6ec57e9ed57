// Package → plain model. The bytes are hostile until proven otherwise: the CRC finds accidents, every count is compared
// with what the remaining bytes can hold before anything is allocated, and a tree is read in preorder, so that whatever
// the bytes say it ends, has no cycle and no child outside.
#include <algorithm>
#include <cmath>

#include "base/checksum.h"
#include "engine/format.h"

namespace wb::engine {
namespace {

using namespace format;

// Reads forward; after the first fault every read gives zero and ok() stays false.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  bool ok() const { return ok_; }
  bool finished() const { return ok_ && rest_.empty(); }
  size_t left() const { return rest_.size(); }
  std::string_view rest() const { return rest_; }

  std::string_view take(size_t size) {
    if (!ok_ || size > rest_.size()) {
      ok_ = false;
      return {};
    }
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  uint8_t byte() {
    const std::string_view one = take(1);
    return one.empty() ? 0 : static_cast<uint8_t>(one[0]);
  }
  uint32_t u32() {
    const std::string_view four = take(4);
    uint32_t value = 0;
    for (size_t i = 0; i < four.size(); ++i) value |= static_cast<uint32_t>(static_cast<uint8_t>(four[i])) << (8 * i);
    return value;
  }
  float f32() { return std::bit_cast<float>(u32()); }
  double f64() {
    const uint64_t low = u32();
    const uint64_t high = u32();
    return std::bit_cast<double>(low | high << 32);
  }
  // Only the shortest form of a number is taken, so that one model has one encoding.
  uint64_t varint() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const uint8_t next = byte();
      if (shift == 63 && next > 1) break;
      value |= static_cast<uint64_t>(next & 0x7F) << shift;
      if (next < 0x80) {
        if (next == 0 && shift > 0) break;
        return ok_ ? value : 0;
      }
    }
    ok_ = false;
    return 0;
  }
  // A count of things that take at least `bytes_each` bytes here and are at most `max`.
  size_t count(size_t max, size_t bytes_each) {
    const uint64_t value = varint();
    if (value > max || value * bytes_each > rest_.size()) ok_ = false;
    return ok_ ? static_cast<size_t>(value) : 0;
  }
  std::string text(size_t max) { return std::string(take(count(max, 1))); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

Error damaged(std::string_view where) {
  return fail(Code::kCorrupt, "model package: the ", where, " section is damaged");
}

Status read_about(Reader in, PlainModel& model) {
  const uint8_t objective = in.byte();
  const uint8_t flags = in.byte();
  if (objective < 1 || objective > 3 || flags > 1) return damaged("about");
  model.objective = static_cast<Objective>(objective);
  model.missing_allowed = flags == 1;
  model.features.resize(in.count(limits::kFeaturesMax, 2));
  for (std::string& name : model.features) name = in.text(limits::kNameBytesMax);
  model.labels.resize(in.count(limits::kClassesMax, 2));
  for (std::string& label : model.labels) label = in.text(limits::kNameBytesMax);
  model.base_margins.resize(in.count(limits::kClassesMax, 4));
  for (double& margin : model.base_margins) margin = static_cast<double>(in.f32());
  if (!in.finished() || model.base_margins.empty()) return damaged("about");
  return ok_status();
}

struct Split {
  uint32_t feature = 0;
  float threshold = 0;
  bool used = false;  // by some node: one that is not used would be a second encoding of the same model
};

Result<std::vector<Split>> read_thresholds(Reader in, const PlainModel& model) {
  std::vector<Split> splits;
  for (uint32_t feature = 0; feature < model.features.size(); ++feature) {
    const size_t count = in.count(limits::kModelNodesMax, 4);
    splits.reserve(splits.size() + count);
    for (size_t i = 0; i < count; ++i) {
      const float threshold = in.f32();
      const bool ascending = i == 0 || splits.back().threshold < threshold;
      if (std::isnan(threshold) || !ascending || std::bit_cast<uint32_t>(threshold) == 0x80000000U)
        return damaged("thresholds");
      splits.push_back(Split{feature, threshold, false});
    }
  }
  if (!in.finished()) return damaged("thresholds");
  return splits;
}

// One tree in preorder: after a split comes its left side, then its right. `open` holds the splits whose right side is
// due.
bool read_tree(BitReader& bits, std::vector<Split>& splits, size_t nodes_max, Tree& tree) {
  const unsigned width = split_bits(splits.size());
  std::vector<int32_t> open;
  while (true) {
    const auto at = static_cast<int32_t>(tree.nodes.size());
    if (tree.nodes.size() == nodes_max) return false;
    TreeNode& node = tree.nodes.emplace_back();
    if (bits.get(1) == 0) {
      node.default_left = bits.get(1) == 1;
      const uint32_t split = bits.get(width);
      if (!bits.ok() || split >= splits.size() || open.size() == limits::kTreeDepthMax) return false;
      splits[split].used = true;
      node.feature = splits[split].feature;
      node.value = static_cast<double>(splits[split].threshold);
      node.left = at + 1;
      open.push_back(at);
      continue;
    }
    node.value = static_cast<double>(std::bit_cast<float>(bits.get(32)));
    if (!bits.ok() || !std::isfinite(node.value)) return false;
    if (open.empty()) return true;
    tree.nodes[static_cast<size_t>(open.back())].right = at + 1;
    open.pop_back();
  }
}

Status read_trees(Reader in, std::vector<Split>& splits, PlainModel& model) {
  const size_t trees = in.count(limits::kTreesMax, 1 + 4);
  size_t nodes = in.count(limits::kModelNodesMax, 2);  // n leaves and n - 1 splits take more than 2 bytes a node
  for (size_t i = 0; i < trees; ++i) {
    const uint64_t output = in.varint();
    if (output >= model.base_margins.size()) return damaged("trees");
    model.trees.push_back(Tree{static_cast<uint32_t>(output), {}});
  }
  if (!in.ok()) return damaged("trees");
  BitReader bits(in.rest());
  for (Tree& tree : model.trees) {
    if (!read_tree(bits, splits, std::min(nodes, limits::kTreeNodesMax), tree)) return damaged("trees");
    nodes -= tree.nodes.size();
  }
  const bool all_used = std::all_of(splits.begin(), splits.end(), [](const Split& split) { return split.used; });
  if (nodes != 0 || !bits.finished() || !all_used) return damaged("trees");
  return ok_status();
}

bool read_sketch(Reader& in, FeatureSketch& sketch) {
  const size_t counts = in.count(limits::kSketchEdgesMax + 1, 1);
  sketch.edges.resize(counts == 0 ? 0 : counts - 1);
  for (double& edge : sketch.edges) edge = in.f64();
  sketch.counts.resize(counts);
  for (uint64_t& count : sketch.counts) count = in.varint();
  sketch.min = in.f64();
  sketch.max = in.f64();
  sketch.missing = in.varint();
  return in.ok();
}

Status read_sketches(Reader in, PlainModel& model) {
  model.sketches.resize(in.count(limits::kFeaturesMax, 18));
  if (!model.sketches.empty() && model.sketches.size() != model.features.size()) return damaged("sketches");
  for (size_t i = 0; i < model.sketches.size(); ++i) {
    model.sketches[i].name = model.features[i];
    if (!read_sketch(in, model.sketches[i])) return damaged("sketches");
  }
  return in.finished() ? ok_status() : damaged("sketches");
}

Status read_scores(Reader in, PlainModel& model) {
  ReferenceScores& scores = model.reference_scores;
  scores.records = in.varint();
  for (uint64_t& count : scores.confidence_bins) count = in.varint();
  scores.label_counts.resize(model.labels.size());
  for (uint64_t& count : scores.label_counts) count = in.varint();
  read_sketch(in, scores.prediction);
  return in.finished() ? ok_status() : damaged("scores");
}

Status read_self_test(Reader in, PlainModel& model) {
  const size_t rows = in.count(limits::kSelfTestRowsMax, 4 * (model.features.size() + model.base_margins.size()));
  model.self_test.rows.resize(rows * model.features.size());
  for (float& value : model.self_test.rows) value = in.f32();
  model.self_test.margin_bits.resize(rows * model.base_margins.size());
  for (uint32_t& bits : model.self_test.margin_bits) bits = in.u32();
  return in.finished() ? ok_status() : damaged("self-test");
}

Status read_notes(Reader in, PlainModel& model) {
  model.notes.resize(in.count(limits::kNotesMax, 2));
  for (auto& [key, value] : model.notes) {
    key = in.text(limits::kNoteBytesMax);
    value = in.text(limits::kNoteBytesMax);
  }
  return in.finished() ? ok_status() : damaged("notes");
}

Status check_envelope(std::string_view bytes) {
  if (bytes.size() > limits::kModelBytesMax) {
    return fail(Code::kInvalid, "model package: ", std::to_string(bytes.size()), " bytes, the limit is ",
                std::to_string(limits::kModelBytesMax));
  }
  if (bytes.size() < kHeadBytes + kTrailerBytes || bytes.substr(0, kMagic.size()) != kMagic) {
    return fail(Code::kInvalid,
                "this is not a model package (.wbm): it does not begin with 'WBM'; make one with `waybill fit`");
  }
  const auto version = static_cast<uint8_t>(bytes[kMagic.size()]);
  if (version != kVersion) {
    return fail(Code::kUnsupported, "model package: format version ", std::to_string(version), ", this build reads ",
                std::to_string(kVersion), "; update Waybill or fit the model again");
  }
  Reader trailer(bytes.substr(bytes.size() - kTrailerBytes));
  if (crc32c(bytes.substr(0, bytes.size() - kTrailerBytes)) != trailer.u32()) {
    return fail(Code::kCorrupt,
                "model package: the checksum does not match; the file is damaged or cut off, copy it again");
  }
  return ok_status();
}

}  // namespace

Result<PlainModel> unpack(std::string_view bytes) {
  WB_CHECK(check_envelope(bytes));
  Reader in(bytes.substr(0, bytes.size() - kTrailerBytes));
  in.take(kHeadBytes - 1);
  if (in.byte() != 0) return damaged("head");
  std::array<std::string_view, 7> sections;
  for (size_t i = 0; i < sections.size(); ++i) {
    if (in.byte() != i + 1) return damaged("head");
    sections[i] = in.take(in.count(limits::kModelBytesMax, 1));
  }
  if (!in.finished()) return damaged("head");
  const auto section = [&](Tag tag) { return Reader(sections[static_cast<size_t>(tag) - 1]); };
  PlainModel model;
  WB_CHECK(read_about(section(Tag::kAbout), model));
  WB_TRY(std::vector<Split> splits, read_thresholds(section(Tag::kThresholds), model));
  WB_CHECK(read_trees(section(Tag::kTrees), splits, model));
  WB_CHECK(read_sketches(section(Tag::kSketches), model));
  WB_CHECK(read_scores(section(Tag::kScores), model));
  WB_CHECK(read_self_test(section(Tag::kSelfTest), model));
  WB_CHECK(read_notes(section(Tag::kNotes), model));
  const Status sound = check_model(model);
  if (!sound.ok()) return fail(Code::kCorrupt, "model package: ", sound.error().text);
  return model;
}

}  // namespace wb::engine
