// The package format: it keeps everything, one model has one encoding, and hostile bytes are refused or harmless.
#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/checksum.h"
#include "base/test_memory.h"
#include "engine/format.h"
#include "engine/reference.h"
#include "engine/test_models.h"

namespace wb::engine {
namespace {

using testing::nasty_rows;
using testing::random_model;

PlainModel full_model() {
  PlainModel plain = random_model(11, 3, 3, 6, 14);
  plain.missing_allowed = true;
  Prng prng(1);
  for (const std::string& name : plain.features) {
    std::vector<float> values;
    for (int i = 0; i < 50; ++i) values.push_back(testing::random_float(prng));
    plain.sketches.push_back(make_sketch(name, values, 5));
  }
  plain.reference_scores.records = 9;
  plain.reference_scores.confidence_bins[19] = 9;
  plain.reference_scores.label_counts = {2, 3, 4};
  plain.self_test.rows = nasty_rows(prng, plain, 2, false);
  for (size_t row = 0; row < 2; ++row) {
    for (const float margin : reference_margins(plain, std::span(plain.self_test.rows).subspan(row * 3, 3))) {
      plain.self_test.margin_bits.push_back(std::bit_cast<uint32_t>(margin));
    }
  }
  plain.notes = {{"trainer", "by hand"}};
  return plain;
}

std::string repaired(std::string bytes) {  // with a checksum that matches again
  bytes.resize(bytes.size() - format::kTrailerBytes);
  format::put_u32(bytes, crc32c(bytes));
  return bytes;
}

// Whatever was loaded must be safe to run and must be what the twin says.
void expect_harmless(const std::string& bytes) {
  const auto plain = unpack(bytes);
  if (!plain.ok()) {
    EXPECT_FALSE(plain.error().text.empty());
    EXPECT_FALSE(Model::load(bytes).ok());
    return;
  }
  auto model = Model::load(bytes);
  ASSERT_TRUE(model.ok());
  Prng prng(7);
  const size_t n = 9;
  const std::vector<float> rows = nasty_rows(prng, *plain, n, true);
  std::vector<float> margins(n * model->outputs_count());
  model->predict_margins(rows, n, margins);
  const std::vector<float> wanted = reference_margins(*plain, std::span(rows).first(model->features_count()));
  for (size_t out = 0; out < wanted.size(); ++out) {
    EXPECT_EQ(std::bit_cast<uint32_t>(wanted[out]), std::bit_cast<uint32_t>(margins[out]));
  }
  EXPECT_EQ(*pack(*plain), bytes) << "one model must have one encoding";
}

TEST(Package, KeepsEverythingAndIsDeterministic) {
  const PlainModel plain = full_model();
  const std::string bytes = *pack(plain);
  EXPECT_EQ(bytes, *pack(plain));
  const Model model = std::move(Model::load(bytes)).value();
  EXPECT_EQ(model.features(), plain.features);
  EXPECT_EQ(model.labels(), plain.labels);
  EXPECT_EQ(model.sketches(), plain.sketches);
  EXPECT_EQ(model.reference_scores(), plain.reference_scores);
  EXPECT_EQ(model.self_test(), plain.self_test);
  EXPECT_EQ(model.notes(), plain.notes);
  EXPECT_TRUE(model.missing_allowed());
  EXPECT_EQ(model.trees_count(), plain.trees.size());
  EXPECT_EQ(model.bytes(), bytes);
  EXPECT_TRUE(model.verify_self_test().ok());
  EXPECT_EQ(*pack(*unpack(bytes)), bytes);
}

// The worked example of docs/formats/model.md. These bytes are a promise: version 1 packages stay readable.
TEST(Package, WorkedExampleOfTheFormatPage) {
  PlainModel plain;
  plain.objective = Objective::kRegression;
  plain.features = {"x"};
  plain.base_margins = {0.5F};
  plain.trees = {{0, {{1, 2, 0, 3.0F, true}, {-1, -1, 0, -1.0F, false}, {-1, -1, 0, 2.0F, false}}}};
  const std::string head = "57424d1a0100010b030001017800010000003f02050100004040030c010300060000fc0d00000004040100";
  EXPECT_EQ(hex_encode(*pack(plain)), head + "0527" + std::string(78, '0') + "06010007010090fb8017");
}

// The worked example with other sections 3 and 7, as somebody who writes bytes by hand would make it.
std::string by_hand(std::string_view trees, std::string_view notes) {
  std::string bytes = *hex_decode("57424d1a0100010b030001017800010000003f02050100004040");
  bytes += '\x03';
  format::put_text(bytes, trees);
  bytes += *hex_decode("0401000527" + std::string(78, '0') + "060100");
  bytes += '\x07';
  format::put_text(bytes, notes);
  format::put_u32(bytes, crc32c(bytes));
  return bytes;
}

// A full tree in preorder: 2^(depth + 1) - 1 nodes.
void put_full_tree(format::BitWriter& bits, int depth) {
  bits.put(depth == 0 ? 1 : 0, 1);
  bits.put(0, depth == 0 ? 32 : 1);
  if (depth == 0) return;
  put_full_tree(bits, depth - 1);
  put_full_tree(bits, depth - 1);
}

std::string full_tree_section(int depth) {
  std::string section("\x01", 1);
  format::put_varint(section, (2U << depth) - 1);
  section += '\0';
  format::BitWriter bits;
  put_full_tree(bits, depth);
  return section + bits.finish();
}

TEST(Package, TheLargestTreeLoadsAndALargerOneIsRefused) {
  const std::string no_notes(1, '\0');
  const auto largest = Model::load(by_hand(full_tree_section(15), no_notes));
  ASSERT_TRUE(largest.ok()) << largest.error().text;
  EXPECT_EQ(largest->nodes_count(), limits::kTreeNodesMax);
  EXPECT_FALSE(Model::load(by_hand(full_tree_section(16), no_notes)).ok());
}

TEST(Package, ANumberHasOneForm) {
  EXPECT_TRUE(Model::load(by_hand(full_tree_section(1), *hex_decode("00"))).ok());
  EXPECT_FALSE(Model::load(by_hand(full_tree_section(1), *hex_decode("8000"))).ok());  // zero, the long way
}

TEST(Package, EveryTruncationIsRefused) {
  const std::string bytes = *pack(full_model());
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(Model::load(bytes.substr(0, size)).ok()) << size;
    if (size > format::kHeadBytes + format::kTrailerBytes) {
      EXPECT_FALSE(Model::load(repaired(bytes.substr(0, size))).ok()) << size << " bytes, checksum repaired";
    }
  }
  EXPECT_FALSE(Model::load(bytes + '\0').ok());
}

TEST(Package, EveryBitFlipIsRefused) {
  const std::string bytes = *pack(full_model());
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    EXPECT_FALSE(Model::load(flipped).ok()) << bit;
  }
}

