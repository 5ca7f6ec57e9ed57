#pragma once
// Predictors that are no sum of weights and leaves, and leaves that are lines: what each must be, its bytes, and its
// margins. network.cpp and neighbours.cpp hold one each, predictors.cpp the lines.

#include <span>
#include <string>

#include "engine/model.h"
#include "engine/reader.h"

namespace wb::engine {

// `width`: the columns behind the steps.
Status check_network(const Description& model, const Network& network, size_t width);
Status check_neighbours(const Description& model, const Neighbours& neighbours, size_t width);
Status check_lines(const Description& model, size_t width);
// Finite, and exact in the precision that the model computes in.
Status check_computed(std::span<const double> numbers, const Description& model, std::string_view what);

// x after an activation, the same bits everywhere.
double activated(Activation activation, double x);

// The fast ways, of a checked description. rows: f64 or f32[n, columns], NaN = missing → margins: [n, outputs]. The
// first two allocate nothing; trees whose leaves are lines are walked as reference.h walks them.
template <class Column, class Out>
void predict_network(const Description& model, std::span<const Column> rows, std::span<Out> margins);
template <class Column, class Out>
void predict_neighbours(const Description& model, std::span<const Column> rows, std::span<Out> margins);
template <class Column, class Out>
void predict_lines(const Description& model, std::span<const Column> rows, std::span<Out> margins);

namespace format {

std::string pack_predictor(const Description& model);
Status read_predictor(ReaderView in, Description& model);
void pack_network(const Network& network, Precision precision, std::string& out);
Result<Network> read_network(ReaderView& in, const Description& model);
void pack_neighbours(const Neighbours& neighbours, const Description& model, std::string& out);
Result<Neighbours> read_neighbours(ReaderView& in, const Description& model);

// For each leaf, in preorder, its line or that it has none.
std::string pack_lines(const Description& model);
// Of trees as expand_forest() leaves them.
Status read_lines(ReaderView in, Description& model);

}  // namespace format
}  // namespace wb::engine
