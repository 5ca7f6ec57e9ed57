// What lint says about wrong files, as golden text: bad/NAME.yaml and, beside it, bad/NAME.txt with every line
// expected. WB_GOLDEN=write rewrites the expectations; read the diff.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "apps/waybill/test_pipeline.h"

namespace wb::pipeline_tests {
namespace {

std::string read(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

TEST(Lint, GoldenTexts) {
  const std::filesystem::path folder = std::filesystem::path(WB_SOURCE_DIR) / "tests/pipeline/bad";
  const char* mode = std::getenv("WB_GOLDEN");
  const bool write = mode != nullptr && std::string_view(mode) == "write";
  size_t seen = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".yaml") continue;
    ++seen;
    std::filesystem::path golden = entry.path();
    golden.replace_extension(".txt");
    const Built built = build(read(entry.path()));
    EXPECT_TRUE(built.pipeline.empty()) << entry.path() << " was accepted";
    if (write) std::ofstream(golden, std::ios::binary) << built.problems;
    EXPECT_EQ(built.problems, read(golden)) << entry.path();
  }
  EXPECT_GE(seen, 10U);
}

TEST(Lint, AGoodFileHasNoProblems) { EXPECT_EQ(build(kGood).problems, ""); }

TEST(Lint, WithoutTheModelItSaysWhatWasNotChecked) {
  const Built built = build(kGood, false);
  EXPECT_EQ(built.problems, "");
  ASSERT_EQ(built.pipeline.size(), 1U);
  ASSERT_EQ(built.pipeline[0].unchecked().size(), 1U);
  EXPECT_NE(built.pipeline[0].unchecked()[0].find("'main' is not at hand"), std::string::npos);
}

// Any damage to a good file is answered with problems that have a place, or accepted; never a crash.
TEST(Lint, EveryOneByteDamageHasAnAnswer) {
  for (size_t at = 0; at < kGood.size(); ++at) {
    std::string bad(kGood);
    bad[at] = 'Z';
    const Built built = build(bad);
    if (built.pipeline.empty()) {
      EXPECT_EQ(built.problems.substr(0, 7), "p.yaml:") << bad;
    }
    bad.erase(at, 1);
    (void)build(bad);
  }
}

}  // namespace
}  // namespace wb::pipeline_tests
