#pragma once
// What a package of a trained model carries beside its trees, from the rows that it was trained and judged on; and what
// the command line and the Python package ask alike of a dataset. Both make their packages here, so that the same rows,
// options and seed give the same bytes.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "fit/dataset.h"
#include "fit/fit.h"

namespace wb::fit {

// The rows of one fit, apart from each other.
struct Parts {
  Dataset learnt_from;
  Dataset held_out;                             // to judge on, once
  std::vector<engine::FeatureSketch> sketches;  // of the features of those learnt from
};
// kInvalid: nothing is left to judge on.
Result<Parts> part(const Dataset& data, double holdout, uint32_t seed);

// What was asked, for the notes.
struct Work {
  std::string target;
  std::string booster;  // the library that boosts: "xgboost 1.7.4"
  uint32_t seed = 1;
  bool explain = false;  // covers stay
};

// What a library itself says about rows as one_hot() makes them, f32[n, columns]: f32[n, outputs].
using LibraryMargins = std::function<Result<std::vector<float>>(std::span<const float> columns, size_t n)>;

// The whole of a package: what train() gave, with sketches, self-test, notes and answers on the rows held out. The
// margins of the self-test are `theirs`, where a library trained and is there to be asked.
Result<engine::PlainModel> completed(engine::PlainModel plain, const Candidate& candidate, const Parts& parts,
                                     const Work& work, const LibraryMargins& theirs);

// The library's own answer is the reference: one different bit is refused, with the row.
Status require_equal_margins(const engine::Model& model, const Dataset& data, const LibraryMargins& theirs);

// What a model answers on rows it was not trained on.
engine::ReferenceScores reference_scores(const engine::Model& model, const Dataset& held_out);

// Whether different target values look like classes and not like a quantity: some is a text, or all are whole numbers
// and few. `rows`: how many have them.
bool are_classes(const std::vector<std::string>& values, size_t rows);
// Numbers in order of size, texts in order of bytes.
void sort_labels(std::vector<std::string>& labels);

// Weights with which every class weighs as much as any other, and the mean row 1; on top of given ones. Of labels only.
void balance(Dataset& data);

// How often rows are dealt anew if nobody says: more often if they are few.
size_t usual_repeats(const Dataset& data);

// The first feature that only numbers the rows, and that is not in `allowed`: it is named so, and holds whole numbers
// that are all different. It lets a model learn the rows by heart, which is splendid here and useless on a node.
std::optional<std::string> row_number(const Dataset& data, const std::vector<std::string>& allowed);

}  // namespace wb::fit
