#pragma once
// Trees that say how often: classification and regression trees, and forests of them.
//
// Boosting needs a tree for every class; a tree whose leaves hold one share per class needs one in all, which is what
// makes "one shallow tree" a vehicle at all. Growing is greedy (Breiman, Friedman, Olshen, Stone 1984: the split that
// lowers the weighted Gini impurity, or the weighted variance, most) on columns cut into at most 255 bins of about
// equal count. A missing value goes to whichever side is better, and where none was seen to the side with more weight.
// A forest grows its trees on bootstrap samples, each split looking at some features only, and means them (Breiman
// 2001).
//
// One thread, integers and doubles in a fixed order, chance from a Prng: the same data and options give the same trees
// everywhere.

#include <cstdint>

#include "base/prng.h"
#include "base/result.h"
#include "engine/engine.h"
#include "fit/dataset.h"

namespace wb::fit {

struct CartOptions {
  size_t trees = 1;      // 1: all rows, all features; more: a forest
  size_t depth = 5;      // levels of splits, at most limits::kTreeDepthMax
  double leaf_rows = 1;  // weight that each side of a split must keep, in rows of mean weight
  uint64_t seed = 1;
};

// Objective, features, labels, trees: kVotes with one share a label, kOneVote with that of the second of two, or
// kRegression. The shares of a leaf are drawn
// towards those of the whole data by the weight of one row, so that no leaf is surer than its rows.
engine::PlainModel grow(const Dataset& data, const CartOptions& options);

}  // namespace wb::fit
