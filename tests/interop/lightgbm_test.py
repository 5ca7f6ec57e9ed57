"""LightGBM: every objective that is read, what a split calls missing, categories, forests, on rows that hurt. Run once for each
version."""
import re

import lightgbm as lgb
import numpy as np
import pandas as pd

import interop

QUIET = {"verbosity": -1, "num_threads": 2, "seed": 1, "deterministic": True, "min_data_in_leaf": 5, "num_leaves": 15}


def thresholds_of(booster, features):
    """The numbers that the trees compare with: one list a feature."""
    edges = [[] for _ in range(features)]
    for tree in booster.model_to_string().split("\nTree=")[1:]:
        lines = dict(line.split("=", 1) for line in tree.split("\n") if "=" in line)
        for feature, edge, decision in zip(lines.get("split_feature", "").split(), lines.get("threshold", "").split(),
                                           lines.get("decision_type", "").split()):
            if int(decision) & 1 == 0:
                edges[int(feature)].append(float(edge))
    return edges


class Lightgbm(interop.Case):
    def data(self, rows=500, features=5, missing=True):
        x = np.round(self.rng.normal(size=(rows, features)), 2)
        x[self.rng.random(x.shape) < 0.2] = 0
        if missing:
            x[self.rng.random(x.shape) < 0.1] = np.nan
        return x, np.nan_to_num(x) @ np.arange(1, features + 1) + self.rng.normal(size=rows)

    def train(self, x, y, rounds=10, params=None, **more):
        names = [f"x{i}" for i in range(x.shape[1])]
        return lgb.train({**QUIET, **(params or {})}, lgb.Dataset(x, y, feature_name=names, **more), rounds)

    def check(self, booster, features=5, categories=None, answers=True, rounds=None, options=()):
        rows = interop.nasty_rows(self.rng, thresholds_of(booster, features), 800, np.float64, categories)
        booster.save_model(self.path("m.txt"))
        model = self.import_file("m.txt", *options)
        # The file is what is promised: what it says is read back by the library too.
        saved = lgb.Booster(model_file=self.path("m.txt"))
        margins = saved.predict(rows, raw_score=True)
        self.assert_margins(model, rows, margins if rounds is None else margins / rounds)
        if answers:
            self.assert_answers(model, rows, saved.predict(rows), ulps_max=3)  # of f64: both exponentials round
        return model

    def test_values(self):
        x, y = self.data()
        for objective in ("regression", "regression_l1", "huber", "fair", "quantile", "mape"):
            with self.subTest(objective=objective):
                self.check(self.train(x, y, params={"objective": objective}))
        self.check(self.train(x, y, params={"objective": "regression", "reg_sqrt": True}))

    def test_rates_and_probabilities(self):
        x, y = self.data()
        for objective in ("poisson", "gamma", "tweedie"):
            with self.subTest(objective=objective):
                self.check(self.train(x, np.abs(y) + 0.1, params={"objective": objective}))
        for params in ({"objective": "binary"}, {"objective": "binary", "sigmoid": 0.7}, {"objective": "cross_entropy"}):
            with self.subTest(params=params):
                self.check(self.train(x, (y > 0).astype(int), params=params))

    def test_classes_and_ranks(self):
        x, y = self.data()
        target = np.digitize(y, [-4, 0, 4])
        for params in ({"objective": "multiclass"}, {"objective": "multiclassova", "sigmoid": 1.3}):
            with self.subTest(params=params):
                self.check(self.train(x, target, params={**params, "num_class": 4}))
        for objective in ("lambdarank", "rank_xendcg"):
            with self.subTest(objective=objective):
                self.check(self.train(x, target, params={"objective": objective}, group=[50] * 10))

    def test_what_a_split_calls_missing(self):
        x, y = self.data()
        for params in ({"use_missing": False}, {"zero_as_missing": True}, {}):
            for missing in (False, True):
                with self.subTest(params=params, missing=missing):
                    data = x if missing else np.nan_to_num(x)
                    booster = self.train(data, y, 20, {"objective": "regression", **params})
                    kinds = {int(d) >> 2 & 3 for line in re.findall("decision_type=(.*)", booster.model_to_string())
                             for d in line.split()}
                    self.assertIn({"use_missing": 0, "zero_as_missing": 1}.get(next(iter(params), ""), 2 if missing else 0), kinds)
                    self.check(booster)

    def test_numbers_around_zero(self):
        x, y = self.data()
        x[:, 0] = np.where(y > 1, 1e-34, np.where(y < -1, -1e-34, 0))  # thresholds where LightGBM sees zero
        booster = self.train(x, y, 10, {"objective": "regression"})
        self.assertTrue(any(0 < abs(edge) < 1.1e-35 for edge in thresholds_of(booster, 5)[0]))
        self.check(booster)

    def test_categories(self):
        counts = [3, 70, 0, 9, 0]
        x = np.stack([self.rng.integers(0, n, 900) if n else np.round(self.rng.normal(size=900), 2) for n in counts], 1)
        x = x.astype(float)
        x[self.rng.random(x.shape) < 0.1] = np.nan
        y = (x[:, 0] == 1) * 2.0 + np.isin(x[:, 1], [3, 7, 8, 30, 66]) * 3 + np.nan_to_num(x[:, 2]) + (x[:, 3] > 4)
        for params in ({}, {"max_cat_to_onehot": 100}, {"min_data_per_group": 1, "cat_smooth": 1}):
            with self.subTest(params=params):
                booster = self.train(x, y, 20, {"objective": "regression", **params}, categorical_feature=[0, 1, 3])
                self.check(booster, categories=counts)

    def test_pandas_categories(self):
        values = np.asarray([7, 3, 100, -5])
        picked = self.rng.integers(0, 4, 600)
        frame = pd.DataFrame({"a": pd.Categorical(values[picked]), "b": np.round(self.rng.normal(size=600), 2)})
        y = (picked == 2) * 3.0 + frame["b"]
        booster = lgb.train({**QUIET, "objective": "regression"}, lgb.Dataset(frame, y), 10)
        booster.save_model(self.path("m.txt"))
        rows = pd.DataFrame({"a": pd.Categorical([7, 3, 100, -5, None], categories=[-5, 3, 7, 100]), "b": [0.1] * 5})
        plain = np.asarray([[7, 0.1], [3, 0.1], [100, 0.1], [-5, 0.1], [np.nan, 0.1], [50, 0.1]])
        theirs = booster.predict(rows, raw_score=True)
        self.assert_margins(self.import_file("m.txt"), plain, np.append(theirs, theirs[4]))  # never seen: as missing
        coded = plain[:4].copy()
        coded[:, 0] = [2, 1, 3, 0]
        self.assert_margins(self.import_file("m.txt", "--category-codes"), coded, theirs[:4])
        frame["a"] = pd.Categorical(np.asarray(["w", "x", "y", "z"])[picked])
        lgb.train({**QUIET, "objective": "regression"}, lgb.Dataset(frame, y), 10).save_model(self.path("t.txt"))
        self.assertIn("has categories that are no numbers",
                      self.refused("model", "import", self.path("t.txt"), "-o", self.path("t.wbm")))

    def test_forests(self):
        x, y = self.data()
        forest = {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.7, "feature_fraction": 0.7}
        self.check(self.train(x, y, 7, {"objective": "regression", **forest}), rounds=7)
        self.check(self.train(x, (y > 0).astype(int), 7, {"objective": "binary", **forest}), rounds=7)
        self.check(self.train(x, np.digitize(y, [-4, 0, 4]), 7, {"objective": "multiclass", "num_class": 4, **forest}), rounds=7)

    def test_leaves_that_are_lines(self):
        x, y = self.data()
        for target, params in ((y, {"objective": "regression"}), ((y > 0).astype(int), {"objective": "binary"}),
                               (np.digitize(y, [-4, 0, 4]), {"objective": "multiclass", "num_class": 4})):
            with self.subTest(params=params):
                model = self.check(self.train(x, target, params={"linear_tree": True, "linear_lambda": 0.1, **params}), answers=False)
                self.assertEqual(self.show(model)["kind"], "trees whose leaves are lines")
        said = self.refused("model", "export", model, "--target", "c", "-o", self.path("m.c"))
        self.assertIn("a model whose leaves are lines is not written as C", said)

    def test_dart(self):
        x, y = self.data()
        self.check(self.train(x, y, 15, {"objective": "regression", "boosting": "dart", "drop_rate": 0.5}))

    def test_trees_of_one_leaf(self):
        x, y = self.data()
        booster = self.train(x, y, 5, {"objective": "regression", "min_gain_to_split": 1e9})
        self.assertIn("num_leaves=1\n", booster.model_to_string())
        self.check(booster)

    def check_contributions(self, booster, categories=None, rounds=1):
        rows = interop.nasty_rows(self.rng, thresholds_of(booster, 5), 200, np.float64, categories)
        booster.save_model(self.path("m.txt"))
        theirs = lgb.Booster(model_file=self.path("m.txt")).predict(rows, pred_contrib=True)
        self.assert_contributions("m.txt", rows, theirs / rounds)

    def test_contributions(self):
        x, y = self.data()
        for params in ({}, {"zero_as_missing": True}, {"use_missing": False}, {"num_leaves": 90, "min_data_in_leaf": 1}):
            with self.subTest(params=params):
                self.check_contributions(self.train(x, y, 20, {"objective": "regression", **params}))
        self.check_contributions(self.train(x, (y > 0).astype(int), params={"objective": "binary", "sigmoid": 0.7}))
        self.check_contributions(self.train(x, np.digitize(y, [-4, 0, 4]), params={"objective": "multiclass", "num_class": 4}))
        self.check_contributions(self.train(x, y, 5, {"objective": "regression", "min_gain_to_split": 1e9}))
        forest = {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.7, "objective": "regression"}
        self.check_contributions(self.train(x, y, 7, forest), rounds=7)
        counts = [3, 70, 0, 9, 0]
        x = np.stack([self.rng.integers(0, n, 900) if n else np.round(self.rng.normal(size=900), 2) for n in counts], 1)
        y = (x[:, 0] == 1) * 2.0 + np.isin(x[:, 1], [3, 7, 8, 30, 66]) * 3 + x[:, 2] + (x[:, 3] > 4)
        booster = self.train(x.astype(float), y, 20, {"objective": "regression"}, categorical_feature=[0, 1, 3])
        self.check_contributions(booster, counts)

    def test_recorded_rows(self):
        x, y = self.data(60)
        booster = self.train(x, (y > 0).astype(int), params={"objective": "binary"})
        booster.save_model(self.path("m.txt"))
        margins, chances = booster.predict(x, raw_score=True), booster.predict(x)
        held = ["--rows", self.write_csv("rows.csv", [f"x{i}" for i in range(5)], x),
                "--expect", self.write_csv("expect.csv", ["margin"], margins),
                "--expect-answers", self.write_csv("answers.csv", ["yes"], chances)]
        self.import_file("m.txt", *held)
        margins[3] = np.nextafter(margins[3], 9)
        self.write_csv("expect.csv", ["margin"], margins)
        said = self.refused("model", "import", self.path("m.txt"), "-o", self.path("n.wbm"), *held)
        self.assertIn("row 4, column 'margin'", said)

    def test_what_is_refused(self):
        x, y = self.data(missing=False)
        self.train(x, (y > 0).astype(int), 3, {"objective": "cross_entropy_lambda"}).save_model(self.path("m.txt"))
        self.assertIn("'cross_entropy_lambda' is not carried",
                      self.refused("model", "import", self.path("m.txt"), "-o", self.path("m.wbm")))


if __name__ == "__main__":
    interop.main()
