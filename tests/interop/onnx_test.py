"""ONNX: files of skl2onnx, onnxmltools and CatBoost, and ensembles made by hand that no converter writes, against
onnxruntime on rows that hurt. Margins are compared with what it gives when the file asks for no post_transform, on one
thread and with few rows on two: beyond 50 rows it splits the trees among its threads, and its sums depend on them."""
import catboost
import lightgbm
import numpy as np
import onnx
import onnxruntime
import pandas as pd
import xgboost
from onnx import TensorProto, helper, numpy_helper
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType as Floats
from skl2onnx import convert_sklearn, to_onnx
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType
from sklearn import compose, ensemble, impute, linear_model, neighbors, neural_network, pipeline, preprocessing, svm, tree

import interop

LEQ, LT, GTE, GT = "BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT"


def predictor(model):
    return next(node for node in model.graph.node if node.op_type.startswith("TreeEnsemble"))


def attributes(node):
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def thresholds_of(model, dtype):
    held = attributes(predictor(model))
    for name in ("nodes_values_as_tensor", "nodes_splits"):
        if name in held:
            return numpy_helper.to_array(held[name]).astype(dtype)
    return np.asarray(held["nodes_values"], dtype)


def run(model, rows, raw, threads=1):
    """What the trees say, without what the graph makes of it: label (if there is one) and scores."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    node, graph = predictor(model), model.graph
    for attribute in node.attribute:
        if raw and attribute.name == "post_transform" and attribute.s:
            attribute.s = b"NONE"
    kept = list(graph.node)[:list(graph.node).index(node) + 1]
    del graph.node[:], graph.output[:]
    graph.node.extend(kept)
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in node.output)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    kinds = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(int64)": np.int64}
    feed, at = {}, 0
    for value in session.get_inputs():
        feed[value.name] = np.ascontiguousarray(rows[:, at:at + value.shape[1]].astype(kinds[value.type]))
        at += value.shape[1]
    return session.run(None, feed)


class Onnx(interop.Case):
    def data(self, rows=300, features=4):
        x = np.round(self.rng.normal(size=(rows, features)), 2).astype(np.float32)
        return x, 2 * x[:, 0] + x[:, 1] * x[:, 2] + self.rng.normal(size=rows)

    def check(self, model, rows=None, dtype=np.float32, note=""):
        with self.subTest(note):
            with open(self.path("m.onnx"), "wb") as file:
                file.write(model.SerializeToString())
            package = self.import_file("m.onnx")
            features = len(self.show(package)["features"])
            if rows is None:
                edges = list(self.rng.choice(thresholds_of(model, dtype), (features, 12)))
                rows = interop.nasty_rows(self.rng, edges, 300, dtype)
            for part, threads in ((rows, 1), (rows[:50], 2)):
                scores = run(model, part, True, threads)[-1].reshape(len(part), -1)
                one = self.predict(package, part[:1], "--margin").shape[1] == 1
                self.assert_margins(package, part, scores[:, 1:] if one and scores.shape[1] == 2 else scores)
            *label, answers = run(model, rows, False)
            # onnxruntime computes them in f32, and the smaller of two chances as 1 minus the larger.
            np.testing.assert_allclose(self.predict(package, rows, "--all"), answers.reshape(len(rows), -1), rtol=2e-7,
                                       atol=1.3e-7)
            if label:
                chosen = np.asarray(self.show(package)["labels"])[self.predict(package, rows, "--all").argmax(1)]
                self.assertEqual([str(x) for x in label[0]], list(chosen))
            return package

    def refusal(self, model):
        with open(self.path("m.onnx"), "wb") as file:
            file.write(model.SerializeToString())
        return self.refused("model", "import", self.path("m.onnx"), "-o", self.path("m.wbm"))

    def test_scikit_learn(self):
        x, y = self.data()
        two, three = (y > 0).astype(int), np.asarray(["lo", "mid", "hi"])[np.digitize(y, [-1, 1])]
        for one, target in ((tree.DecisionTreeClassifier(max_depth=4), two), (tree.DecisionTreeClassifier(max_depth=4), three),
                            (ensemble.RandomForestClassifier(7, max_depth=4), two),
                            (ensemble.RandomForestClassifier(7, max_depth=4), three),
                            (ensemble.ExtraTreesClassifier(7, max_depth=4), three),
                            (ensemble.GradientBoostingClassifier(n_estimators=7), two),
                            (ensemble.GradientBoostingClassifier(n_estimators=7), three),
                            (ensemble.RandomForestRegressor(7, max_depth=4), y),
                            (ensemble.GradientBoostingRegressor(n_estimators=7), y),
                            (tree.DecisionTreeRegressor(max_depth=4), np.stack([y, -y], 1))):
            self.check(to_onnx(one.fit(x, target), x[:1]), note=f"{one} {target[0]}")
        forest = ensemble.RandomForestRegressor(7, max_depth=4).fit(x, y)
        self.check(to_onnx(forest, x[:1].astype(np.float64)), dtype=np.float64, note="double")

    def test_boosters(self):
        x, y = self.data()
        kind = [("x", Floats([None, 4]))]
        for target, name in (((y > 0).astype(int), "Classifier"), (np.digitize(y, [-1, 1]), "Classifier"), (y, "Regressor")):
            more = {"n_estimators": 8, "max_depth": 4}
            one = getattr(xgboost, "XGB" + name)(**more).fit(x, target)
            self.check(convert_xgboost(one, initial_types=kind, target_opset=15), note=f"xgboost {name}")
            one = getattr(lightgbm, "LGBM" + name)(**more, verbose=-1).fit(x, target)
            self.check(convert_lightgbm(one, initial_types=kind, target_opset=15), note=f"lightgbm {name}")
            one = getattr(catboost, "CatBoost" + name)(iterations=8, depth=4, verbose=0, allow_writing_files=False)
            one.fit(x, target).save_model(self.path("c.onnx"), format="onnx")
            self.check(onnx.load(self.path("c.onnx")), note=f"catboost {name}")

    def test_preprocessing(self):
        x, y = self.data()
        target, p = np.digitize(y, [-1, 1]), preprocessing
        for steps in ([impute.SimpleImputer(), p.StandardScaler()], [p.MinMaxScaler()], [p.RobustScaler()], [p.MaxAbsScaler()],
                      [impute.SimpleImputer(strategy="constant", fill_value=3), p.MinMaxScaler(), p.StandardScaler()],
                      [compose.ColumnTransformer([("n", p.StandardScaler(), [3, 0])], remainder="passthrough")]):
            line = pipeline.make_pipeline(*steps, tree.DecisionTreeClassifier(max_depth=4)).fit(x, target)
            self.check(to_onnx(line, x[:1]), note=str(steps))

    def test_categories(self):
        x, y = self.data()
        target, p = np.digitize(y, [-1, 1]), preprocessing
        frame = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": np.round(x[:, 2]),
                              "k": self.rng.integers(0, 5, len(x)), "j": self.rng.integers(10, 13, len(x))})
        kinds = [(c, FloatTensorType([None, 1])) for c in "abc"] + [(c, Int64TensorType([None, 1])) for c in "kj"]
        numbers = pipeline.make_pipeline(impute.SimpleImputer(), p.StandardScaler())
        rows = np.concatenate([interop.nasty_rows(self.rng, [[0.1], [0.2], [0, 1, 2]], 200, np.float32),
                               self.rng.integers(-1, 14, (200, 2))], 1).astype(np.float64)
        for columns in ([("n", numbers, ["a", "b"]), ("o", p.OneHotEncoder(handle_unknown="ignore"), ["k", "j"]),
                         ("p", "passthrough", ["c"])],
                        [("n", p.MinMaxScaler(), ["b"]), ("o", p.OrdinalEncoder(handle_unknown="use_encoded_value",
                                                                               unknown_value=-1), ["c", "k"])]):
            line = pipeline.make_pipeline(compose.ColumnTransformer(columns), ensemble.RandomForestClassifier(7, max_depth=5))
            self.check(convert_sklearn(line.fit(frame, target), initial_types=kinds), rows=rows, note=str(columns))

    # ---- Sums of products, whose order onnxruntime leaves open: no bits to be equal to, so a bound instead of a
    # distance in steps. Rows hold no missing values, which scikit-learn refuses here.
    def check_dense(self, model, x, kind, note="", atol=2e-6):
        with self.subTest(note):
            with open(self.path("m.onnx"), "wb") as file:
                file.write(model.SerializeToString())
            package = self.import_file("m.onnx")
            self.assertIn(kind, self.show(package)["kind"])
            session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
            *label, answers = session.run(None, {session.get_inputs()[0].name: x})
            answers = np.asarray(pd.DataFrame(answers) if isinstance(answers, list) else answers).reshape(len(x), -1)
            ours = self.predict(package, x, "--all")
            np.testing.assert_allclose(ours, answers, rtol=4e-6, atol=atol)
            if label:
                labels = self.show(package)["labels"]
                top = np.sort(ours, 1)
                clear = top[:, -1] - top[:, -2] > 1e-5
                self.assertGreater(clear.sum(), len(x) * 0.9)
                self.assertEqual([str(l) for l in np.asarray(label[0])[clear]], [labels[i] for i in ours.argmax(1)[clear]])
            return package

    def test_linear_models(self):
        x, y = self.data()
        two, three = (y > 0).astype(int), np.asarray(["lo", "mid", "hi"])[np.digitize(y, [-1, 1])]
        steps = [impute.SimpleImputer(), preprocessing.StandardScaler()]
        for one, target in ((linear_model.LogisticRegression(), two), (linear_model.LogisticRegression(), three),
                            (linear_model.LogisticRegressionCV(cv=3), two)):
            line = pipeline.make_pipeline(*steps, one).fit(x, target)
            self.check_dense(to_onnx(line, x[:1], options={"zipmap": False}), x, "a linear model behind", f"{one} {target[0]}")
        for one, target in ((linear_model.LinearRegression(), y), (linear_model.Ridge(), np.stack([y, -y], 1)),
                            (linear_model.PoissonRegressor(), np.abs(y)), (linear_model.Lasso(), y)):
            self.check_dense(to_onnx(one.fit(x, target), x[:1]), x, "a linear model", str(one), atol=5e-6)

    def test_networks(self):
        x, y = self.data()
        two, three = (y > 0).astype(int), np.asarray([4, 7, 9])[np.digitize(y, [-1, 1])]
        for activation in ("relu", "tanh", "logistic", "identity"):
            for target in (two, three):
                one = neural_network.MLPClassifier((8, 5), activation=activation, max_iter=30, random_state=1)
                line = pipeline.make_pipeline(preprocessing.StandardScaler(), one).fit(x, target)
                self.check_dense(to_onnx(line, x[:1], options={"zipmap": False}), x, "a network", f"{activation} {target[0]}")
                self.check_dense(to_onnx(one.fit(x, target), x[:1]), x, "a network with layers of 8, 5,", f"zipmap {activation}")
        for named in (np.where(y > 0, "yes", "no"), np.asarray(["lo", "mid", "hi"])[three % 3]):  # texts that no ZipMap names
            one = neural_network.MLPClassifier((5,), max_iter=30, random_state=1).fit(x, named)
            package = self.check_dense(to_onnx(one, x[:1], options={"zipmap": False}), x, "a network", f"texts {named[0]}")
            self.assertEqual(self.show(package)["labels"], sorted(set(named)))
        one = neural_network.MLPRegressor((6,), max_iter=50, random_state=1)
        package = self.check_dense(to_onnx(one.fit(x, y), x[:1]), x, "a network with layers of 6, 1 units", "values", atol=5e-6)
        # skl2onnx lays two targets of a row under each other, as if they were two rows.
        self.assertIn("Reshape", self.refusal(to_onnx(one.fit(x, np.stack([y, -y], 1)), x[:1])))
        said = self.refused("model", "export", package, "--target", "c", "-o", self.path("m.c"))
        self.assertIn("a network is not written as C", said)
        wide = x.astype(np.float64)
        self.check_dense(to_onnx(one.fit(wide, y), wide[:1]), wide, "a network", "double", atol=5e-6)

    # ---- By hand
    def grow(self, depth, modes, dtype):
        """A tree as lists: mode, column, threshold, true, false, missing tracks true."""
        nodes = []

        def add(left):
            at = len(nodes)
            nodes.append(["LEAF", 0, 0.0, 0, 0, 0])
            if left and (left == depth or self.rng.random() > 0.15):
                edge = dtype(self.rng.choice([0.0, -0.0, self.rng.normal(), self.rng.normal(), self.rng.normal()]))
                nodes[at] = [self.rng.choice(modes), int(self.rng.integers(4)), float(edge), add(left - 1), add(left - 1),
                             int(self.rng.integers(2))]
            return at

        add(depth)
        return nodes

    def ensemble(self, kind="Regressor", modes=(LEQ, LT, GTE, GT), trees=20, outputs=1, all_outputs=False, dtype=np.float32,
                 positive=False, element=TensorProto.FLOAT, as_tensor=False, labels=None, **more):
        names = ("modes", "featureids", "values", "truenodeids", "falsenodeids", "missing_value_tracks_true")
        held = {"nodes_treeids": [], "nodes_nodeids": [], **{"nodes_" + n: [] for n in names}}
        part = "target" if kind == "Regressor" else "class"
        weights = {f"{part}_{n}": [] for n in ("treeids", "nodeids", "ids", "weights")}
        for number in range(trees):
            for at, node in enumerate(self.grow(3 if number else 0, modes, dtype)):  # the first has one leaf
                for key, value in zip(held, [number, at, *node]):
                    held[key].append(value)
                for target in (range(outputs) if all_outputs else [number % outputs]) if node[0] == "LEAF" else []:
                    weight = self.rng.normal() if not positive else self.rng.random() / trees
                    for key, value in zip(weights, [number, at, target, float(dtype(weight))]):
                        weights[key].append(value)
        held |= weights | more | ({"n_targets": outputs} if kind == "Regressor" else
                                  {"classlabels_int64s": list(range(labels or outputs))})
        for key in ("nodes_values", f"{part}_weights", "base_values") if as_tensor else ():
            if key in held:
                held[key + "_as_tensor"] = numpy_helper.from_array(np.asarray(held.pop(key), dtype), key)
        outs = ["y"] if kind == "Regressor" else ["label", "y"]
        node = helper.make_node("TreeEnsemble" + kind, ["x"], outs, domain="ai.onnx.ml", name="trees", **held)
        return self.graph(node, element, 3)

    def graph(self, node, element, version):
        graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("x", element, [None, 4])],
                                  [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, None])])
        return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 15),
                                                                     helper.make_opsetid("ai.onnx.ml", version)])

    def test_modes(self):
        for modes in ([LEQ], [LT], [GTE], [GT], [LT, GTE], [LEQ, LT, GTE, GT]):
            self.check(self.ensemble(modes=modes), note=str(modes))
            self.check(self.ensemble(modes=modes, element=TensorProto.DOUBLE, dtype=np.float64, as_tensor=True),
                       dtype=np.float64, note=f"double {modes}")
        for mode in ("BRANCH_EQ", "BRANCH_NEQ"):
            self.assertIn(f"a node of mode '{mode}'", self.refusal(self.ensemble(modes=[mode])))

    def test_sums(self):
        self.check(self.ensemble(base_values=[0.3]), note="base")
        self.check(self.ensemble(base_values=[0.3], aggregate_function="AVERAGE", trees=7), note="average")
        self.check(self.ensemble(aggregate_function="MIN", trees=1), note="the least of one")
        self.check(self.ensemble(outputs=3, trees=9, base_values=[1.0, 2.0, 0.1]), note="a target a tree")
        self.check(self.ensemble(outputs=3, all_outputs=True), note="leaves for all targets")
        self.check(self.ensemble(trees=100), note="100 trees")
        self.check(self.ensemble(element=TensorProto.DOUBLE), dtype=np.float64, note="double rows, float trees")
        for function in ("MIN", "MAX"):
            self.assertIn(f"takes the {function} of its trees", self.refusal(self.ensemble(aggregate_function=function)))
        for transform in ("LOGISTIC", "SOFTMAX", "PROBIT"):
            self.assertIn("has a post_transform", self.refusal(self.ensemble(post_transform=transform)))

    def test_classes(self):
        for transform in ("SOFTMAX", "LOGISTIC"):
            self.check(self.ensemble("Classifier", outputs=3, trees=9, all_outputs=True, post_transform=transform,
                                     base_values=[0.1, 0.2, 0.3]), note=transform)
        self.check(self.ensemble("Classifier", outputs=3, all_outputs=True, positive=True), note="shares")
        self.check(self.ensemble("Classifier", labels=2, post_transform="LOGISTIC", base_values=[-0.2]), note="one score")
        self.check(self.ensemble("Classifier", labels=2, positive=True), note="one share")
        self.check(self.ensemble("Classifier", outputs=3, all_outputs=True, post_transform="SOFTMAX",
                                 element=TensorProto.INT64), rows=self.rng.integers(-9, 9, (200, 4)).astype(float), note="int64")
        for more, why in (({"labels": 2, "positive": True, "post_transform": "LOGISTIC"}, "leaves out the LOGISTIC"),
                          ({"labels": 2}, "two classes on one score"),
                          ({"outputs": 2, "all_outputs": True, "post_transform": "SOFTMAX"}, "not each other's negative"),
                          ({"outputs": 3, "all_outputs": True, "post_transform": "SOFTMAX_ZERO"}, "SOFTMAX_ZERO"),
                          ({"outputs": 3, "all_outputs": True, "post_transform": "PROBIT"}, "PROBIT")):
            self.assertIn(why, self.refusal(self.ensemble("Classifier", **more)))

    def version_5(self, dtype, modes=(0, 1, 2, 3), trees=9, targets=2, **more):
        held = {"nodes_" + n: [] for n in ("featureids", "truenodeids", "falsenodeids", "trueleafs", "falseleafs",
                                           "missing_value_tracks_true")}
        splits, kinds, weights, ids, roots = [], [], [], [], []

        def child(left):
            if left and self.rng.random() > 0.2:
                return split(left), 0
            weights.append(self.rng.normal())
            ids.append(int(self.rng.integers(targets)))
            return len(weights) - 1, 1

        def split(left):
            at = len(splits)
            splits.append(self.rng.normal())
            kinds.append(self.rng.choice(modes))
            for key in held:
                held[key].append(int(self.rng.integers(2 if "missing" in key else 4)))
            for side in ("true", "false"):
                held[f"nodes_{side}nodeids"][at], held[f"nodes_{side}leafs"][at] = child(left - 1)
            return at

        for _ in range(trees):
            roots.append(split(3))
        tensors = {"nodes_splits": (splits, dtype), "leaf_weights": (weights, dtype), "nodes_modes": (kinds, np.uint8)}
        held |= {key: numpy_helper.from_array(np.asarray(*value), key) for key, value in tensors.items()}
        held |= {"leaf_targetids": ids, "tree_roots": roots, "n_targets": targets, **more}
        node = helper.make_node("TreeEnsemble", ["x"], ["y"], domain="ai.onnx.ml", name="trees", **held)
        model = self.graph(node, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), 5)
        model.graph.output[0].type.tensor_type.elem_type = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return model

    def test_version_5(self):
        for dtype in (np.float32, np.float64):
            for modes in ([0], [1], [2], [3], [0, 1, 2, 3]):
                self.check(self.version_5(dtype, modes), dtype=dtype, note=f"{dtype} {modes}")
            self.check(self.version_5(dtype, aggregate_function=0), dtype=dtype, note=f"{dtype} average")
        self.assertIn("a mode that is none of", self.refusal(self.version_5(np.float32, [0, 4])))
        self.assertIn("has a post_transform", self.refusal(self.version_5(np.float32, post_transform=2)))

    def test_what_is_refused(self):
        x, y = self.data()
        target, p = np.digitize(y, [-1, 1]), preprocessing
        line = pipeline.make_pipeline(p.Normalizer(), tree.DecisionTreeClassifier(max_depth=3))
        for one, why in ((svm.LinearSVC(), "whose scores are no probabilities"), (line, "Normalizer"),
                         (svm.SVC(), "the engine has no support vector machines"),
                         (neighbors.KNeighborsClassifier(3), "the engine runs no loops")):
            self.assertIn(why, self.refusal(to_onnx(one.fit(x, target), x[:1])))
        whole = np.round(x)
        line = pipeline.make_pipeline(p.OneHotEncoder(handle_unknown="ignore"), tree.DecisionTreeClassifier(max_depth=3))
        self.assertIn("cuts off fractions", self.refusal(to_onnx(line.fit(whole, target), whole[:1])))


if __name__ == "__main__":
    interop.main()
