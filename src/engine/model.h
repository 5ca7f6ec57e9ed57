#pragma once
// What a model is, as plain values: the one description that every importer fills in, and that the package, the
// predictors and the export to C are made from.
//
// Libraries agree on what a tree is and disagree on everything that decides the last bit: whether a threshold belongs
// to its left side, in which precision a value is compared, where a missing value goes, in which precision and order
// leaves are summed, what is done to the sum. Here each of these is said, so that an importer says what its library
// does and nobody guesses. check_description() refuses, with what and where, what does not fit together.
//
// A model is steps, then one predictor, then an objective: a row goes features → steps → columns → predictor → margins
// → objective → (calibration) → answers. The predictor is an ensemble of weights and trees, a network, or nearest
// neighbours. An importer folds into leaves what its library multiplies them with (learning rates, DART weights), in
// that library's precision, and mirrors a split whose condition leads to the right (CatBoost's x > border): exchanged
// children, same answers.

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"

namespace wb::engine {

namespace limits {
inline constexpr size_t kModelBytesMax = 64U << 20;
inline constexpr size_t kFeaturesMax = 1'024;
inline constexpr size_t kColumnsMax = 4'096;  // after the steps: one-hot columns count each
inline constexpr size_t kOutputsMax = 256;
inline constexpr size_t kClassesMax = kOutputsMax;
inline constexpr size_t kNameBytesMax = 128;  // of a feature, and of a label
inline constexpr size_t kTreesMax = 65'536;
inline constexpr size_t kTreeNodesMax = 65'535;
inline constexpr size_t kTreeDepthMax = 64;
inline constexpr size_t kModelNodesMax = 4U << 20;
inline constexpr size_t kLineNumbersMax = 4U << 20;  // columns of all lines together
inline constexpr size_t kLayersMax = 16;
inline constexpr size_t kLayerUnitsMax = 1'024;
inline constexpr size_t kLayerWeightsMax = 4U << 20;
inline constexpr size_t kPointsMax = 65'536;
inline constexpr size_t kPointNumbersMax = 4U << 20;
inline constexpr size_t kNeighboursMax = 256;
inline constexpr size_t kStepsMax = 64;
inline constexpr size_t kStepCategoriesMax = 4'096;
inline constexpr double kCoverMax = std::numeric_limits<float>::max();  // so that no sum of a tree's is infinite
inline constexpr uint32_t kCategoryMax = (1U << 24) - 1;  // XGBoost's own limit: a category is exact in f32
inline constexpr size_t kCurvePointsMax = 4'096;
inline constexpr size_t kSketchEdgesMax = 63;
inline constexpr size_t kSelfTestRowsMax = 1'024;
inline constexpr size_t kNotesMax = 32;
inline constexpr size_t kNoteBytesMax = 256;
}  // namespace limits

// The numbers of the enums below stand in packages since 0.1: add, never renumber.

// What the margins mean, and so how they become answers.
enum class Objective : uint8_t {
  kSoftprob = 1,      // one margin per label; the answers are their softmax
  kLogistic = 2,      // one margin; the answer for labels[1] is its logistic function
  kRegression = 3,    // the margins are the answers: values, ranking scores
  kExponential = 4,   // e^margin: counts and rates (Poisson, gamma, Tweedie)
  kOneVsRest = 5,     // one margin per label; logistic of each, divided by their sum
  kIndependent = 6,   // one margin per label; logistic of each (multi-label, LightGBM's multiclassova)
  kVotes = 7,         // one margin per label, which is its probability: forests
  kIsolation = 8,     // 2^-margin: isolation forests, whose margin is a normalised mean depth
  kSignedSquare = 9,  // margin · |margin|: LightGBM's reg_sqrt
  kOneVote = 10,      // one margin, which is the probability of labels[1]: ONNX's forests of two classes
  kSigmoid = 11,      // logistic of each margin, as values: reg:logistic, cross_entropy
  kNormality = 12,    // -2^-margin - shift: scikit-learn's isolation forests, where a value below 0 is an outlier
};
std::string_view objective_name(Objective objective);  // "softprob", "logistic", "regression", …

enum class Precision : uint8_t { kF32 = 1, kF64 = 2 };

// How the numeric splits of an ensemble compare; the left side is where the condition holds.
enum class Compare : uint8_t {
  kF32Less = 1,       // f32(x) < threshold, which is an f32: XGBoost
  kF32LessEqual = 2,  // f32(x) <= threshold of any precision: scikit-learn; CatBoost, mirrored
  kF64LessEqual = 3,  // x <= threshold in f64: LightGBM
};

// Which values a split calls missing and sends to its default side.
enum class Missing : uint8_t {
  kNan = 1,        // NaN
  kNanOrZero = 2,  // NaN and |x| <= kZeroMax: LightGBM's zero_as_missing
  kNanIsZero = 3,  // none; NaN is compared as 0: LightGBM's missing_type none
};
inline constexpr double kZeroMax = 1e-35F;  // LightGBM's kZeroThreshold, an f32 there

// Which numbers are a category at all. What is none, and what the split's set does not hold, goes right.
enum class Category : uint8_t {
  kNonNegative = 1,  // x >= 0, fraction cut off: XGBoost
  kTruncated = 2,    // fraction cut off, then >= 0, so that -0.5 is category 0: LightGBM
};

struct TreeNode {
  int32_t left = -1;  // -1: a leaf
  int32_t right = -1;
  uint32_t feature = 0;       // of a split: the column; of a leaf in a tree with vectors: which vector
  double value = 0;           // of a numeric split: the threshold; of a leaf: what is added to the tree's output
  bool default_left = false;  // where a missing value goes
  Missing missing = Missing::kNan;
  // Of a categorical split: into Description::sets, whose members go left; -1: a numeric split. Of a leaf: into
  // Description::lines; -1: it adds its value.
  int32_t set = -1;
};
// Node 0 is the root; the order of the others does not matter.
struct Tree {
  uint32_t output = 0;  // the margin that this tree adds to
  std::vector<TreeNode> nodes;
  std::vector<double> vectors =
      {};  // f64[vectors, outputs]: each leaf adds one to all margins; else leaves are scalars
  // f64[nodes], of which those of leaves count: how much training weight reached each, which is what explanations need
  // and nothing else does. All trees of a model have them, or none.
  std::vector<double> covers = {};
};

// A leaf that adds a line, not a value: constant, + weight · x for each of its columns in order (LightGBM's
// linear_tree), where |x| <= kZeroMax counts as 0. A row that has NaN in one of them is given the leaf's value instead.
struct Line {
  double constant = 0;
  std::vector<uint32_t> columns;
  std::vector<double> weights;  // one per column
};

// ---- Preparing a row. Each step takes the columns that the step before it left; the first takes the features.
struct Select {  // column i becomes what was column columns[i]
  std::vector<uint32_t> columns;
};
struct Scale {  // in place
  enum class Form : uint8_t {
    kShiftDivide = 1,    // (x - a) / b: scikit-learn's StandardScaler, RobustScaler
    kShiftMultiply = 2,  // (x - a) · b: ONNX
    kMultiplyShift = 3,  // x · a + b, rounded twice: MinMaxScaler
  };
  Form form = Form::kShiftDivide;
  std::vector<uint32_t> columns;
  std::vector<double> a;  // one per column
  std::vector<double> b;
};
struct Impute {  // in place: NaN becomes a value
  std::vector<uint32_t> columns;
  std::vector<double> values;
};
struct Ordinal {  // in place: a category becomes its position; NaN stays NaN
  uint32_t column = 0;
  std::vector<double> categories;  // different, not NaN
  double unknown = -1;             // for what is none of them; may be NaN
};
struct OneHot {  // the column is removed, and one column per category, 1 or 0, is put behind the last; unknown: all 0
  uint32_t column = 0;
  std::vector<double> categories;
};
using Step = std::variant<Select, Scale, Impute, Ordinal, OneHot>;

// ---- Calibration: how sure a model is, learnt on other rows. One curve per margin.
struct Platt {  // 1 / (1 + e^(a·f + b))
  double a = 0;
  double b = 0;
};
struct Isotonic {         // linear between the points, flat outside
  std::vector<double> x;  // ascending
  std::vector<double> y;  // in [0, 1], not descending
};
using Curve = std::variant<Platt, Isotonic>;
struct Calibration {
  bool of_margins = true;  // f is the margin; else the objective's answer
  std::vector<Curve> curves;
};

// A linear model, alone or beside trees.
struct Linear {
  std::vector<double> weights;  // f64[outputs, columns]
  bool skips_missing = false;   // NaN adds nothing (XGBoost's gblinear); else it makes the margin NaN
  std::vector<double> means =
      {};  // f64[columns]: the row that explanations compare with; or none, and nothing explains
};

// ---- Predictors. An ensemble is what Description says of weights, trees and their sum; the others need none of those,
// and their base margins are 0. They compute in Sum::precision, every operation rounded.
struct Ensemble {};

enum class Activation : uint8_t { kIdentity = 1, kRelu = 2, kTanh = 3, kLogistic = 4 };
struct Layer {
  Activation activation = Activation::kIdentity;
  std::vector<double> weights;  // f64[inputs, units]
  std::vector<double> biases;   // f64[units]
};
// Dense layers, one after the other; the units of the last are the margins. A unit is 0, + weight · input for each
// input in order, + bias, then its activation, computed in f64 and rounded. Libraries have no order of their own here:
// they leave the products to a BLAS.
struct Network {
  std::vector<Layer> layers;
};

enum class Distance : uint8_t { kEuclidean = 1, kManhattan = 2 };
// The mean of what the `count` nearest points have: nearest first, of equally near ones the first in the list. A
// distance is 0, + (x - point)² or |x - point| for each column in order. A row with NaN has margins of NaN.
struct Neighbours {
  Distance distance = Distance::kEuclidean;
  uint32_t count = 5;
  bool by_distance = false;     // each counts 1 / distance; if some distance is 0, those alone count, 1 each
  std::vector<double> points;   // f64[points, columns]
  std::vector<double> targets;  // with labels: f64[points], which of them; else f64[points, outputs]
};
using Predictor = std::variant<Ensemble, Network, Neighbours>;

// How weights and leaves become margins: the library's own order. In `precision`, every operation rounded:
// base margin, + weight · x for each column in order, + leaf of each tree in order, then / divisor, then · factor,
// then + offset, where given. A library that leaves the dot product to a BLAS has no order of its own to be equal to.
struct Sum {
  Precision precision = Precision::kF32;
  std::optional<double> divisor = {};
  std::optional<double> factor = {};
  std::vector<double> offsets = {};  // none, or one per output
};

struct Description {
  Objective objective = Objective::kSoftprob;
  double slope = 1;                   // logistic functions are of slope · margin (LightGBM's sigmoid parameter)
  double shift = 0;                   // of kNormality: scikit-learn's offset_
  std::vector<std::string> features;  // unique names, in the order of a row
  // Of features that are texts: the number of each is its place here. None, or one list for each feature, empty for
  // those that are numbers.
  std::vector<std::vector<std::string>> texts = {};
  std::vector<std::string> labels;  // classes; exactly 2 for kLogistic, none for values
  Precision steps_precision = Precision::kF64;
  std::vector<Step> steps = {};
  Compare compare = Compare::kF32Less;
  Category category = Category::kNonNegative;
  std::vector<std::vector<uint32_t>> sets = {};  // of categories, each ascending and not empty
  std::optional<Linear> linear = {};
  Sum sum = {};
  std::vector<double> base_margins;  // one per output
  std::vector<Tree> trees;           // in the order in which they are added
  std::vector<Line> lines = {};      // of leaves
  Predictor predictor = Ensemble{};
  std::optional<Calibration> calibration = {};

