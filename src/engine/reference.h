#pragma once
// The slow obvious predictor: the twin that the fast one is tested against. Written to be read, not to be run.

#include <vector>

#include "engine/model.h"

namespace wb::engine {

// row: f64[features], NaN = missing → f64[outputs]. Where margins are summed in f32, each is an f32.
std::vector<double> reference_margins(const Description& model, std::span<const double> row);
// The same of what the steps left of a row: f64[columns].
std::vector<double> reference_of_columns(const Description& model, std::span<const double> columns);
// The same for f32[features], with the margins rounded to f32: exact where they are summed in f32.
std::vector<float> reference_margins(const Description& model, std::span<const float> row);
// The side that a number takes at a split: what every library's comparison comes to.
bool goes_left(const Description& model, const TreeNode& split, double value);

}  // namespace wb::engine
