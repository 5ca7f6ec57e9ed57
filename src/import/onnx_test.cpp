// ONNX files made by hand. That the answers are onnxruntime's is for tests/interop.
#include <gtest/gtest.h>

#include <cmath>

#include "engine/engine.h"
#include "import/import.h"
#include "import/test_files.h"
#include "import/test_onnx.h"

namespace wb::imports {
namespace {

using testing::onnx_classes;
using testing::onnx_constant;
using testing::onnx_linear;
using testing::onnx_model;
using testing::onnx_network;
using testing::onnx_trees;
using testing::onnx_two_sides;
using testing::Operator;

const double kNan = std::nan("");

Operator regression(std::string_view mode = "BRANCH_LEQ", std::string_view from = "x") {
  return onnx_trees(mode, from).whole("n_targets", 1);
}
std::vector<double> margins_of(std::string_view file, std::vector<double> row) {
  const auto imported = import_model(file);
  EXPECT_TRUE(imported.ok()) << imported.error().text;
  if (!imported.ok()) return {kNan};
  const auto model = engine::Model::load(*engine::pack(*imported));
  std::vector<double> margins(model->outputs_count());
  model->predict_margins(row, 1, margins);
  return margins;
}
double margin_of(std::string_view file, std::vector<double> row) { return margins_of(file, std::move(row))[0]; }
void expect_refused(std::string_view file, std::string_view why) {
  const auto imported = import_model(file);
  const std::string error = imported.ok() ? "nothing" : imported.error().text;
  EXPECT_NE(error.find(why), std::string::npos) << error;
}

TEST(ImportOnnx, EachModeOnItsThresholdAndMissing) {
  struct Case {
    std::string_view mode;
    bool below, on, above;  // whether the true side is taken
  };
  for (const Case& c : {Case{"BRANCH_LEQ", true, true, false}, Case{"BRANCH_LT", true, false, false},
                        Case{"BRANCH_GTE", false, true, true}, Case{"BRANCH_GT", false, false, true}}) {
    const std::string file = onnx_model({regression(c.mode)});
    const auto expected = [](bool yes) { return yes ? 2.25 : 4.25; };
    EXPECT_EQ(margin_of(file, {std::nextafter(0.5F, 0.0F), 1}), expected(c.below)) << c.mode;
    EXPECT_EQ(margin_of(file, {0.5, 1}), expected(c.on)) << c.mode;
    EXPECT_EQ(margin_of(file, {std::nextafter(0.5F, 1.0F), 1}), expected(c.above)) << c.mode;
    EXPECT_EQ(margin_of(file, {kNan, 1}), 2.25) << c.mode;
    EXPECT_EQ(margin_of(onnx_model({regression(c.mode)}, 2, 11), {0.5, 1}), expected(c.on)) << c.mode;
  }
  EXPECT_EQ(margin_of(onnx_model({regression()}), {1, kNan}), 4.25);  // does not track true
  EXPECT_EQ(margin_of(onnx_model({testing::onnx_trees_5()}), {kNan, 1}), 2);
  EXPECT_EQ(margin_of(onnx_model({testing::onnx_trees_5()}), {1, 0}), -1);
}

TEST(ImportOnnx, AveragesAndBaseValues) {
  EXPECT_EQ(
      margin_of(onnx_model({regression().text("aggregate_function", "AVERAGE").reals("base_values", {8})}), {0, 0}),
      9.125);
  expect_refused(onnx_model({regression().text("aggregate_function", "MAX")}), "takes the MAX of its trees");
  expect_refused(onnx_model({regression().text("post_transform", "LOGISTIC")}), "has a post_transform");
  expect_refused(onnx_model({regression().reals("base_values", {1, 2})}), "2 base values for 1 outputs");
}

TEST(ImportOnnx, Classes) {
  const auto model = import_model(onnx_model({onnx_classes()}));
  ASSERT_TRUE(model.ok()) << model.error().text;
  EXPECT_EQ(model->labels, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(model->objective, engine::Objective::kSoftprob);
  EXPECT_EQ(model->compare, engine::Compare::kF32Less);  // all conditions exclude their threshold
  EXPECT_EQ(margins_of(onnx_model({onnx_classes()}), {0, 0.5}), (std::vector<double>{0.25, 0.25, 0.5}));
  EXPECT_EQ(import_model(onnx_model({onnx_classes("NONE")}))->objective, engine::Objective::kVotes);
  EXPECT_EQ(import_model(onnx_model({onnx_classes("LOGISTIC")}))->objective, engine::Objective::kIndependent);
  expect_refused(onnx_model({onnx_classes("PROBIT")}), "post_transform PROBIT");
  const Operator names = Operator("ZipMap", {"y"}, {"z"}).texts("classlabels_strings", {"a", "b", "c"});
  EXPECT_TRUE(import_model(onnx_model({onnx_classes(), names})).ok());
  const Operator others = Operator("ZipMap", {"y"}, {"z"}).texts("classlabels_strings", {"a", "c", "b"});
  expect_refused(onnx_model({onnx_classes(), others}), "names the classes otherwise");
}

TEST(ImportOnnx, LinearModels) {
  const auto margins = margins_of(onnx_model({onnx_linear()}), {1, 10});
  EXPECT_EQ(margins, (std::vector<double>{21.25, 4, 39}));
  const auto objective = [](const std::vector<Operator>& operators) {
    const auto model = import_model(onnx_model(operators));
    return model.ok() ? std::string(engine::objective_name(model->objective)) : model.error().text;
  };
  const Operator share = Operator("Normalizer", {"y"}, {"z"}).text("norm", "L1");
  EXPECT_EQ(objective({onnx_linear()}), "softprob");
  EXPECT_EQ(objective({onnx_linear("LOGISTIC")}), "independent");
  EXPECT_EQ(objective({onnx_linear("LOGISTIC"), share}), "one-vs-rest");
  EXPECT_NE(objective({onnx_linear("LOGISTIC"), Operator("Normalizer", {"y"}, {"z"}).text("norm", "L2")})
                .find("computes with what"),
            std::string::npos);
  EXPECT_NE(objective({onnx_linear("NONE")}).find("whose scores are no probabilities"), std::string::npos);
  const Operator one = Operator("LinearClassifier", {"x"}, {"label", "y"}).reals("coefficients", {1, 2});
  EXPECT_NE(objective({Operator(one).wholes("classlabels_ints", {0, 1}).text("post_transform", "SOFTMAX")})
                .find("has a softmax of one score"),
            std::string::npos);
  EXPECT_NE(objective({onnx_linear("PROBIT")}).find("the post_transform PROBIT"), std::string::npos);
  Operator two("LinearClassifier", {"x"}, {"label", "y"});
  two.reals("coefficients", {1, 2, -1, -2}).reals("intercepts", {3, -3}).texts("classlabels_strings", {"no", "yes"});
  const auto model = import_model(onnx_model({two.text("post_transform", "LOGISTIC")}));
  ASSERT_TRUE(model.ok()) << model.error().text;
  EXPECT_EQ(model->objective, engine::Objective::kLogistic);
  EXPECT_EQ(model->linear->weights, (std::vector<double>{-1, -2}));
  EXPECT_EQ(model->sum.offsets, std::vector<double>{-3});
  const Operator scaled = Operator("Scaler", {"x"}, {"s"}).reals("offset", {1, 2}).reals("scale", {0.5F, 4});
  Operator values("LinearRegressor", {"s"}, {"y"});
  values.reals("coefficients", {1, 10}).reals("intercepts", {0.5F});
  EXPECT_EQ(margin_of(onnx_model({scaled, values}), {3, 4}), 81.5);
  expect_refused(onnx_model({Operator("LinearRegressor", {"x"}, {"y"}).reals("coefficients", {1, 2, 3})}),
                 "3 coefficients for 2 columns");
}

TEST(ImportOnnx, Networks) {
  EXPECT_EQ(margin_of(onnx_model(onnx_network("Relu")), {1, 2}), 0.25 + 2 * 2.5 - 4 * 3);
  EXPECT_EQ(margin_of(onnx_model(onnx_network("Relu")), {1, -2}), 0.25 + 2 * 0.5);
  const auto model = import_model(onnx_model(onnx_network("Tanh", onnx_two_sides())));
  ASSERT_TRUE(model.ok()) << model.error().text;
  EXPECT_EQ(model->objective, engine::Objective::kLogistic);
  EXPECT_EQ(model->labels, (std::vector<std::string>{"5", "7"}));
  EXPECT_EQ(std::get<engine::Network>(model->predictor).layers[0].activation, engine::Activation::kTanh);
  const auto sigmoid = import_model(onnx_model(onnx_network("Sigmoid", {Operator("Sigmoid", {"y"}, {"z"})})));
  EXPECT_EQ(sigmoid->objective, engine::Objective::kSigmoid);
  EXPECT_TRUE(sigmoid->labels.empty());
  const std::vector<Operator> linear = {onnx_constant("w", {1, -1, 0.5F, 2}, {2, 2}), onnx_constant("b", {8, 9}, {2}),
                                        Operator("Gemm", {"x", "w", "b"}, {"h"}).whole("transB", 1),
                                        Operator("Softmax", {"h"}, {"y"})};
  EXPECT_EQ(import_model(onnx_model(linear))->linear->weights, (std::vector<double>{1, -1, 0.5, 2}));
  EXPECT_EQ(margins_of(onnx_model(linear), {1, 2}), (std::vector<double>{7, 13.5}));
  const auto refused = [](const Operator& last, std::string_view why) {
    expect_refused(onnx_model(onnx_network("Relu", {last})), why);
  };
  refused(Operator("Conv", {"y"}, {"z"}), "Conv 'n'");
  refused(Operator("Add", {"y", "c"}, {"z"}), "not right behind its products");
  refused(Operator("Add", {"y", "x"}, {"z"}), "does not add a constant of its layer's type");
  refused(Operator("Add", {"y", "h"}, {"z"}), "takes 'h', from which the graph has gone on elsewhere");
  refused(Operator("MatMul", {"y", "w"}, {"z"}), "does not go with 1 inputs");
  refused(Operator("MatMul", {"w", "y"}, {"z"}), "computes with what");
  refused(Operator("Softmax", {"y"}, {"z"}), "1 units for 1 classes");
  expect_refused(onnx_model(onnx_network("Relu"), 3), "does not go with 3 inputs");
}

TEST(ImportOnnx, NoColumnsAtAll) {
  Operator none("Constant", {}, {"none"});
  none.tensor("value", 7, "", {0});
  const Operator gather = Operator("Gather", {"x", "none"}, {"e"}).whole("axis", 1);
  const Operator values = Operator("LinearRegressor", {"e"}, {"y"}).reals("coefficients", {1});
  expect_refused(onnx_model({none, gather, values}), "Gather 'n' (byte 51): gives no column");
  expect_refused(onnx_model({none, gather, onnx_constant("w", {}, {0, 2}), Operator("MatMul", {"e", "w"}, {"y"})}),
                 "gives no column");
  expect_refused(onnx_model({none, gather, regression("BRANCH_LEQ", "e")}), "gives no column");
}

TEST(ImportOnnx, ChainsHaveOneEnd) {
  const std::string_view branch = "', from which the graph has gone on elsewhere; branches cannot be carried";
  const auto refused = [&](const std::vector<Operator>& last, const std::string& name) {
    expect_refused(onnx_model(onnx_network("Relu", last)), "takes '" + name + std::string(branch));
  };
  const Operator same("Identity", {"y"}, {"i"});
  refused({same, Operator("MatMul", {"i", "c"}, {"q"}), Operator("MatMul", {"y", "c"}, {"z"})}, "y");
  refused({Operator("Softmax", {"y"}, {"s"}), Operator("ArgMax", {"y"}, {"z"}).whole("axis", 1)}, "y");
  std::vector<Operator> sides = onnx_two_sides();
  sides.push_back(Operator("MatMul", {"p", "c"}, {"z"}));
  refused(sides, "p");
  // The same names on a straight way.
  EXPECT_EQ(margin_of(onnx_model(onnx_network("Relu", {same, Operator("MatMul", {"i", "c"}, {"z"})})), {1, -2}),
            0.25 * (0.25 + 2 * 0.5));
  const auto casts = [&](int64_t there) {
    return onnx_model(
        onnx_network("Relu", {Operator("Relu", {"y"}, {"r"}), Operator("Cast", {"r"}, {"d"}).whole("to", there),
                              Operator("Cast", {"d"}, {"f"}).whole("to", 1), Operator("MatMul", {"f", "c"}, {"z"})}));
  };
  EXPECT_EQ(margin_of(casts(1), {1, -2}), 0.25 * (0.25 + 2 * 0.5));
  expect_refused(casts(11), "computes with what");
  std::vector<Operator> deep = {onnx_constant("w", {1, 0, 0, 1}, {2, 2})};
  const std::vector<std::string> names = {"a", "b", "c", "d", "e", "f", "g", "h", "i",
                                          "j", "k", "l", "m", "n", "o", "p", "q"};
  std::string_view from = "x";
  for (const std::string& to : names) {
    deep.push_back(Operator("MatMul", {from, "w"}, {to}));
    from = to;
  }
  expect_refused(onnx_model(deep), "at most 16 layers");
  deep.pop_back();
  EXPECT_EQ(margins_of(onnx_model(deep), {1, 2}), (std::vector<double>{1, 2}));
}

TEST(ImportOnnx, OutputsAreWhatTheModelAnswers) {
  const std::vector<Operator> relu = onnx_network("Relu");
  EXPECT_TRUE(import_model(onnx_model(relu, 2, 1, {"y"})).ok());
  for (const std::string_view other : {"h", "h3", "x", "w", "nothing"}) {
    const std::string why = "output '" + std::string(other) + "' is not what MatMul 'n' (byte ";
    expect_refused(onnx_model(relu, 2, 1, {other}), why);
    expect_refused(onnx_model(relu, 2, 1, {"y", other}), why);
  }
  const std::vector<Operator> sides = onnx_network("Relu", onnx_two_sides());
  EXPECT_TRUE(import_model(onnx_model(sides, 2, 1, {"label", "both", "place"})).ok());
  expect_refused(onnx_model(sides, 2, 1, {"label", "p"}), "output 'p' is not what");
  expect_refused(onnx_model(sides, 2, 1, {"q"}), "output 'q' is not what");
  const Operator largest = Operator("ArgMax", {"y"}, {"z"}).whole("axis", 1);
  const std::string_view place = "output 'z' is the place of the largest of values that are no probabilities";
  expect_refused(onnx_model({regression(), largest}), place);
  expect_refused(onnx_model(onnx_network("Relu", {largest})), place);
  EXPECT_TRUE(import_model(onnx_model({onnx_classes(), largest})).ok());
  const Operator share = Operator("Normalizer", {"y"}, {"z"}).text("norm", "L1");
  EXPECT_TRUE(import_model(onnx_model({onnx_linear("LOGISTIC"), share}, 2, 1, {"label", "z"})).ok());
  expect_refused(onnx_model({onnx_linear("LOGISTIC"), share}, 2, 1, {"y"}), "output 'y' is not what LinearClassifier");
  EXPECT_TRUE(import_model(onnx_model({onnx_linear(), share}, 2, 1, {"y", "z"})).ok());  // has the sum 1 already
}

TEST(ImportOnnx, LabelsOfNetworks) {
  const auto model = import_model(onnx_model(onnx_network("Tanh", onnx_two_sides(true))));
  ASSERT_TRUE(model.ok()) << model.error().text;
  EXPECT_EQ(model->labels, (std::vector<std::string>{"no", "yes"}));
  const auto refused = [](const Operator& labels, std::string_view why) {
    const Operator label("ArrayFeatureExtractor", {"names", "place"}, {"other"});
    std::vector<Operator> last = onnx_two_sides(true);
    last.insert(last.end(), {labels, label});
    expect_refused(onnx_model(onnx_network("Relu", last)), why);
  };
  refused(Operator("Constant", {}, {"names"}).words({"yes", "no"}), "names the classes otherwise");
  refused(onnx_constant("names", {0, 1}, {2}), "gives labels of float");
  Operator large("Constant", {}, {"names"});
  refused(large.tensor("value", 7, std::string(7, '\0') + '\x7f', {1}), "has a label of 2^53 or more");
}

TEST(ImportOnnx, StepsBeforeTheTrees) {
  const Operator imputed =
      Operator("Imputer", {"x"}, {"i"}).reals("imputed_value_floats", {9}).real("replaced_value_float", NAN);
  const Operator scaled = Operator("Scaler", {"i"}, {"s"}).reals("offset", {1, 2}).reals("scale", {0.5F, 4});
  const std::string file = onnx_model({imputed, scaled, regression("BRANCH_LEQ", "s")});
  EXPECT_EQ(margin_of(file, {2, 0}), 2.25);  // (2 - 1) / 2
  EXPECT_EQ(margin_of(file, {2.25, 2}), -0.75);
  EXPECT_EQ(margin_of(file, {kNan, kNan}), 4.25);  // 9 → 4 and 28
  expect_refused(onnx_model({scaled}), "'i', which no operator before it gives");
}

TEST(ImportOnnx, OneHotOfWholeNumbers) {
  const Operator sides = Operator("OneHotEncoder", {"x"}, {"o"}).wholes("cats_int64s", {3, 5}).whole("zeros", 1);
  Operator shape("Constant", {}, {"shape"});
  shape.tensor("value", 7, std::string(8, '\xff') + std::string("\x02\0\0\0\0\0\0\0", 8));
  const Operator flat("Reshape", {"o", "shape"}, {"r"});
  const std::string file = onnx_model({shape, sides, flat, regression("BRANCH_GT", "r")}, 1, 7);
  EXPECT_EQ(margin_of(file, {3}), 2.25);
  EXPECT_EQ(margin_of(file, {5}), 4.25);
  EXPECT_EQ(margin_of(file, {4}), -0.75);
  expect_refused(onnx_model({shape, sides, flat, regression("BRANCH_GT", "r")}, 1, 1),
                 "cuts off the fractions of float");
}

TEST(ImportOnnx, OtherOperatorsAreRefusedByName) {
  for (const std::string_view name : {"SVMClassifier", "Normalizer", "Scan", "Conv", "Nonsense"})
    expect_refused(onnx_model({Operator(name, {"x"}, {"y"})}), std::string(name) + " 'n' (byte ");
  expect_refused(onnx_model({Operator("Cast", {"x"}, {"c"}).whole("to", 7), regression("BRANCH_LT", "c")}),
                 "turns float into int64, which cuts off fractions");
  expect_refused(onnx_model({regression("BRANCH_EQ")}), "a node of mode 'BRANCH_EQ'");
  expect_refused(onnx_model({regression(), Operator("Softmax", {"y"}, {"z"})}), "Softmax 'n'");
  expect_refused(onnx_model({Operator("Identity", {"x"}, {"i"})}),
                 "there is no ensemble of trees, linear model or network");
  expect_refused(onnx_model({regression(), regression()}), "is a second predictor");
}

TEST(ImportOnnx, WrongFilesAreRefusedWithThePlace) {
  const std::string file = onnx_model({regression()});
  for (size_t size = 3; size < file.size(); ++size) {
    const auto cut = import_model(std::string_view(file).substr(0, size));
    EXPECT_FALSE(cut.ok() && size < file.size() - 17) << size;  // the last field is the version of the operators
  }
  expect_refused(file.substr(0, 60), "byte ");
  expect_refused(onnx_model({onnx_trees().whole("n_targets", 0)}), "has 0 targets");
  expect_refused(onnx_model({regression()}, 1), "splits on column 1 of 1");
  expect_refused(onnx_model({regression()}, 2, 8), "takes texts");
  expect_refused(onnx_model({regression()}, 0), "must have the shape [rows, n]");
  Operator twice("TreeEnsemble", {"x"}, {"y"});  // a tree that leads back to its root
  twice.wholes("nodes_featureids", {0}).tensor("nodes_splits", 1, testing::bytes_of({1}));
  twice.tensor("nodes_modes", 2, std::string(1, '\0')).wholes("tree_roots", {0}).whole("n_targets", 1);
  twice.wholes("nodes_truenodeids", {0}).wholes("nodes_trueleafs", {0}).wholes("nodes_falsenodeids", {0});
  twice.wholes("nodes_falseleafs", {1}).wholes("leaf_targetids", {0}).tensor("leaf_weights", 1, testing::bytes_of({1}));
  expect_refused(onnx_model({twice}), "leads back to itself");
}

}  // namespace
}  // namespace wb::imports
