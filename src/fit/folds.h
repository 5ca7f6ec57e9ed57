#pragma once
// Which rows train and which judge. A model must be judged on rows that are as new to it as those of tomorrow: rows of
// one machine stay together if the next machine is another one (groups), and only the past may be learnt from if time
// goes on (times). Otherwise rows are dealt out so that every part has its share of each class (stratified).

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "fit/dataset.h"

namespace wb::fit {

struct Fold {
  std::vector<size_t> train;  // ascending, and so is test
  std::vector<size_t> test;
};

struct FoldOptions {
  size_t folds = 5;
  size_t repeats = 1;  // other deals of the same rows; with times there is only one order
  uint64_t seed = 1;
};

// folds · repeats of them. By times: fold i trains on the first i + 1 of folds + 1 blocks and is judged on the next;
// rows of one moment stay in one block. The same seed gives the same folds. kInvalid: fewer groups, moments or rows
// than folds need.
Result<std::vector<Fold>> make_folds(const Dataset& data, const FoldOptions& options);

// One share of the rows kept back, in the same manner: the last groups of a deal, or the last moments. For classes the
// share is held within each class; a class with one row trains only.
Result<Fold> hold_out(const Dataset& data, double share, uint64_t seed);

}  // namespace wb::fit
