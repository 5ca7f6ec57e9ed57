// The package format: it keeps everything, one model has one encoding, and hostile bytes are refused or harmless.
#include <gtest/gtest.h>

#include <functional>

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
  const std::vector<float> rows = nasty_rows(prng, plain, 2, false);
  plain.self_test.rows.assign(rows.begin(), rows.end());
  testing::answer_self_test(plain);
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
    EXPECT_TRUE(testing::same_bits(wanted[out], margins[out])) << wanted[out] << " against " << margins[out];
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
  EXPECT_EQ(model.self_test().rows, plain.self_test.rows);
  EXPECT_EQ(model.self_test().margins, plain.self_test.margins);
  EXPECT_EQ(model.notes(), plain.notes);
  EXPECT_TRUE(model.missing_allowed());
  EXPECT_EQ(model.trees_count(), plain.trees.size());
  EXPECT_EQ(model.bytes(), bytes);
  EXPECT_TRUE(model.verify_self_test().ok());
  EXPECT_EQ(*pack(*unpack(bytes)), bytes);
}

PlainModel small_model() {
  PlainModel plain;
  plain.objective = Objective::kRegression;
  plain.features = {"x"};
  plain.base_margins = {0.5F};
  plain.trees = {{0, {{1, 2, 0, 3.0F, true}, {-1, -1, 0, -1.0F, false}, {-1, -1, 0, 2.0F, false}}}};
  return plain;
}

// The worked example of docs/formats/model.md. These bytes are a promise: version 2 packages stay readable.
TEST(Package, WorkedExampleOfTheFormatPage) {
  const std::string head =
      "57424d1a0200010d0300010101017800010000003f020100030901000901160000080804"
      "0e010300060000000080bf00000040050100060100";
  EXPECT_EQ(hex_encode(*pack(small_model())), head + "0727" + std::string(78, '0') + "080100090100be478090");
}

// The worked example with other sections 4 and 9, as somebody who writes bytes by hand would make it.
std::string by_hand(std::string_view trees, std::string_view notes) {
  std::string bytes = *hex_decode(
      "57424d1a0200"
      "010d030001010101780001"
      "0000003f"
      "020100"
      "030901000901"
      "1600000808");
  bytes += '\x04';
  format::put_text(bytes, trees);
  bytes += *hex_decode(
      "050100"
      "060100"
      "0727" +
      std::string(78, '0') + "080100");
  bytes += '\x09';
  format::put_text(bytes, notes);
  format::put_u32(bytes, crc32c(bytes));
  return bytes;
}

