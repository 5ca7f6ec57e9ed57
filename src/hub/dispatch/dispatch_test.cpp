#include "hub/dispatch/dispatch.h"

#include <gtest/gtest.h>

namespace wb::hub {
namespace {

pb::Assignment release(const std::string& digest, const std::string& rollout = "r1") {
  pb::Assignment out;
  out.set_digest(digest);
  out.set_rollout(rollout);
  return out;
}
constexpr Moment kNow{{0}, 5'000};

TEST(Dispatch, TheGenerationRisesOnlyWithAChange) {  // U5
  pb::Node node;
  EXPECT_FALSE(assign(kNow, node, release(""), 0));
  EXPECT_EQ(node.desired().generation(), 0U);
  EXPECT_TRUE(assign(kNow, node, release("a"), 0));
  EXPECT_FALSE(assign(kNow, node, release("a"), 1));
  EXPECT_FALSE(assign(kNow, node, release("a", "r2"), 1));
  EXPECT_EQ(node.desired().generation(), 1U);
  EXPECT_EQ(node.desired().rollout(), "r2");
  EXPECT_TRUE(assign(kNow, node, release("b"), 1));
  EXPECT_TRUE(assign(kNow, node, release("a"), 1));  // back is a new generation
  EXPECT_EQ(to_wire(node.desired()).generation(), 3U);
  EXPECT_TRUE(assign(kNow, node, release(""), 3));
  EXPECT_EQ(node.desired().generation(), 4U);
}

TEST(Dispatch, AnOldHubContinuesAboveWhatTheNodeAccepted) {  // U5 with a hub restored from an old backup
  pb::Node node;
  (void)assign(kNow, node, release("a"), 0);
  EXPECT_TRUE(assign(kNow, node, release("a"), 7));
  EXPECT_EQ(node.desired().generation(), 8U);
  EXPECT_FALSE(assign(kNow, node, release("a"), 8));
  pb::Node forgotten;
  EXPECT_FALSE(assign(kNow, forgotten, release(""), 7));
}

TEST(Dispatch, NeverWhatTheNodeRefuses) {  // U9
  pb::Node node;
  (void)assign(kNow, node, release("a"), 0);
  node.add_quarantined("b");
  EXPECT_TRUE(assign(kNow, node, release("b"), 1));
  EXPECT_EQ(node.desired().digest(), "");
}

}  // namespace
}  // namespace wb::hub