TEST(Package, HostileBytesWithAValidChecksumAreRefusedOrHarmless) {
  const std::string bytes = *pack(full_model());
  size_t accepted = 0;
  for (size_t bit = format::kHeadBytes * 8; bit < (bytes.size() - format::kTrailerBytes) * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    flipped = repaired(flipped);
    accepted += Model::load(flipped).ok() ? 1 : 0;
    expect_harmless(flipped);
    if (HasFailure()) FAIL() << "bit " << bit;
  }
  EXPECT_GT(accepted, 0U);  // a flipped leaf is another valid model: the signature of the release guards that
  Prng prng(2);
  for (int round = 0; round < 20'000; ++round) {  // several bytes at once
    std::string mangled = bytes;
    const uint64_t changes = 1 + prng.below(4);
    for (uint64_t i = 0; i < changes; ++i) {
      const size_t at = format::kHeadBytes + prng.below(bytes.size() - format::kHeadBytes);
      mangled[at] = static_cast<char>(prng.below(256));
    }
    expect_harmless(repaired(mangled));
    if (HasFailure()) FAIL() << "round " << round;
  }
}

// Every count of a package, far beyond what is there: refused before anything of that size is made.
TEST(Package, CountsThatLieAreRefusedAndCostNothing) {
  const std::string head = *hex_decode("57424d1a0100");
  const std::string about = *hex_decode("03000101780001");  // one feature "x", no label, one margin: its bytes are due
  for (const uint64_t lie : {uint64_t{100}, (uint64_t{1} << 31) - 1, uint64_t{1} << 31, (uint64_t{1} << 31) + 1,
                             (uint64_t{1} << 32) - 1, (uint64_t{1} << 32) + 1, uint64_t{1} << 62, UINT64_MAX}) {
    std::string number;
    format::put_varint(number, lie);
    std::vector<std::string> sections = {number};  // the length of the first section itself
    for (const size_t at : {2U, 3U, 5U, 6U}) {     // features, name, labels, margins
      std::string section;
      format::put_text(section, about.substr(0, at) + number + std::string(64, '\1'));
      sections.push_back(section);
    }
    for (const std::string& section : sections) {
      const std::string bytes = repaired(head + '\1' + section + std::string(64 + format::kTrailerBytes, '\0'));
      EXPECT_LE(test_memory::peak_bytes_of([&] { EXPECT_FALSE(Model::load(bytes).ok()) << lie; }), size_t{16} << 10);
    }
    for (const std::string& tree : {number, '\1' + number, std::string("\1\3", 2) + number}) {
      const std::string bytes = by_hand(tree + std::string(64, '\0'), std::string(1, '\0'));
      EXPECT_LE(test_memory::peak_bytes_of([&] { EXPECT_FALSE(Model::load(bytes).ok()) << lie; }), size_t{16} << 10);
    }
    const std::string notes = by_hand(full_tree_section(1), number);
    EXPECT_LE(test_memory::peak_bytes_of([&] { EXPECT_FALSE(Model::load(notes).ok()) << lie; }), size_t{64} << 10);
  }
}

