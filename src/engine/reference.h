#pragma once
// The slow obvious predictor: the twin that the fast one is tested against. Written to be read, not to be run.

#include <vector>

#include "engine/engine.h"

namespace wb::engine {

// row: f32[features], NaN = missing → f32[outputs].
std::vector<float> reference_margins(const PlainModel& model, std::span<const float> row);

}  // namespace wb::engine
