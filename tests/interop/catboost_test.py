"""CatBoost: every objective that is read, both kinds of trees, what NaN does, on rows that hurt, one by one and together."""
import json

import catboost
import numpy as np
import pandas as pd

import interop

QUIET = {"verbose": 0, "allow_writing_files": False, "random_seed": 1, "thread_count": 2}


class Catboost(interop.Case):
    def data(self, rows=500, features=5, missing=True):
        x = np.round(self.rng.normal(size=(rows, features)), 2).astype(np.float32)
        if missing:
            x[self.rng.random(x.shape) < 0.1] = np.nan
        return x, np.nan_to_num(x) @ np.arange(1, features + 1) + self.rng.normal(size=rows)

    def train(self, x, y, loss="RMSE", rounds=25, depth=4, **more):
        model = catboost.CatBoost({**QUIET, "loss_function": loss, "iterations": rounds, "depth": depth, **more})
        return model.fit(x if isinstance(x, catboost.Pool) else catboost.Pool(x, y))

    def save(self, booster):
        booster.save_model(self.path("m.json"), format="json")
        with open(self.path("m.json"), encoding="utf-8") as file:
            return json.load(file)

    def check(self, booster, answers=None, ulps_max=2):
        """answers: CatBoost's name of what the model answers with."""
        saved = self.save(booster)
        edges = [f["borders"] for f in saved["features_info"]["float_features"]]
        rows = interop.nasty_rows(self.rng, edges, 400, np.float32)
        model = self.import_file("m.json")
        margins = booster.predict(rows, prediction_type="RawFormulaVal")
        self.assert_margins(model, rows, margins)
        alone = [booster.predict(row[None, :], prediction_type="RawFormulaVal") for row in rows[:40]]
        self.assert_margins(model, rows[:40], alone)
        if answers:
            theirs = booster.predict(rows, prediction_type=answers)
            if ulps_max is not None:
                theirs = theirs[:, 1:] if theirs.ndim == 2 and theirs.shape[1] == 2 and margins.ndim == 1 else theirs
                self.assert_answers(model, rows, theirs, ulps_max)
            else:  # its exponential is quick rather than near
                np.testing.assert_allclose(self.predict(model, rows, "--all"), theirs, rtol=0, atol=2.3e-16)
        return self.show(model)

    def test_values_and_ranks(self):
        x, y = self.data()
        for loss in ("RMSE", "MAE", "Quantile:alpha=0.3", "MAPE", "Lq:q=3", "Huber:delta=1", "LogCosh", "Expectile:alpha=0.3"):
            with self.subTest(loss=loss):
                self.check(self.train(x, y, loss, 10))
        self.check(self.train(x, np.exp(y / 9), "Cox", 10))
        for loss in ("PairLogit", "YetiRank", "QueryRMSE"):
            with self.subTest(loss=loss):
                self.check(self.train(catboost.Pool(x, y, group_id=np.arange(500) // 25), None, loss, 10))

    def test_rates(self):
        x, y = self.data()
        for loss in ("Poisson", "Tweedie:variance_power=1.5"):
            with self.subTest(loss=loss):
                self.check(self.train(x, np.exp(y / 9).round(), loss), "Exponent")

    def test_two_classes(self):
        x, y = self.data()
        for names in (["no", "yes"], [False, True], [3, 7], [0.5, 2]):
            with self.subTest(names=names):
                booster = self.train(x, np.asarray(names)[(y > 0).astype(int)], "Logloss", 10)
                self.assertEqual(self.check(booster, "Probability")["labels"], [str(n) for n in names])
        self.check(self.train(x, 1 / (1 + np.exp(-y)), "CrossEntropy"), "Probability")

    def test_more_classes(self):
        x, y = self.data()
        target = np.digitize(y, [-4, 0, 4])
        self.check(self.train(x, target, "MultiClass"), "Probability", None)
        self.check(self.train(x, target, "MultiClassOneVsAll"), "Probability", None)
        self.check(self.train(x, (x[:, :3] > 0).astype(int), "MultiLogloss"), "Probability", None)
        self.check(self.train(x, np.stack([y, -y], 1), "MultiRMSE"))

    def test_trees_that_grow_freely(self):
        x, y = self.data()
        for policy in ("Depthwise", "Lossguide"):
            with self.subTest(policy=policy):
                self.check(self.train(x, y, grow_policy=policy))
                self.check(self.train(x, np.digitize(y, [-4, 4]), "MultiClass", grow_policy=policy))
        self.check(self.train(x, y, rounds=3, grow_policy="Lossguide", min_data_in_leaf=1000))  # one leaf

    def test_what_missing_is(self):
        x, y = self.data()
        for mode, treatment in (("Min", "AsFalse"), ("Max", "AsTrue")):
            booster = self.train(x, y, nan_mode=mode)
            self.assertEqual(self.save(booster)["features_info"]["float_features"][0]["nan_value_treatment"], treatment)
            self.check(booster)
        self.check(self.train(*self.data(missing=False)))  # AsIs

    def test_scale_bias_and_sums(self):
        x, y = self.data()
        booster = self.train(x, y, rounds=10)
        booster.set_scale_and_bias(0.3, 0.7)
        self.check(booster)
        self.check(catboost.sum_models([self.train(x, y, rounds=5), self.train(x, -y, rounds=5)], [0.4, 0.6]))

    def test_depths(self):
        x, y = self.data()
        for depth, rounds in ((1, 20), (9, 5), (13, 1)):
            with self.subTest(depth=depth):
                self.check(self.train(x, y, rounds=rounds, depth=depth))

    def check_contributions(self, booster, own=True):
        edges = [f["borders"] for f in self.save(booster)["features_info"]["float_features"]]
        rows = interop.nasty_rows(self.rng, edges, 200, np.float32)
        if own:
            theirs = booster.get_feature_importance(catboost.Pool(rows), type="ShapValues", shap_calc_type="Regular")
            self.assert_contributions("m.json", rows, theirs)
        self.assert_adds_up("m.json", rows, booster.predict(rows, prediction_type="RawFormulaVal"))

    def test_contributions(self):
        x, y = self.data()
        for params in ({}, {"depth": 9, "rounds": 5}, {"nan_mode": "Max"}):
            with self.subTest(params=params):
                self.check_contributions(self.train(x, y, **params))
        self.check_contributions(self.train(x, y > 0, "Logloss"))
        self.check_contributions(self.train(x, np.digitize(y, [-4, 0, 4]), "MultiClass"))
        booster = self.train(x, y, rounds=10)
        booster.set_scale_and_bias(0.3, 0.7)
        self.check_contributions(booster, own=False)  # CatBoost refuses
        for policy in ("Depthwise", "Lossguide"):  # CatBoost's do not add up to its own prediction
            self.check_contributions(self.train(x, y, grow_policy=policy), own=False)

    def test_what_is_refused(self):
        x, y = self.data(missing=False)

        def refusal(booster):
            self.save(booster)
            return self.refused("model", "import", self.path("m.json"), "-o", self.path("m.wbm"))

        frame = pd.DataFrame(x, columns=list("abcde")).assign(kind=np.where(y > 0, "hot", "cold"))
        self.assertIn("the feature 'kind' is categorical",
                      refusal(self.train(catboost.Pool(frame, y, cat_features=["kind"]), None, rounds=3)))
        self.assertIn("RMSEWithUncertainty", refusal(self.train(x, y, "RMSEWithUncertainty", 3)))
        self.assertIn("depth 16", refusal(self.train(x, y, rounds=1, depth=16)))
        booster = catboost.CatBoostClassifier(**QUIET, iterations=3).fit(x, y > 0)
        booster.set_probability_threshold(0.3)
        self.assertIn("probability threshold", refusal(booster))
        booster.save_model(self.path("m.cbm"))
        self.assertIn("format='json'", self.refused("model", "import", self.path("m.cbm"), "-o", self.path("m.wbm")))


if __name__ == "__main__":
    interop.main()
