#pragma once
// What a row costs on other machines, estimated: nobody has one of each on the desk.
//
// A row asks each tree one question a level until it meets a leaf; how many that are in the mean is counted on the
// data. Cycles are constants, so that the same model gives the same estimate everywhere. Those of the M4 are
// instructions of the C export counted under QEMU (docs/benchmarks/microcontrollers.md: about 19 a question, 7 a tree)
// times 1.2; those of the A53 are the same at 1.3 instructions a cycle. Caches, flash wait states and the rest of a
// program are not in them: read them as "about", within a factor of two.

#include <string_view>

#include "fit/dataset.h"

namespace wb::fit {

struct Machine {
  std::string_view name;
  double mhz;
  double cycles_a_question;
  double cycles_a_tree;     // to begin one and to add its leaf, for each output it adds to
  double cycles_a_product;  // of a linear model: scale a column, or multiply and add it, once for each output
  double cycles_a_row;
};
inline constexpr Machine kCortexM4{"Cortex-M4, 168 MHz", 168, 23, 8, 8, 42};
inline constexpr Machine kCortexA53{"Cortex-A53, 1.2 GHz", 1'200, 15, 6, 6, 30};

// Questions asked of a mean row, over all trees, on at most 1,000 rows spread over the data, whose rows are columns as
// the trees see them (one_hot()). For trees that compare f32, as fit makes them; a linear model asks none.
double questions_a_row(const engine::PlainModel& model, const Dataset& data);
double estimated_us(const Machine& machine, const engine::PlainModel& model, double questions);

}  // namespace wb::fit
