"""XGBoost: every objective and booster that is read, both file formats, on rows that hurt. Run once for each version."""
import json

import numpy as np
import xgboost as xgb

import interop

VERSION = tuple(int(x) for x in xgb.__version__.split(".")[:2])
QUIET = {"verbosity": 0, "nthread": 2, "seed": 1}


def thresholds_of(booster, features):
    """The numbers that the trees compare with, and the leaves: one list a feature."""
    model = json.loads(bytes(booster.save_raw("json")))["learner"]["gradient_booster"]
    edges = [[] for _ in range(features)]
    for tree in model.get("gbtree", model)["model"].get("trees", []):
        for left, feature, edge, kind in zip(tree["left_children"], tree["split_indices"], tree["split_conditions"],
                                             tree["split_type"]):
            if left != -1 and kind == 0:
                edges[feature].append(np.float32(edge))
    return edges


class Xgboost(interop.Case):
    def data(self, rows=400, features=5, missing=True):
        x = np.round(self.rng.normal(size=(rows, features)), 2).astype(np.float32)
        if missing:
            x[self.rng.random(x.shape) < 0.1] = np.nan
        score = np.nan_to_num(x) @ np.arange(1, features + 1) + self.rng.normal(size=rows)
        return x, score

    def check(self, booster, features=5, categories=None, answers=True, options=(), **predict):
        """JSON and UBJSON give one package, and its answers are the booster's."""
        types = ["c" if n else "q" for n in categories] if categories else None
        rows = interop.nasty_rows(self.rng, thresholds_of(booster, features), 600, np.float32, categories, infinite=False)
        matrix = xgb.DMatrix(rows, feature_types=types, enable_categorical=bool(categories))
        packages = []
        for file in ("m.json", "m.ubj"):
            booster.save_model(self.path(file))
            packages.append(self.import_file(file, *options, name=file + ".wbm"))
        with open(packages[0], "rb") as a, open(packages[1], "rb") as b:
            self.assertEqual(a.read(), b.read(), "JSON and UBJSON give different packages")
        self.assert_margins(packages[0], rows, booster.predict(matrix, output_margin=True, **predict))
        if answers:
            self.assert_answers(packages[0], rows, booster.predict(matrix, **predict))
        return packages[0]

    def train(self, x, y, rounds=10, params=None, **more):
        matrix = more.pop("matrix", None) or xgb.DMatrix(x, y)
        return xgb.train({**QUIET, "max_depth": 5, **(params or {})}, matrix, rounds, **more)

    def test_values(self):
        x, y = self.data()
        for objective in ("reg:squarederror", "reg:pseudohubererror", "reg:squaredlogerror", "reg:absoluteerror"):
            for method in ("hist", "exact", "approx"):
                with self.subTest(objective=objective, method=method):
                    target = np.abs(y) if "log" in objective else y
                    self.check(self.train(x, target, params={"objective": objective, "tree_method": method}))

    def test_base_score_is_a_margin_after_the_link(self):
        x, y = self.data()
        for objective in ("binary:logistic", "reg:logistic", "binary:logitraw", "count:poisson", "reg:gamma", "reg:tweedie",
                          "reg:squarederror"):
            for base in (None, 0.013, 0.5, 0.77):
                with self.subTest(objective=objective, base=base):
                    target = (y > 0).astype(int) if "log" in objective else np.abs(y) + 0.1
                    params = {"objective": objective, **({} if base is None else {"base_score": base})}
                    self.check(self.train(x, target, 5, params))

    def test_classes(self):
        x, y = self.data()
        target = np.digitize(y, [-4, 0, 4])
        self.check(self.train(x, target, params={"objective": "multi:softprob", "num_class": 4}))
        self.check(self.train(x, target, params={"objective": "multi:softmax", "num_class": 4}), answers=False)

    def test_ranking(self):
        x, y = self.data()
        for objective in ("rank:ndcg", "rank:pairwise", "rank:map"):
            target = (y > 0).astype(int) if objective == "rank:map" else np.digitize(y, [-4, 0, 4])
            matrix = xgb.DMatrix(x, target)
            matrix.set_group([40] * 10)
            self.check(self.train(x, y, params={"objective": objective}, matrix=matrix))

    def test_dart(self):
        x, y = self.data()
        for objective, target in (("reg:squarederror", y), ("binary:logistic", (y > 0).astype(int))):
            booster = self.train(x, target, 12, {"objective": objective, "booster": "dart", "rate_drop": 0.4,
                                                 "one_drop": 1})
            weights = json.loads(bytes(booster.save_raw("json")))["learner"]["gradient_booster"]["weight_drop"]
            self.assertTrue(any(w != 1 for w in weights))
            self.check(booster)
        target = np.digitize(y, [-4, 0, 4])
        self.check(self.train(x, target, 12, {"objective": "multi:softprob", "num_class": 4, "booster": "dart",
                                              "rate_drop": 0.4}))

    def test_categories(self):
        counts = [3, 40, 0, 9, 0]
        x = np.stack([self.rng.integers(0, n, 600) if n else np.round(self.rng.normal(size=600), 2) for n in counts], 1)
        x = x.astype(np.float32)
        x[self.rng.random(x.shape) < 0.1] = np.nan
        y = (x[:, 0] == 1) * 2.0 + np.isin(x[:, 1], [3, 7, 8, 30]) * 3 + np.nan_to_num(x[:, 2]) + (x[:, 3] > 4)
        matrix = xgb.DMatrix(x, y, feature_types=["c" if n else "q" for n in counts], enable_categorical=True)
        for onehot in (1, 5, 100):  # sets, both, one category against the others
            with self.subTest(max_cat_to_onehot=onehot):
                params = {"tree_method": "hist", "max_cat_to_onehot": onehot}
                self.check(self.train(x, y, 10, params, matrix=matrix), categories=counts)

    def test_best_iteration(self):
        x, y = self.data(missing=False)
        held, truth = self.data(100, missing=False)
        for parallel, params in ((1, {}), (3, {"num_parallel_tree": 3, "subsample": 0.5}),
                                 (1, {"objective": "multi:softprob", "num_class": 4})):
            with self.subTest(parallel=parallel, params=params):
                cut = (lambda s: np.digitize(s, [-4, 0, 4])) if "num_class" in params else lambda s: s
                booster = self.train(x, cut(y), 60, {**params, "eta": 0.9}, matrix=xgb.DMatrix(x, cut(y)),
                                     evals=[(xgb.DMatrix(held, cut(truth)), "held")], early_stopping_rounds=5,
                                     verbose_eval=False)
                best = int(booster.attr("best_iteration"))
                self.assertLess(best + 1, booster.num_boosted_rounds())
                model = self.check(booster, iteration_range=(0, best + 1))
                self.assertIn("grown after the best round", self.show(model)["notes"]["left out"])
                self.check(booster, options=("--trees", "all"), iteration_range=(0, booster.num_boosted_rounds()))

    def test_several_targets(self):
        x, y = self.data()
        targets = np.stack([y, -y + x[:, 0].clip(-1, 1), np.abs(y)], 1)
        targets[np.isnan(targets)] = 0
        ways = ["one_output_per_tree"] + (["multi_output_tree"] if VERSION >= (2, 0) else [])
        for way in ways:
            params = {"tree_method": "hist"} | ({"multi_strategy": way} if VERSION >= (2, 0) else {})
            with self.subTest(way=way):
                self.check(self.train(x, targets, params=params))
                self.check(self.train(x, (targets > 0).astype(int), params={**params, "objective": "binary:logistic"}))
        if VERSION >= (2, 0):
            params = {"objective": "reg:quantileerror", "quantile_alpha": [0.1, 0.5, 0.9], "tree_method": "hist"}
            self.check(self.train(x, y, matrix=xgb.QuantileDMatrix(x, y), params=params))

    def test_linear(self):
        x, y = self.data()
        for target, params in ((y, {}), (np.abs(y), {"objective": "count:poisson"}), ((y > 0).astype(int), {"objective": "binary:logistic"}),
                               (np.digitize(y, [-4, 0, 4]), {"objective": "multi:softprob", "num_class": 4})):
            with self.subTest(params=params):
                booster = self.train(x, target, 5, {"booster": "gblinear", **params})
                booster.save_model(self.path("m.json"))
                package = self.import_file("m.json")
                self.assertEqual(self.show(package)["kind"], "a linear model")
                rows = interop.nasty_rows(self.rng, [[]] * 5, 600, np.float32, infinite=False)
                rows[:300] = x[:300]
                matrix = xgb.DMatrix(rows)
                self.assert_margins(package, rows, booster.predict(matrix, output_margin=True))
                with np.errstate(over="ignore"):
                    self.assert_answers(package, rows[:300], booster.predict(matrix)[:300])

    def test_trees_of_one_leaf(self):
        x, y = self.data()
        booster = self.train(x, y, 3, {"gamma": 1e9})
        self.assertTrue(all(line.count("leaf") == 1 for line in booster.get_dump()))
        self.check(booster)
        if VERSION >= (2, 0):  # 1.7 would write a best round of -1
            self.check(self.train(x, y, 0))  # no tree at all

    def test_names_are_kept(self):
        x, y = self.data()
        booster = self.train(x, y, matrix=xgb.DMatrix(x, y, feature_names=["a b", "ü", "c", "d,e", "f0"]))
        booster.save_model(self.path("m.json"))
        self.assertEqual(self.show(self.import_file("m.json"))["features"], ["a b", "ü", "c", "d,e", "f0"])

    def check_contributions(self, booster, categories=None):
        rows = interop.nasty_rows(self.rng, thresholds_of(booster, 5), 200, np.float32, categories, infinite=False)
        types = ["c" if n else "q" for n in categories] if categories else None
        matrix = xgb.DMatrix(rows, feature_types=types, enable_categorical=bool(categories))
        booster.save_model(self.path("m.ubj"))
        self.assert_contributions("m.ubj", rows, booster.predict(matrix, pred_contribs=True))

    def test_contributions(self):
        x, y = self.data()
        target = np.digitize(y, [-4, 0, 4])
        self.check_contributions(self.train(x, y))
        self.check_contributions(self.train(x, y, 40, {"max_depth": 12}))
        self.check_contributions(self.train(x, (y > 0).astype(int), params={"objective": "binary:logistic"}))
        self.check_contributions(self.train(x, target, params={"objective": "multi:softprob", "num_class": 4}))
        self.check_contributions(self.train(x, y, 12, {"booster": "dart", "rate_drop": 0.4, "one_drop": 1}))
        self.check_contributions(self.train(x, y, 3, {"gamma": 1e9}))
        self.check_contributions(self.train(x, y, params={"booster": "gblinear"}))
        counts = [3, 40, 0, 9, 0]
        x = np.stack([self.rng.integers(0, n, 600) if n else np.round(self.rng.normal(size=600), 2) for n in counts], 1)
        y = (x[:, 0] == 1) * 2.0 + np.isin(x[:, 1], [3, 7, 8, 30]) * 3 + x[:, 2] + (x[:, 3] > 4)
        matrix = xgb.DMatrix(x, y, feature_types=["c" if n else "q" for n in counts], enable_categorical=True)
        self.check_contributions(self.train(x, y, matrix=matrix, params={"tree_method": "hist"}), categories=counts)

    def test_what_is_refused(self):
        x, y = self.data(missing=False)
        for params, reason in (({"objective": "binary:hinge"}, "step"),
                               ({"objective": "survival:cox"}, "survival:cox: hazard ratios are not carried")):
            self.train(x, (y > 0).astype(int) if "objective" in params else y, 2, params).save_model(self.path("m.json"))
            self.assertIn(reason, self.refused("model", "import", self.path("m.json"), "-o", self.path("m.wbm")))

    def test_recorded_rows(self):
        x, y = self.data(60)
        booster = self.train(x, y)
        booster.save_model(self.path("m.json"))
        margins = booster.predict(xgb.DMatrix(x), output_margin=True)
        rows = self.write_csv("rows.csv", [f"f{i}" for i in range(5)], x)
        held = ("--rows", rows, "--expect", self.write_csv("expect.csv", ["margin"], margins))
        self.assertEqual(self.show(self.import_file("m.json", *held))["self_test_rows"], 32)
        margins[17] = np.nextafter(margins[17], np.float32(9))
        self.write_csv("expect.csv", ["margin"], margins)
        said = self.refused("model", "import", self.path("m.json"), "-o", self.path("n.wbm"), *held)
        self.assertIn("row 18, column 'margin'", said)


if __name__ == "__main__":
    interop.main()
