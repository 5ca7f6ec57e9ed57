#include "apps/waybill/release_build.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/checksum.h"
#include "base/signature.h"
#include "edge/deploy/deploy.h"
#include "engine/engine.h"

namespace wb::cli {
namespace {

engine::PlainModel small_model() {
  engine::PlainModel plain;
  plain.objective = engine::Objective::kLogistic;
  plain.features = {"x", "y"};
  plain.labels = {"ok", "bad"};
  plain.base_margins = {0.5F};
  engine::Tree tree;
  tree.nodes = {{1, 2, 0, 1.5F, false}, {-1, -1, 0, -1.0F, false}, {-1, -1, 0, 2.0F, false}};
  plain.trees = {tree};
  plain.reference_scores.records = 10;
  plain.reference_scores.label_counts = {7, 3};
  plain.reference_scores.confidence_bins[12] = 10;
  const auto model = engine::Model::load(*engine::pack(plain));
  plain.self_test.rows = {1, 0, 2, 0};
  plain.self_test.margins.resize(2);
  model->predict_margins(plain.self_test.rows, 2, plain.self_test.margins);
  return plain;
}

class ReleaseBuild : public testing::Test {
 protected:
  ReleaseBuild() {
    inputs.name = "pump";
    inputs.version = "2";
    inputs.pipeline_file = "pump.yaml";
    inputs.pipeline =
        "name: pump\nschema:\n  - {name: x, type: number}\n  - {name: y, type: number}\ninfer: {model: main}\n"
        "sync:\n  budget: 64KiB\n  rules:\n    - low_confidence: {below: 0.8}\n    - novel: {above: 3}\n";
    inputs.model_file = "pump.wbm";
    inputs.model = *engine::pack(small_model());
    inputs.seed = std::string(32, 's');
  }
  std::string error() {
    const auto built = build_release_file(inputs);
    return built.ok() ? "" : built.error().text;
  }
  ReleaseInputs inputs;
};

TEST_F(ReleaseBuild, SameInputsSameBytesAndANodeTakesThem) {
  const auto first = build_release_file(inputs);
  ASSERT_TRUE(first.ok()) << first.error().text;
  EXPECT_EQ(*first, *build_release_file(inputs));
  const auto release = wire::open_release(*first, {*ed25519_public_key(inputs.seed)});
  ASSERT_TRUE(release.ok());
  EXPECT_EQ(release->manifest.self_test().rows(), 2U);
  EXPECT_EQ(release->manifest.reference_scores().labels(1), "bad");
  EXPECT_EQ(release->manifest.reference_scores().confidence_bins(12), 10U);
  EXPECT_EQ(release->manifest.min_confidence(), 0.8);
  EXPECT_EQ(release->manifest.max_novelty(), 3);
  EXPECT_EQ(release->manifest.schema().names_size(), 2);
}

// A model that computes in f64 is tried in f64: 0.1 is no f32, and its neighbour is answered otherwise.
TEST_F(ReleaseBuild, TheSelfTestOfAnF64ModelKeepsItsDigits) {
  engine::PlainModel plain = small_model();
  plain.compare = engine::Compare::kF64LessEqual;
  plain.sum.precision = engine::Precision::kF64;
  plain.trees[0].nodes[0].value = 0.1;
  plain.trees[0].nodes[1].value = 1.0 / 3;
  plain.self_test.rows = {0.1, 0, std::nextafter(0.1, 1), 0};
  plain.self_test.margins = {0.5 + 1.0 / 3, 2.5};
  inputs.model = *engine::pack(plain);
  auto built = build_release_file(inputs);
  ASSERT_TRUE(built.ok()) << built.error().text;
  auto release = wire::inspect_release(*built);
  wire::SelfTest& test = *release->manifest.mutable_self_test();
  ASSERT_EQ(test.wide_features(0), 0.1);
  test.set_wide_margin_bits(0, test.wide_margin_bits(0) ^ 1);
  const Bytes bytes = *wire::build_release(
      {release->manifest, {{"pipeline.yaml", inputs.pipeline}, {"model/main", inputs.model}}}, inputs.seed);
  wire::Desired desired;
  desired.set_digest(sha256_hex(bytes));
  desired.set_size_bytes(bytes.size());
  const auto checked = deploy::verify_release(bytes, desired, {*ed25519_public_key(inputs.seed)});
  ASSERT_TRUE(std::holds_alternative<deploy::Refusal>(checked));
  EXPECT_EQ(std::get<deploy::Refusal>(checked).code, "DEPLOY_REJECTED/SELF_TEST");
}

// The last gate of U1: one bit of one margin, signed or not, and the release does not load.
TEST_F(ReleaseBuild, ASelfTestThatDoesNotReproduceIsRefused) {
  const auto built = build_release_file(inputs);
  auto release = wire::inspect_release(*built);
  for (const bool shape : {false, true}) {
    wire::ReleaseContent content;
    content.manifest = release->manifest;
    content.contents = {{"pipeline.yaml", inputs.pipeline}, {"model/main", inputs.model}};
    auto* test = content.manifest.mutable_self_test();
    if (shape) {
      test->mutable_features()->Truncate(2);
    } else {
      test->set_margin_bits(0, test->margin_bits(0) ^ 1);
    }
    const Bytes bytes = *wire::build_release(content, inputs.seed);
    wire::Desired desired;
    desired.set_digest(sha256_hex(bytes));
    desired.set_size_bytes(bytes.size());
    const auto checked = deploy::verify_release(bytes, desired, {*ed25519_public_key(inputs.seed)});
    ASSERT_TRUE(std::holds_alternative<deploy::Refusal>(checked));
    EXPECT_EQ(std::get<deploy::Refusal>(checked).code, "DEPLOY_REJECTED/SELF_TEST")
        << std::get<deploy::Refusal>(checked).text;
  }
}

// Truncated, bit-flipped, oversized: every one is refused before anything is loaded.
TEST_F(ReleaseBuild, DamagedBytesAreRefused) {
  const Bytes good = *build_release_file(inputs);
  wire::Desired desired;
  desired.set_digest(sha256_hex(good));
  desired.set_size_bytes(good.size());
  const std::vector<std::string> keys = {*ed25519_public_key(inputs.seed)};
  EXPECT_TRUE(std::holds_alternative<wire::Release>(deploy::verify_release(good, desired, keys)));
  for (size_t cut = 0; cut < good.size(); cut += 7)
    EXPECT_TRUE(std::holds_alternative<deploy::Refusal>(deploy::verify_release(good.substr(0, cut), desired, keys)));
  EXPECT_EQ(std::get<deploy::Refusal>(deploy::verify_release(good + "x", desired, keys)).code,
            "DEPLOY_REJECTED/LENGTH");
  for (size_t at = 0; at < good.size(); at += 5) {
    Bytes flipped = good;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x10);
    EXPECT_EQ(std::get<deploy::Refusal>(deploy::verify_release(flipped, desired, keys)).code, "DEPLOY_REJECTED/DIGEST");
    // Even under a digest that fits, what is signed must hold.
    wire::Desired fits = desired;
    fits.set_digest(sha256_hex(flipped));
    EXPECT_TRUE(std::holds_alternative<deploy::Refusal>(deploy::verify_release(flipped, fits, keys))) << "byte " << at;
  }
}

TEST_F(ReleaseBuild, WrongInputsSayWhatToDo) {
  ReleaseInputs good = inputs;
  inputs.model_file = "";
  EXPECT_EQ(error(), "pump.yaml asks for model 'main'; give it with --model FILE");
  inputs = good;
  inputs.model.resize(20);
  EXPECT_TRUE(error().starts_with("pump.wbm: ")) << error();
  inputs = good;
  inputs.pipeline = "name: [\n";
  EXPECT_TRUE(error().starts_with("pump.yaml:")) << error();
  inputs = good;
  inputs.pipeline += "transfroms: []\n";
  EXPECT_TRUE(error().starts_with("pump.yaml:11:1: ")) << error();
  EXPECT_NE(error().find("transforms"), std::string::npos) << error();
  inputs = good;
  inputs.version = "2/../3";
  EXPECT_NE(error().find("letters, digits"), std::string::npos) << error();
}

TEST(ReleaseKey, ReadsBackAndRefusesOthers) {
  const std::string seed(32, 'k');
  EXPECT_EQ(*decode_key_file(encode_key_file(seed), "k"), seed);
  EXPECT_FALSE(decode_key_file("-----BEGIN PRIVATE KEY-----", "k").ok());
  EXPECT_EQ(decode_key_file("waybill-release-key-1 abcd", "k").error().code, Code::kCorrupt);
}

}  // namespace
}  // namespace wb::cli
