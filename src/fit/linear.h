#pragma once
// Linear and logistic regression: the simplest model that looks at the data at all.
//
// Columns are scaled to mean 0 and deviation 1, a missing value is the mean; both travel with the model as its steps.
// Values: ridge regression. Labels: multinomial logistic regression with the same small ridge, by steps against a fixed
// bound of the Hessian (Böhning 1992, "Multinomial logistic regression algorithm"): each step lowers the loss, needs no
// line search, and one Cholesky factor serves all of them. It stops when a step moves no weight by more than 1e-4, or
// after 200: near a perfect separation weights would grow for ever, and answers do not change any more.

#include "fit/dataset.h"

namespace wb::fit {

// Work for n rows of p features is n · p²; beyond this a comparison would stand still.
inline constexpr double kLinearWorkMax = 2e10;
bool linear_is_possible(const Dataset& data);

// kRegression with one margin, kLogistic with one for two labels, kSoftprob with one a label. No sketches, no
// self-test.
engine::PlainModel linear(const Dataset& data);

}  // namespace wb::fit
