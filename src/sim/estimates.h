#pragma once
// Estimates: what the records at the hub say of all that was seen (B4). Each record has its inclusion probability, so
// the sum of their inverses estimates a count (D. Horvitz, D. Thompson 1952, "A generalization of sampling without
// replacement from a finite universe", JASA). One history decides nothing: its estimate may well be off. Over many, the
// errors must cancel out: their sum over its standard error is a z-score, and beyond ±kBiasedZ there is a bias.
//
// Where few records stand for many, the one that would is often not there, and then it is missing in the estimated
// variance too: with 138 samples evicted and none left a node is 4 estimated standard errors off, and all is as it
// should be. So the variance is also taken from how much the nodes really are off, the sum of their squared errors, and
// the larger one counts. With it |z| is at most the root of the number of nodes (a self-normalised sum), whatever the
// tails, so a few odd nodes decide nothing.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <string_view>

namespace wb::sim {

inline constexpr double kBiasedZ = 5;
inline constexpr uint64_t kEstimateNodesMin = 30;

struct Estimate {
  std::string_view of;  // what is estimated, for a table
  uint64_t nodes = 0;
  double truth = 0;
  double estimated = 0;
  double variance = 0;  // of `estimated`, itself estimated: the sum of (1 - p) / p²
  double squares = 0;   // of the nodes' errors

  double z() const { return (estimated - truth) / std::sqrt(std::max({variance, squares, 1.0})); }
  bool decided() const { return nodes >= kEstimateNodesMin; }
  bool biased() const { return decided() && std::abs(z()) > kBiasedZ; }
  Estimate& operator+=(const Estimate& other);
};

struct Estimates {
  Estimate readings{"readings taken in"};             // nodes that lost nothing: selection and thinning
  Estimate thinned{"records selected, thinned out"};  // nodes whose outbox overflowed, and lost nothing else
  Estimate lossy{"records selected, some lost"};  // nodes with damaged records: each stands for as much as the others

  std::array<const Estimate*, 3> all() const { return {&readings, &thinned, &lossy}; }
  Estimates& operator+=(const Estimates& other);
};

}  // namespace wb::sim
