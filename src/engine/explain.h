#pragma once
// Why a margin is what it is: one contribution for each feature and a bias, which together are the margin.
//
// The game is that of Lundberg et al. 2020 ("From local explanations to global understanding with explainable AI for
// trees", Nature Machine Intelligence 2), with path-dependent weights, as XGBoost's pred_contribs, LightGBM's
// pred_contrib and CatBoost's ShapValues play it: who knows some features of a row follows it at splits on those, and
// goes both ways at all others, weighted by covers (how much training weight took each side). A feature's contribution
// is its Shapley value; the bias is what nobody's knowledge gives. A side whose parent has a cover of 0 has weight 0.
//
// Not their Algorithm 2: the Shapley value of a leaf of value v, whose path asks about features j, each with the
// product z_j of its weights and o_j = 1 if the row takes all of its sides, else 0, is an integral (Owen 1972,
// "Multilinear extensions of games"):
//
//   v · (o_i - z_i) · ∫ Π_{j≠i} (o_j · t + z_j · (1 - t)) dt   over [0, 1]
//
// The product is a polynomial, so that Gauss-Legendre quadrature with half as many points as features is exact, and
// all of a tree's leaves are summed in one walk: O(nodes · features on a path / 2), with nothing but sums of positive
// products on the way, so that deep trees lose no digits. In f64, also where the library sums in f32: contributions add
// up to the margin but for its own rounding.
//
// Players are features, not columns: where steps make several columns of one feature, they are known or unknown
// together. A linear model's contribution is weight · (x - mean), so it needs the means.
//
// An Explainer is loaded beside a Model, from the same bytes, by whoever explains: it takes about 50 bytes a node. It
// is immutable: any number of threads may ask at once. What is asked allocates one prepared row.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/model.h"

namespace wb::engine {

class Explainer {
 public:
  // Of a package, which Model::bytes() are. kUnsupported: it does not hold what contributions are computed from, with
  // what to do.
  static Result<Explainer> load(std::string_view package);
  // Whether anything is explained of models of this kind, however they are packed; else kUnsupported, with the reason.
  static Status serves(const Description& model);

  size_t features_count() const { return model_.features.size(); }
  size_t outputs_count() const { return model_.outputs_count(); }
  // rows: f64[n, features], NaN = missing → contributions: f64[n, outputs, features + 1] to the margins; the last is
  // the bias, the same in every row. Sizes are asserted.
  void explain(std::span<const double> rows, size_t n, std::span<double> contributions) const;
  size_t memory_bytes() const;  // of what stands on the heap for trees

 private:
  // From the node above to a node, which stands at the same place in its tree.
  struct Edge {
    double share = 1;      // the product of weights of all edges of its feature from the root to here
    uint32_t end = 0;      // the node behind all that is below this one
    uint16_t feature = 0;  // that the node above asks about
    uint8_t above = 0;     // the depth where the last edge of the same feature ends; 0: there is none
  };
  class Builder;
  class Walk;

  Explainer() = default;
  void explain_row(Walk& walk, std::span<const double> columns, std::span<double> contributions) const;
  // Of one output: f64[features + 1].
  void add_linear(size_t output, std::span<const double> columns, std::span<double> contributions) const;
  void add_tree(Walk& walk, size_t tree, size_t output, std::span<const double> columns,
                std::span<double> contributions) const;

  Description model_;                     // its trees in preorder
  std::vector<uint32_t> features_;        // of each column
  std::vector<std::vector<Edge>> edges_;  // [trees][nodes]
  std::vector<uint8_t> points_;           // how many each tree needs
  std::vector<double> biases_;            // of the trees, one per output
};

// The way of a row through one tree, from the root, a condition for each split: "vib < 3.5", "temp is missing". Needs
// no covers. `tree` is asserted.
std::vector<std::string> decision_path(const Description& model, size_t tree, std::span<const double> row);

}  // namespace wb::engine
