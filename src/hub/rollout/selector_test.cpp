#include "hub/rollout/selector.h"

#include <gtest/gtest.h>

namespace wb::hub {
namespace {

const Labels kLyon = {{"site", "lyon"}, {"battery", "false"}, {"line", "a b"}, {"node", "n1"}};
const Labels kOslo = {{"site", "oslo"}, {"battery", "true"}, {"node", "n2"}};

TEST(Selector, NamesTheNodesItSays) {
  const struct {
    const char* text;
    bool lyon, oslo;
  } rows[] = {
      {"all", true, true},
      {"site=lyon and not battery", true, false},
      {"battery", false, true},
      {"site != lyon", false, true},
      {"line != x", true, true},  // without the label: unequal to every value
      {"site in (lyon, oslo)", true, true},
      {"site not in (lyon)", false, true},
      {"line == 'a b'", true, false},
      {"node=n2 or line", true, true},
      {"not (site=lyon or site=oslo)", false, false},
      {"site=oslo or site=lyon and battery", false, true},  // and binds tighter
      {"not not site=lyon", true, false},
  };
  for (const auto& row : rows) {
    const auto selector = Selector::parse(row.text);
    ASSERT_TRUE(selector.ok()) << row.text << ": " << selector.error().text;
    EXPECT_EQ(selector->matches(kLyon), row.lyon) << row.text;
    EXPECT_EQ(selector->matches(kOslo), row.oslo) << row.text;
  }
}

TEST(Selector, AnErrorSaysWhere) {
  const struct {
    const char* text;
    const char* error;
  } rows[] = {
      {"", "selector is empty; write 'all' to name every node"},
      {"site=", "selector, column 6: expected a value; found the end"},
      {"site=lyon battery", "selector, column 11: expected 'and', 'or' or the end; found 'battery'"},
      {"(site=lyon", "selector, column 11: expected ')'; found the end"},
      {"site in lyon", "selector, column 9: expected '(' after 'in'; found 'lyon'"},
      {"site=lyon and or", "selector, column 15: expected a label; found 'or'"},
      {"site='lyon", "selector, column 6: expected a value; found a quote that is not closed"},
      {"site > 3", "selector, column 6: expected 'and', 'or' or the end; found '>'"},
  };
  for (const auto& row : rows) {
    const auto selector = Selector::parse(row.text);
    ASSERT_FALSE(selector.ok()) << row.text;
    EXPECT_EQ(selector.error().text, row.error);
  }
}

TEST(Selector, AMisspeltLabelIsNamedWithTheNearest) {
  const std::vector<std::string> known = {"battery", "node", "site"};
  EXPECT_TRUE(Selector::parse("site=lyon")->check_labels(known).ok());
  EXPECT_EQ(Selector::parse("not battery and siet=lyon")->check_labels(known).error().text,
            "selector, column 17: no node has a label 'siet'; did you mean 'site'?");
}

// "not battery" means something where no node runs on a battery; "not batery" would select those that do.
TEST(Selector, ALabelUnderNotMayBeUnknownButNotMisspelt) {
  const std::vector<std::string> mains = {"node", "site"};
  const std::vector<std::string> mixed = {"battery", "node", "site"};
  EXPECT_TRUE(Selector::parse("site=lyon and not battery")->check_labels(mains).ok());
  EXPECT_TRUE(Selector::parse("battery != aa")->check_labels(mains).ok());
  EXPECT_FALSE(Selector::parse("not not battery")->check_labels(mains).ok());
  EXPECT_FALSE(Selector::parse("battery = aa")->check_labels(mains).ok());
  EXPECT_EQ(Selector::parse("all and not batery")->check_labels(mixed).error().text,
            "selector, column 13: no node has a label 'batery'; did you mean 'battery'?");
}

TEST(Selector, HostileTextIsBounded) {
  EXPECT_EQ(Selector::parse(std::string(2'000, 'a')).error().code, Code::kFull);
  EXPECT_FALSE(Selector::parse(std::string(500, '(')).ok());
  std::string deep;
  for (int i = 0; i < 200; ++i) deep += "not ";
  EXPECT_FALSE(Selector::parse(deep + "x").ok());
  for (int c = 1; c < 256; ++c) (void)Selector::parse(std::string(3, static_cast<char>(c)));
}

}  // namespace
}  // namespace wb::hub
