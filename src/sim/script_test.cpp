#include "sim/script.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <set>

namespace wb::sim {
namespace {

TEST(Script, TableIsInTheOrderOfTheActs) {
  for (size_t i = 0; i < act_table().size(); ++i) EXPECT_EQ(act_table()[i].act, static_cast<Act>(i)) << i;
  for (const ActSpec& spec : act_table()) EXPECT_EQ(find_act(spec.name), &spec);
  EXPECT_EQ(find_act("explode"), nullptr);
}

// docs/operations/scenarios.md lists every act with what it takes and does, and no other.
TEST(Script, TheActsAreDocumented) {
  std::ifstream file(std::string(WB_SOURCE_DIR) + "/docs/operations/scenarios.md");
  const std::string page((std::istreambuf_iterator<char>(file)), {});
  const size_t begin = page.find("| act | what happens |\n| --- | --- |\n");
  ASSERT_NE(begin, std::string::npos);
  std::string wanted = "| act | what happens |\n| --- | --- |\n";
  for (const ActSpec& spec : act_table()) {
    constexpr const char* kTakes[] = {"", " KIND VERSION", " [VERSION]", " NODES", " NODES for LENGTH", " for LENGTH"};
    wanted += "| `" + std::string(spec.name) + kTakes[static_cast<size_t>(spec.takes)] + "` | " +
              std::string(spec.summary) + " |\n";
  }
  EXPECT_EQ(page.substr(begin, page.find("\n\n", begin) + 1 - begin), wanted);
}

TEST(Script, ASeedShipsGoodReleasesAndBadOnes) {
  std::set<Kind> kinds;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const uint32_t days = 1 + static_cast<uint32_t>(seed % 10);
    const Script script = script_of_seed(seed, days, 400'000);
    EXPECT_EQ(script, script_of_seed(seed, days, 400'000));
    ASSERT_FALSE(script.empty());
    EXPECT_EQ(script[0].act, Act::kShip);
    EXPECT_EQ(script[0].kind, Kind::kGood) << "there has to be something to go back to";
    std::set<uint32_t> versions;
    for (size_t i = 0; i < script.size(); ++i) {
      EXPECT_GE(script[i].at_ms, i == 0 ? 0 : script[i - 1].at_ms);
      EXPECT_LT(script[i].at_ms, int64_t{days} * 86'400'000);
      if (script[i].act != Act::kShip) continue;
      kinds.insert(script[i].kind);
      EXPECT_TRUE(versions.insert(script[i].version).second) << "seed " << seed << " ships a version twice";
    }
    for (const Cue& cue : script_of_seed(seed, days, 0)) EXPECT_LE(cue.kind, Kind::kRetrained);
  }
  EXPECT_EQ(kinds.size(), release_kind_names().size());
}

}  // namespace
}  // namespace wb::sim
