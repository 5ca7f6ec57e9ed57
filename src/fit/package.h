#pragma once
// What a package of a trained model carries beside its trees, from the rows that it was trained and judged on; and what
// the command line and the Python package ask alike of a dataset.

#include <optional>
#include <string>
#include <vector>

#include "fit/dataset.h"

namespace wb::fit {

// One sketch for each feature.
std::vector<engine::FeatureSketch> sketches_of(const Dataset& train);

// Rows that show every part of a model: a spread of real ones, one of zeros and one that is all missing. f32[n,
// features]
std::vector<float> self_test_rows(const Dataset& data);

// What a model answers on rows it was not trained on.
engine::ReferenceScores reference_scores(const engine::Model& model, const Dataset& held_out);

// Weights with which every class weighs as much as any other, and the mean row 1; on top of given ones. Of labels only.
void balance(Dataset& data);

// How often rows are dealt anew if nobody says: more often if they are few.
size_t usual_repeats(const Dataset& data);

// The first feature that only numbers the rows, and that is not in `allowed`: it is named so, and holds whole numbers
// that are all different. It lets a model learn the rows by heart, which is splendid here and useless on a node.
std::optional<std::string> row_number(const Dataset& data, const std::vector<std::string>& allowed);

}  // namespace wb::fit
