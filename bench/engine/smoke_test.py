"""script/bench engine on a tiny scale, with what the interop environment holds, so that its programs cannot rot: four libraries
train, everybody answers with the margins that we answer with, and a page comes out. No time is looked at.
"""
import json
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
BIN = os.environ["WAYBILL_BIN"]


class Smoke(unittest.TestCase):
    def run_program(self, *command):
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        self.assertEqual(done.returncode, 0, f"{command}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")

    def test_from_training_to_the_page(self):
        with tempfile.TemporaryDirectory(prefix="waybill-bench-") as folder:
            def path(name):
                return os.path.join(folder, "work", name)

            self.run_program(sys.executable, "-B", os.path.join(HERE, "prepare.py"), path(""), "--waybill",
                             os.path.join(BIN, "waybill"), "--smoke")
            self.run_program(os.path.join(BIN, "wb_engine_peers"), path("plan.json"), path("out.json"), "0")
            self.run_program(sys.executable, "-B", os.path.join(HERE, "page.py"), path("plan.json"), path("out.json"), "-",
                             path("engine.md"))
            with open(path("plan.json"), encoding="utf-8") as file:
                plan = json.load(file)["models"]
            with open(path("out.json"), encoding="utf-8") as file:
                out = json.load(file)["models"]
            self.assertEqual([[peer["kind"] for peer in model["peers"]] for model in plan],
                             [["xgboost", "onnx"], ["lightgbm", "onnx"], ["python", "catboost", "onnx"], ["python", "onnx"]])
            for model, result in zip(plan, out, strict=True):
                for peer, measured in zip(model["peers"], result["peers"], strict=True):
                    with self.subTest(model=model["name"], peer=peer["title"]):
                        for compared in measured["compared"].values():
                            self.assertGreaterEqual(compared["margins"], 512)
                            # Whose model it is answers with our bits; scikit-learn's came through ONNX, whose runtime does.
                            exact = peer["trainer"] if model["trainer"] != "forest" else peer["kind"] == "onnx"
                            self.assertLessEqual(compared["differ"], 0 if exact else compared["margins"])
                            self.assertLess(compared["largest"], 1)  # ONNX rounds LightGBM's thresholds
                        self.assertEqual(sorted(measured["pairs"]), ["1", "64"])
                        self.assertGreater(measured["rss_kib"], 0)
            with open(path("engine.md"), encoding="utf-8") as file:
                page = file.read()
            for said in ("## Targets", "| LightGBM (C API) | same bits |", "lleaves (compiled) | not available here: "):
                self.assertIn(said, page)
            for name in ("engine-one-row.svg", "engine-batch.svg"):
                self.assertGreater(os.path.getsize(path(name)), 1_000)


unittest.main()