std::string refusal(const PlainModel& plain) {
  const auto bytes = pack(plain);
  return bytes.ok() ? "" : bytes.error().text;
}

TEST(Package, RefusesModelsThatCannotBe) {
  const PlainModel good = full_model();
  ASSERT_EQ(refusal(good), "");
  PlainModel bad = good;
  bad.features[1] = bad.features[0];
  EXPECT_NE(refusal(bad).find("stands twice"), std::string::npos);
  bad = good;
  bad.trees[0].nodes[0] = TreeNode{0, 0, 0, 1.0F, false};  // its own child
  EXPECT_NE(refusal(bad).find("tree 0: two nodes share a child"), std::string::npos) << refusal(bad);
  bad = good;
  bad.trees[0].nodes[0] = TreeNode{99, 1, 0, 1.0F, false};
  EXPECT_NE(refusal(bad).find("a child is not in the tree"), std::string::npos);
  bad = good;
  bad.trees[2].output = 3;
  EXPECT_NE(refusal(bad).find("tree 2: adds to an output that is not there"), std::string::npos);
  bad = good;
  bad.trees.push_back(Tree{0, {TreeNode{.value = std::numeric_limits<float>::quiet_NaN()}}});
  EXPECT_NE(refusal(bad).find("a leaf is not finite"), std::string::npos);
  bad = good;
  bad.labels.pop_back();
  EXPECT_NE(refusal(bad).find("softprob does not go with 2 labels"), std::string::npos);
  bad = good;
  bad.self_test.rows.pop_back();
  EXPECT_NE(refusal(bad).find("self-test"), std::string::npos);
}

TEST(Package, SaysWhatItWasGiven) {
  EXPECT_NE(Model::load("").error().text.find("not a model package"), std::string::npos);
  EXPECT_NE(Model::load("{\"learner\": 1, \"and so on\"}").error().text.find("waybill fit"), std::string::npos);
  std::string newer = *pack(full_model());
  newer[4] = 9;
  EXPECT_EQ(Model::load(newer).error().code, Code::kUnsupported);
  std::string cut = *pack(full_model());
  cut.pop_back();
  EXPECT_EQ(Model::load(cut).error().code, Code::kCorrupt);
}

TEST(Package, TakesAboutThreeBytesANode) {
  PlainModel plain = random_model(4, 9, 7, 200, 120);
  for (Tree& tree : plain.trees) {
    for (TreeNode& node : tree.nodes) {
      if (node.left >= 0) node.value = std::round(node.value);  // thresholds repeat, as in trained models
    }
  }
  const Model model = std::move(Model::load(*pack(plain))).value();
  EXPECT_LT(static_cast<double>(model.bytes().size()), 3.2 * static_cast<double>(model.nodes_count()));
}

}  // namespace
}  // namespace wb::engine
