#include "sim/script.h"

#include <gtest/gtest.h>

#include <set>

namespace wb::sim {
namespace {

TEST(Script, TableIsInTheOrderOfTheActs) {
  for (size_t i = 0; i < act_table().size(); ++i) EXPECT_EQ(act_table()[i].act, static_cast<Act>(i)) << i;
  for (const ActSpec& spec : act_table()) EXPECT_EQ(find_act(spec.name), &spec);
  EXPECT_EQ(find_act("explode"), nullptr);
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
    std::set<std::string> versions;
    for (size_t i = 0; i < script.size(); ++i) {
      EXPECT_GE(script[i].at_ms, i == 0 ? 0 : script[i - 1].at_ms);
      EXPECT_LT(script[i].at_ms, int64_t{days} * 86'400'000);
      if (script[i].act != Act::kShip) continue;
      kinds.insert(script[i].kind);
      EXPECT_TRUE(versions.insert(script[i].version).second) << "seed " << seed << " ships a version twice";
    }
    for (const Cue& cue : script_of_seed(seed, days, 0)) EXPECT_NE(cue.kind, Kind::kSwapped);
  }
  EXPECT_TRUE(kinds.contains(Kind::kSwapped));
  EXPECT_TRUE(kinds.contains(Kind::kRetrained));
}

}  // namespace
}  // namespace wb::sim