// A full tree, all of whose splits ask the same: 2^(depth + 1) - 1 nodes.
std::string full_tree_section(int depth) {
  std::string section("\x01", 1);
  const size_t leaves = size_t{1} << depth;
  format::put_varint(section, 2 * leaves - 1);
  section += '\0';
  format::BitWriter bits;
  const std::function<void(int)> put_tree = [&](int levels) {
    bits.put(levels == 0 ? 1 : 0, 1);
    for (int side = 0; levels > 0 && side < 2; ++side) put_tree(levels - 1);
  };
  put_tree(depth);
  section += bits.finish();
  section += std::string(2 * (leaves - 1), '\0');  // slot 0, rank 0
  return section + std::string(4 * leaves, '\0');
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
  const std::string head = *hex_decode("57424d1a0200");
  const std::string about =
      *hex_decode("030001010101780001");  // one feature "x", no label, one margin: its bytes are due
  for (const uint64_t lie : {uint64_t{100}, (uint64_t{1} << 31) - 1, uint64_t{1} << 31, (uint64_t{1} << 31) + 1,
                             (uint64_t{1} << 32) - 1, (uint64_t{1} << 32) + 1, uint64_t{1} << 62, UINT64_MAX}) {
    std::string number;
    format::put_varint(number, lie);
    std::vector<std::string> sections = {number};  // the length of the first section itself
    for (const size_t at : {4U, 5U, 7U, 8U}) {     // features, name, labels, margins
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

// 0.1 and 1/3 have digits that no f32 holds: a model that computes in f64 keeps them, another one refuses them.
TEST(Package, ASelfTestHasThePrecisionOfItsModel) {
  PlainModel plain = small_model();
  plain.compare = Compare::kF64LessEqual;
  plain.sum.precision = Precision::kF64;
  plain.trees[0].nodes[0].value = 0.1;
  plain.trees[0].nodes[1].value = 1.0 / 3;
  plain.self_test.rows = {0.1, std::nextafter(0.1, 1), -std::numeric_limits<double>::quiet_NaN()};
  testing::answer_self_test(plain);
  ASSERT_EQ(plain.self_test.margins[0], 0.5 + 1.0 / 3);
  ASSERT_EQ(plain.self_test.margins[1], 2.5);
  const Model model = std::move(Model::load(*pack(plain))).value();
  EXPECT_EQ(model.self_test().margins, plain.self_test.margins);
  EXPECT_EQ(model.self_test().rows[0], 0.1);
  EXPECT_TRUE(model.verify_self_test().ok()) << model.verify_self_test().error().text;
  plain.self_test.margins[0] = std::nextafter(plain.self_test.margins[0], 1);
  EXPECT_FALSE(Model::load(*pack(plain))->verify_self_test().ok());
  PlainModel narrow = small_model();
  narrow.self_test = {{0.1}, {2.5}};
  EXPECT_NE(refusal(narrow).find("no f32"), std::string::npos);
}

// The worked example with a linear part: a tenth section.
TEST(Package, ALinearPartHasASectionBehindTheOthers) {
  PlainModel plain = small_model();
  plain.linear = Linear{{-2}, true};
  std::string bytes = *pack(plain);
  EXPECT_EQ(hex_encode(bytes.substr(bytes.size() - 11, 7)), "0a0501000000c0");
  EXPECT_EQ(unpack(bytes)->linear->weights, plain.linear->weights);
  bytes[9] = '\x80';
  const std::string fault = Model::load(repaired(bytes)).error().text;
  EXPECT_NE(fault.find("about: an unknown flag"), std::string::npos) << fault;
  bytes[9] = 0;
  bytes[bytes.size() - 9] = 4;
  EXPECT_NE(Model::load(repaired(bytes)).error().text.find("linear: an unknown flag"), std::string::npos);
  plain.linear->means = {0.1};
  EXPECT_EQ(unpack(*pack(plain))->linear->means, plain.linear->means);
  plain.linear->means.push_back(1);
  EXPECT_EQ(refusal(plain), "there are 2 means for 1 columns");
  plain.linear->means.clear();
  plain.linear->weights.push_back(1);
  EXPECT_EQ(refusal(plain), "there are 2 weights; there must be one for each output and column, 1");
}

// The worked example with covers: the last section, in the shortest of three forms.
TEST(Package, CoversAreWrittenInTheirShortestForm) {
  PlainModel plain = small_model();
  const auto section = [&](double left, double right) {
    plain.trees[0].covers = {7, left, right};  // that of a split says nothing
    const std::string bytes = *pack(plain);
    EXPECT_EQ(unpack(bytes)->trees[0].covers, (std::vector<double>{0, left, right}));
    const size_t at = bytes.rfind(std::string("\x09\x01\x00", 3)) + 3;
    return hex_encode(bytes.substr(at, bytes.size() - at - format::kTrailerBytes));
  };
  EXPECT_EQ(section(300, 0), "0b0401ac0200");
  EXPECT_EQ(section(1.5, 0), "0b09020000c03f00000000");
  EXPECT_EQ(section(0.1, 1), "0b11039a9999999999b93f000000000000f03f");
  EXPECT_EQ(section(limits::kCoverMax, 1), "0b0902ffff7f7f0000803f");
  const auto wrong = [&](std::vector<double> covers) {
    plain.trees[0].covers = std::move(covers);
    return refusal(plain);
  };
  EXPECT_EQ(wrong({0, 1}), "tree 0: it has not one cover for each node");
  EXPECT_EQ(wrong({1, 0, 0}), "tree 0: no leaf has a cover above 0");
  for (const double bad : {-1.0, -0.0, std::nan(""), 1e39})
    EXPECT_EQ(wrong({1, bad, 1}), "tree 0: a cover is not finite, below 0 or too large");
  plain.trees.push_back(plain.trees[0]);
  plain.trees[0].covers = {0, 1, 1};
  plain.trees[1].covers = {};
  EXPECT_EQ(refusal(plain), "tree 1 and tree 0 differ in whether they have covers");
}

TEST(Package, CoversThatLieAreNamed) {
  PlainModel plain = small_model();
  plain.trees[0].covers = {0, 300, 2};
  const std::string bytes = *pack(plain);
  const std::string before = bytes.substr(0, bytes.size() - format::kTrailerBytes - 6);
  const auto fault = [&](std::string_view section) {
    const std::string changed = before + std::string(section) + std::string(format::kTrailerBytes, '\0');
    return Model::load(repaired(changed)).error().text;
  };
  using std::string_view_literals::operator""sv;
  EXPECT_NE(fault("\x0b\x03\x01\x00\x00"sv).find("covers: tree 0: no leaf has a cover above 0"), std::string::npos);
  EXPECT_NE(fault("\x0b\x02\x01\x05"sv).find("covers: fewer covers than leaves"), std::string::npos);
  EXPECT_NE(fault("\x0b\x01\x04"sv).find("covers: an unknown kind"), std::string::npos);
  EXPECT_NE(fault("\x0b\x04\x01\x05\x05\x05"sv).find("covers: bytes are left over"), std::string::npos);
  EXPECT_NE(fault("\x0b\x0a\x01\x81\x80\x80\x80\x80\x80\x80\x10\x05"sv).find("a cover beyond 2^53"), std::string::npos);
  EXPECT_NE(fault("\x0b\x09\x02\x00\x00\x80\x3f\x00\x00\x80\x3f"sv).find("not in their shortest form"),
            std::string::npos);
  EXPECT_NE(fault("\x0b\x09\x02\x00\x00\x80\xbf\x00\x00\x80\x3f"sv).find("tree 0: a cover is not finite, below 0"),
            std::string::npos);
  EXPECT_NE(fault("\x0f\x01\x00"sv).find("bytes are left over"), std::string::npos);
}

TEST(Package, TextsAreKeptInOrder) {
  PlainModel plain = small_model();
  const std::string without = *pack(plain);
  plain.texts = {{"run", "idle"}};
  const std::string bytes = *pack(plain);
  EXPECT_EQ(bytes.size(), without.size() + 12);
  EXPECT_EQ(unpack(bytes)->texts, plain.texts);
  const Model model = *Model::load(bytes);
  EXPECT_EQ(text_number(model.texts(0), "idle"), 1);
  EXPECT_EQ(text_number(model.texts(0), "melted"), kUnknownText);
  EXPECT_TRUE(std::isnan(text_number(model.texts(0), "")));
  EXPECT_TRUE(Model::load(without)->texts(0).empty());
  plain.texts = {{"run", "run"}};
  EXPECT_EQ(refusal(plain), "feature 0: the text 'run' stands twice");
  plain.texts = {{"run", ""}};
  EXPECT_EQ(refusal(plain), "feature 0: a text name must have 1 to 128 bytes: ''");
  plain.texts = {{}};
  EXPECT_EQ(refusal(plain), "there are lists of texts, and no text");
  plain.texts = {{"a"}, {}};
  EXPECT_EQ(refusal(plain), "there must be no list of texts, or one for each feature");
  std::string cut = bytes;
  cut[without.size() - format::kTrailerBytes + 2] = 3;  // three texts
  EXPECT_NE(Model::load(repaired(cut)).error().text.find("texts: "), std::string::npos);
}

std::string with_last_section(const PlainModel& plain, std::string_view section) {
  std::string bytes = *pack(plain);
  bytes.resize(bytes.size() - format::kTrailerBytes);
  return repaired(bytes + std::string(section) + "crc.");
}
std::string fault_of(const std::string& bytes) {
  const auto model = Model::load(bytes);
  return model.ok() ? "nothing" : model.error().text;
}

TEST(Package, SectionsOfOtherPredictorsSayWhatIsWrongWithThem) {
  PlainModel plain = small_model();
  const auto loaded =
      unpack(with_last_section(plain, std::string("\x0d\x0b\x00\x02\x00\x00\x80\x3f\x00\x00\x00\x00\x40", 13)));
  ASSERT_TRUE(loaded.ok()) << loaded.error().text;
  EXPECT_EQ(loaded->lines[0].constant, 1);
  EXPECT_EQ(loaded->lines[0].weights, (std::vector<double>{2}));
  EXPECT_EQ(loaded->trees[0].nodes[2].set, 0);
  const auto fault = [&](std::string_view section) { return fault_of(with_last_section(plain, section)); };
  EXPECT_NE(fault({"\x0d\x02\x00\x00", 4}).find("lines: not one line"), std::string::npos);
  EXPECT_NE(fault({"\x0d\x0b\x00\x02\x00\x00\x80\x3f\x01\x00\x00\x00\x40", 13}).find("takes column 1 of 1"),
            std::string::npos);
  EXPECT_NE(fault({"\x0e\x01\x01", 3}).find("predictor: "), std::string::npos);
  EXPECT_NE(fault({"\x0f\x01\x01", 3}).find("bytes are left over"), std::string::npos);
  plain.trees.clear();
  plain.base_margins = {0};
  const std::string network("\x0e\x0c\x01\x01\x02\x01\x00\x00\x80\x3f\x00\x00\x00\x40", 14);
  EXPECT_EQ(fault(network), "nothing");
  EXPECT_NE(fault({"\x0e\x01\x03", 3}).find("an unknown kind of predictor"), std::string::npos);
  EXPECT_NE(fault({"\x0e\x07\x01\x01\x02\x7f\x00\x00\x80", 9}).find("too large"), std::string::npos);
  EXPECT_NE(fault_of(with_last_section(small_model(), network)).find("predictor that has no use for them"),
            std::string::npos);
  const std::string neighbours("\x0e\x0d\x02\x01\x00\x01\x01\x00\x00\x80\x3f\x00\x00\x00\x40", 15);
  EXPECT_EQ(fault(neighbours), "nothing");
  EXPECT_NE(fault({"\x0e\x0d\x02\x01\x02\x01\x01\x00\x00\x80\x3f\x00\x00\x00\x40", 15}).find("way to weigh"),
            std::string::npos);
  EXPECT_NE(fault({"\x0e\x0d\x02\x01\x00\x02\x01\x00\x00\x80\x3f\x00\x00\x00\x40", 15}).find("asks 2 of 1"),
            std::string::npos);
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

TEST(Package, KeepsEveryKindOfModel) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    const PlainModel plain = testing::wild_model(seed);
    const auto bytes = pack(plain);
    ASSERT_TRUE(bytes.ok()) << bytes.error().text;
    const auto again = unpack(*bytes);
    ASSERT_TRUE(again.ok()) << again.error().text;
    ASSERT_EQ(*pack(*again), *bytes) << seed;
    EXPECT_EQ(again->steps.size(), plain.steps.size());
    EXPECT_EQ(again->calibration.has_value(), plain.calibration.has_value());
    EXPECT_EQ(again->linear.has_value(), plain.linear.has_value());
    EXPECT_EQ(has_covers(*again), has_covers(plain));
    EXPECT_EQ(again->texts, plain.texts);
    Prng prng(seed);
    for (int i = 0; i < 20; ++i) {
      const std::vector<double> row = testing::nasty_wide_rows(prng, plain, 1);
      const auto before = reference_margins(plain, std::span<const double>(row));
      const auto after = reference_margins(*again, std::span<const double>(row));
      for (size_t out = 0; out < before.size(); ++out)
        ASSERT_TRUE(testing::same_bits(after[out], before[out])) << "seed " << seed;
    }
  }
}

TEST(Package, FaultsAreNamedWithTheirOffset) {
  const std::string trees = full_tree_section(1);
  const size_t begin = by_hand(trees, std::string(1, '\0')).find(trees);
  const auto fault = [&](size_t at, char byte) {
    std::string changed = trees;
    changed[at] = byte;
    return Model::load(by_hand(changed, std::string(1, '\0'))).error().text;
  };
  const auto byte = [&](size_t at) { return "model package: byte " + std::to_string(begin + at) + ", trees: "; };
  EXPECT_EQ(fault(2, 2), byte(3) + "a tree for an output that is not there");
  EXPECT_EQ(fault(3, 0), byte(4) + "a tree with more nodes than there are");
  EXPECT_EQ(fault(3, 1), byte(4) + "nodes that belong to no tree");
  EXPECT_EQ(fault(4, 9), byte(4) + "a split on slot 9 of 1");
  EXPECT_EQ(fault(5, 1), byte(5) + "a split at rank 1 of slot 0, which has 1");
  std::string leaf = trees;
  leaf[12] = '\x80';
  leaf[13] = '\x7f';
  EXPECT_EQ(Model::load(by_hand(leaf, std::string(1, '\0'))).error().text, byte(10) + "a leaf that is not finite");
}

TEST(Package, HostileBytesOfEveryKindAreRefusedOrHarmless) {
  size_t accepted = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    const std::string bytes = *pack(testing::wild_model(seed));
    Prng prng(seed);
    for (int round = 0; round < 200; ++round) {
      std::string mangled = bytes;
      const uint64_t changes = 1 + prng.below(2);
      for (uint64_t i = 0; i < changes; ++i) {
        const size_t at = format::kHeadBytes + prng.below(bytes.size() - format::kHeadBytes);
        mangled[at] = static_cast<char>(prng.chance(500'000) ? prng.below(256) : mangled[at] ^ (1 << prng.below(8)));
      }
      mangled = repaired(mangled);
      accepted += Model::load(mangled).ok() ? 1 : 0;
      expect_harmless(mangled);
      if (HasFailure()) FAIL() << "seed " << seed << ", round " << round;
    }
  }
  EXPECT_GT(accepted, 1'000U);  // flipped leaves and thresholds are other valid models
}

}  // namespace
}  // namespace wb::engine
