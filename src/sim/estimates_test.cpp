#include "sim/estimates.h"

#include <gtest/gtest.h>

#include "base/prng.h"

namespace wb::sim {
namespace {

// Many nodes that each keep every fourth of their records; `p` is what those that came say of themselves.
Estimate of_nodes(uint64_t nodes, double p) {
  Prng prng(3);
  Estimate out{"records"};
  for (uint64_t node = 0; node < nodes; ++node) {
    Estimate one{"records", 1, 100};
    for (int i = 0; i < 100; ++i) {
      if (!prng.chance(250'000)) continue;
      one.estimated += 1 / p;
      one.variance += (1 - p) / (p * p);
    }
    one.squares = (one.estimated - one.truth) * (one.estimated - one.truth);
    out += one;
  }
  return out;
}

TEST(Estimates, ErrorsThatCancelOutAreNoBiasAndOthersAre) {  // B4
  const Estimate right = of_nodes(400, 0.25);
  EXPECT_FALSE(right.biased()) << right.z();
  EXPECT_GT(std::abs(right.z()), 0.001);
  EXPECT_TRUE(of_nodes(400, 0.28).biased()) << "ten percent too low";
  EXPECT_TRUE(of_nodes(400, 1).biased()) << "stands for nobody else, and has no variance of its own";
}

TEST(Estimates, OneNodeThatIsFarOffDecidesNothing) {
  Estimate out = of_nodes(400, 0.25);
  out += Estimate{"records", 1, 10'000, 0, 0, 1e8};
  EXPECT_FALSE(out.biased()) << out.z();
}

TEST(Estimates, AFewNodesDecideNothing) {
  EXPECT_FALSE(of_nodes(kEstimateNodesMin - 1, 1).biased());
  EXPECT_TRUE(of_nodes(kEstimateNodesMin, 1).biased());
}

}  // namespace
}  // namespace wb::sim