  bool is_ensemble() const { return std::holds_alternative<Ensemble>(predictor); }
  size_t outputs_count() const { return base_margins.size(); }
  // Answers per row: one per label, or one per output.
  size_t answers_count() const { return labels.empty() ? base_margins.size() : labels.size(); }
};

inline constexpr double kUnknownText = -1;  // the number of a text that the model does not know
// The number of a text; kUnknownText, or NaN for "", which is missing.
double text_number(std::span<const std::string> texts, std::string_view text);
// Whether a number rounded to f32 may be answered otherwise than the number itself, or a margin may be no f32: whoever
// wants the library's bits then gives and takes f64.
bool computes_f64(const Description& model);
// Columns that the trees see. Asks only for steps that check_description() would take.
size_t columns_count(const Description& model);
// Whether the trees say how much training weight reached their leaves.
inline bool has_covers(const Description& model) { return !model.trees.empty() && !model.trees[0].covers.empty(); }
// What explanations need and nothing else does: covers and a linear model's means.
inline void drop_covers(Description& model) {
  for (Tree& tree : model.trees) tree.covers = {};
  if (model.linear) model.linear->means = {};
}
// Of one tree's leaves, in any order: ok, or what is wrong.
Status check_covers(std::span<const double> covers);
// Ok, or kInvalid with what is wrong and where ("tree 3: node 7: splits on column 9 of 4").
Status check_description(const Description& model);

// The steps, which both predictors share. `row`: f64[features], replaced by f64[columns].
void prepare_row(const Description& model, std::vector<double>& row);
// f64[n, outputs] margins → f64[n, answers]. The exponential is our own, because libm's differ: same bits everywhere.
void answers_of(const Description& model, std::span<const double> margins, std::span<double> answers);

}  // namespace wb::engine
