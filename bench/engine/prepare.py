"""Trains the models of script/bench engine with the real libraries on real data, and brings each into the form of every
peer: saved files, ONNX, compiled C and C++, our package. Writes DIR/plan.json for wb_engine_peers, which measures.

usage: prepare.py DIR --waybill PROGRAM [--smoke]     --smoke: two tiny models of made-up data, nothing compiled

What a peer needs and this machine does not have becomes a line "absent" with its reason. Nothing here is timed, except how long
the compilers take.
"""
import argparse
import concurrent.futures
import csv
import functools
import gzip
import hashlib
import importlib
import importlib.metadata
import json
import os
import pickle
import re
import subprocess
import sys
import tempfile
import time

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DATA = os.path.join(ROOT, "build/data")
COMPILE = ["-O3", "-march=native", "-fPIC"]


class Absent(Exception):
    """A peer that cannot take this model, or is not here: the reason."""


def library(name):
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise Absent(f"not available here: {error}") from error


def run(command, **more):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **{"input": "", **more})
    if done.returncode != 0:
        raise Absent(f"failed: {' '.join(map(str, command[:4]))} …: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout


def table(name, target):
    """f32[rows, features], names of the classes as text."""
    with open(os.path.join(DATA, name + ".csv"), encoding="ascii") as file:
        head, *lines = csv.reader(file)
    at = head.index(target)
    rows = np.asarray([[float(x) for i, x in enumerate(line) if i != at] for line in lines], np.float32)
    return rows, np.asarray([line[at] for line in lines])


def letters():
    """16 measures of a printed letter; whether it stands in the first half of the alphabet."""
    rows, names = table("letter", "lettr")
    return rows, (names > "M").astype(np.int64), 10_000


def fashion():
    """28 × 28 pixels as the means of 7 × 7 squares: 49 measures; whether the garment is of the classes 5 to 9."""
    rows, names = [], []
    for part in ("train", "t10k"):
        with gzip.open(os.path.join(DATA, f"fashion-mnist/{part}-images-idx3-ubyte.gz")) as file:
            pixels = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 7, 4, 7, 4)
        with gzip.open(os.path.join(DATA, f"fashion-mnist/{part}-labels-idx1-ubyte.gz")) as file:
            labels = np.frombuffer(file.read(), np.uint8, offset=8)
        count = 20_000 if part == "train" else 10_000
        rows.append(pixels[:count].mean(axis=(2, 4), dtype=np.float64).reshape(count, 49))
        names.append(labels[:count])
    return np.concatenate(rows).astype(np.float32), (np.concatenate(names) >= 5).astype(np.int64), 20_000


def shuttle():
    rows, names = table("shuttle", "class")
    return rows, np.unique(names, return_inverse=True)[1], 29_000


def satellite():
    rows, names = table("satellite", "classes")
    return rows, np.unique(names, return_inverse=True)[1], 4_435


def made_up():
    rng = np.random.default_rng(3)
    rows = np.round(rng.normal(size=(1_500, 6)), 2).astype(np.float32)
    return rows, (rows[:, 0] + rows[:, 1] * rows[:, 2] > 0.3).astype(np.int64), 400


# name, title, trainer, trees, depth, data
FULL = [
    ("tree", "scikit-learn, one tree × depth 5, 36 features, 6 classes (Satellite)", "tree", 1, 5, satellite),
    ("xgboost-100", "XGBoost, 100 trees × depth 6, 16 features (LetterRecognition)", "xgboost", 100, 6, letters),
    ("lightgbm-100", "LightGBM, 100 trees × depth 6, 16 features (LetterRecognition)", "lightgbm", 100, 6, letters),
    ("catboost-100", "CatBoost, 100 trees × depth 6, 16 features (LetterRecognition)", "catboost", 100, 6, letters),
    ("forest-100", "scikit-learn, forest of 100 trees × depth 6, 16 features (LetterRecognition)", "forest", 100, 6, letters),
    ("xgboost-350", "XGBoost, 50 rounds × 7 classes × depth 6, 9 features (Shuttle)", "xgboost", 50, 6, shuttle),
    ("xgboost-500", "XGBoost, 500 trees × depth 8, 49 features (Fashion-MNIST)", "xgboost", 500, 8, fashion),
    ("lightgbm-500", "LightGBM, 500 trees × depth 8, 49 features (Fashion-MNIST)", "lightgbm", 500, 8, fashion),
    ("catboost-500", "CatBoost, 500 trees × depth 8, 49 features (Fashion-MNIST)", "catboost", 500, 8, fashion),
]
SMOKE = [(f"{trainer}-smoke", f"{trainer}, tiny", trainer, 5, 3, made_up)
         for trainer in ("xgboost", "lightgbm", "catboost", "forest")]


def train(trainer, trees, depth, x, y):
    classes = int(y.max()) + 1
    if trainer == "xgboost":
        return library("xgboost").XGBClassifier(n_estimators=trees, max_depth=depth, tree_method="hist", learning_rate=0.1,
                                                n_jobs=2, random_state=1).fit(x, y)
    if trainer == "lightgbm":
        return library("lightgbm").LGBMClassifier(n_estimators=trees, max_depth=depth, num_leaves=63, n_jobs=2,
                                                  random_state=1, verbose=-1).fit(x, y)
    if trainer == "catboost":
        return library("catboost").CatBoostClassifier(iterations=trees, depth=depth, thread_count=2, random_seed=1, verbose=0,
                                                      allow_writing_files=False).fit(x, y)
    library("sklearn")
    if trainer == "tree":
        return importlib.import_module("sklearn.tree").DecisionTreeClassifier(max_depth=depth, random_state=1).fit(x, y)
    forest = importlib.import_module("sklearn.ensemble").RandomForestClassifier(trees, max_depth=depth, n_jobs=2, random_state=1)
    assert classes >= 2
    forest.fit(x, y).n_jobs = 1
    return forest


class Maker:
    """One model, brought to each peer. A method writes files beside `base` and gives the peer's line in the plan."""

    def __init__(self, folder, name, trainer, model, features):
        self.base, self.trainer, self.model, self.features = os.path.join(folder, name), trainer, model, features
        self.trees = 1 if trainer == "tree" else len(getattr(model, "estimators_", ()))
        self.kept = os.path.join(os.path.dirname(os.path.abspath(folder)), "compiled")
        os.makedirs(self.kept, exist_ok=True)

    def save(self):
        """The trainer's own file, as text where it has such a form; what the package is imported from."""
        self.text = self.base + (".txt" if self.trainer == "lightgbm" else ".json")
        if self.trainer == "xgboost":
            self.model.save_model(self.text)
            self.model.save_model(self.base + ".ubj")
            self.trees = len(self.model.get_booster().get_dump())
        elif self.trainer == "lightgbm":
            self.model.booster_.save_model(self.text)
            self.trees = self.model.booster_.num_trees()
        elif self.trainer == "catboost":
            self.model.save_model(self.text, format="json")
            self.model.save_model(self.base + ".cbm")
        else:
            with open(self.base + ".pickle", "wb") as file:
                pickle.dump(self.model, file)
            self.onnx()
            self.text = self.base + ".onnx"
        return self.text

    def version(self, name):
        return importlib.import_module(name).__version__

    def xgboost(self):
        xgboost = library("xgboost")
        return {"kind": "xgboost", "file": self.text, "version": xgboost.__version__, "shipped": self.base + ".ubj",
                "library": os.path.join(os.path.dirname(xgboost.__file__), "lib/libxgboost.so")}

    def lightgbm(self):
        lightgbm = library("lightgbm")
        return {"kind": "lightgbm", "file": self.text, "version": lightgbm.__version__,
                "library": os.path.join(os.path.dirname(lightgbm.__file__), "lib/lib_lightgbm.so")}

    def python(self):
        kind, ending = ("catboost", ".cbm") if self.trainer == "catboost" else ("sklearn", ".pickle")
        return {"kind": "python", "file": self.base + ending, "version": self.version(kind), "program": sys.executable,
                "script": os.path.join(os.path.dirname(os.path.abspath(__file__)), "python_peer.py")}

    def onnx_model(self):
        if self.trainer == "catboost":
            self.model.save_model(self.base + ".whole.onnx", format="onnx")
            return library("onnx").load(self.base + ".whole.onnx")
        if self.trainer in ("tree", "forest"):
            options = {id(self.model): {"zipmap": False}}
            return library("skl2onnx").to_onnx(self.model, np.zeros((1, self.features), np.float32), options=options)
        floats = library("onnxmltools.convert.common.data_types").FloatTensorType([None, self.features])
        convert = getattr(library("onnxmltools"), "convert_" + self.trainer)
        return convert(self.model, initial_types=[("x", floats)], target_opset=15)

    def onnx(self):
        """The graph up to its trees, which answer with margins."""
        onnx, runtime = library("onnx"), library("onnxruntime")
        model = self.onnx_model()
        graph = model.graph
        node = next(node for node in graph.node if node.op_type.startswith("TreeEnsemble"))
        for attribute in node.attribute:
            if attribute.name == "post_transform":
                attribute.s = b"NONE"
        kept = list(graph.node)[:list(graph.node).index(node) + 1]
        del graph.node[:], graph.output[:]
        graph.node.extend(kept)
        graph.output.extend([onnx.helper.make_tensor_value_info(name, 7 if name != node.output[-1] else 1, None)
                             for name in node.output])
        onnx.save(model, self.base + ".onnx")
        found = [name for name in os.listdir(os.path.join(os.path.dirname(runtime.__file__), "capi"))
                 if re.fullmatch(r"libonnxruntime\.so(\.[\d.]+)?", name)]
        if not found:
            raise Absent("not available here: the wheel holds no libonnxruntime.so")
        session = runtime.InferenceSession(self.base + ".onnx", providers=["CPUExecutionProvider"])
        width = session.run([node.output[-1]], {graph.input[0].name: np.zeros((2, self.features), np.float32)})[0].size // 2
        return {"kind": "onnx", "file": self.base + ".onnx", "version": runtime.__version__, "input": graph.input[0].name,
                "output": node.output[-1], "width": width,
                "library": os.path.join(os.path.dirname(runtime.__file__), "capi", found[0])}

    def compiled(self, kind, version, build):
        """What a compiler makes of this model takes minutes, so it is kept by what went into it. `build` writes the shared object
        and gives what the plan must say of it."""
        with open(self.text, "rb") as file, open("/proc/cpuinfo", encoding="ascii") as processor:
            named = re.search("model name.*", processor.read())
            digest = hashlib.sha256(f"{kind} {version} {named and named.group()}".encode() + file.read()).hexdigest()[:32]
        kept = os.path.join(self.kept, f"{kind}-{digest}")
        if not os.path.exists(kept + ".json"):
            began = time.monotonic()
            facts = build(kept + ".so")
            run(["strip", kept + ".so"])
            with open(kept + ".json", "w", encoding="utf-8") as file:
                json.dump({**facts, "compiled_s": time.monotonic() - began}, file)
        with open(kept + ".json", encoding="utf-8") as file:
            return {"kind": kind, "file": kept + ".so", "version": version, **json.load(file)}

    def tl2cgen(self):
        treelite, tl2cgen = library("treelite"), library("tl2cgen")
        if self.trainer == "catboost":
            raise Absent("Treelite reads no CatBoost models")

        def build(out):
            if self.trainer == "xgboost":
                model = treelite.frontend.load_xgboost_model(self.text)
            elif self.trainer == "lightgbm":
                model = treelite.frontend.load_lightgbm_model(self.text)
            else:
                model = treelite.sklearn.import_model(self.model)
            with tempfile.TemporaryDirectory() as folder:
                tl2cgen.generate_c_code(model, folder, {"parallel_comp": self.trees // 5})
                with open(os.path.join(folder, "header.h"), encoding="utf-8") as file:
                    header = file.read()
                sources = [os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".c")]
                one = "exec gcc " + " ".join(COMPILE) + ' -std=c99 -c "$0" -o "$0.o"'
                run(["xargs", "-0", "-n1", "sh", "-c", one], input="\0".join(sources))
                run(["gcc", "-shared", "-o", out, *[source + ".o" for source in sources]])
            result = re.search(r"void predict\(union Entry ?\* ?data, int pred_margin, (float|double) ?\* ?result", header).group(1)
            return {"entry_f64": "double fvalue" in header, "result_f64": result == "double", "width": self.width()}

        return self.compiled("tl2cgen", f"{tl2cgen.__version__} (Treelite {treelite.__version__})", build)

    def lleaves(self):
        lleaves = library("lleaves")

        def build(out):
            cache = out + ".o"
            if os.path.exists(cache):
                os.remove(cache)
            # As its documentation advises: no blocks of trees for single rows, and the small code model where it fits.
            blocks = {"fblocksize": self.trees} if self.trees <= 100 else {}
            lleaves.Model(model_file=self.text).compile(cache=cache, raw_score=True, fcodemodel="small", **blocks)
            run(["gcc", "-shared", "-o", out, cache])
            return {}

        return self.compiled("lleaves", importlib.metadata.version("lleaves"), build)

    def catboost(self):
        def build(out):
            with tempfile.TemporaryDirectory() as folder:
                source = os.path.join(folder, "model.cpp")
                self.model.save_model(source, format="cpp")
                with open(source, "a", encoding="utf-8") as file:
                    file.write('\nextern "C" double bench_apply(const float* row, unsigned long count) {\n'
                               "  static std::vector<float> features;\n  features.assign(row, row + count);\n"
                               "  return ApplyCatboostModel(features);\n}\n")
                run(["g++", *COMPILE, "-shared", "-std=c++17", "-w", source, "-o", out])
            return {}

        return self.compiled("catboost", self.version("catboost"), build)

    def width(self):
        return len(self.model.classes_) if self.trainer in ("tree", "forest") or len(self.model.classes_) > 2 else 1


TITLES = {"xgboost": "XGBoost (C API)", "lightgbm": "LightGBM (C API)", "onnx": "ONNX Runtime (C API)",
          "tl2cgen": "Treelite + TL2cgen (compiled C)", "lleaves": "lleaves (compiled)", "catboost": "CatBoost (exported C++, compiled)",
          "python": "scikit-learn (Python)"}
TRAINED_WITH = {"tree": ("sklearn", "skl2onnx"), "forest": ("sklearn", "skl2onnx")}  # others: the library of that name
COMPILED = ("tl2cgen", "lleaves", "catboost")
# The first is who trained it.
PEERS = {"xgboost": ("xgboost", "onnx", "tl2cgen"), "lightgbm": ("lightgbm", "onnx", "tl2cgen", "lleaves"),
         "catboost": ("python", "catboost", "onnx", "tl2cgen"), "tree": ("python", "onnx", "tl2cgen"),
         "forest": ("python", "onnx", "tl2cgen")}


def attempt(step):
    """What it gives, or the reason why there is nothing."""
    try:
        return step()
    except Exception as error:  # noqa: BLE001: a library that refuses this model says so with types of its own
        return error if isinstance(error, Absent) else Absent(f"refused by the library: {type(error).__name__}: {error}")


def make(folder, waybill, entry, smoke, pool):
    """The model's part of the plan, and its peers to come: compilers go on while the next model is trained."""
    name, title, trainer, trees, depth, data = entry
    print(f"prepare: {title}", file=sys.stderr, flush=True)
    x, y, train_rows = data()
    # What is asked was not trained on; a call of 8,192 rows may meet a row twice where the data has fewer.
    model = train(trainer, trees, depth, x[:train_rows], y[:train_rows])
    rows = np.resize(x[train_rows:], (512 if smoke else 8_192, x.shape[1]))
    rows.tofile(os.path.join(folder, name + ".f32"))
    maker = Maker(folder, name, trainer, model, x.shape[1])
    out = {"name": name, "title": title, "trainer": trainer, "rows": os.path.join(folder, name + ".f32"), "rows_count": len(rows),
           "distinct_rows": len(np.unique(rows, axis=0)), "features": x.shape[1], "text": maker.save(),
           "accuracy": float((np.asarray(model.predict(x[train_rows:])).ravel() == y[train_rows:]).mean()), "peers": [], "absent": []}
    out["package"] = os.path.join(folder, name + ".wbm")
    run([waybill, "model", "import", maker.text, "-o", out["package"]])
    out["shape"] = json.loads(run([waybill, "model", "show", out["package"], "--output", "json"]))
    coming = []
    for peer in PEERS[trainer]:
        step = getattr(maker, peer)
        coming.append((peer, pool.submit(attempt, step).result if peer in COMPILED else functools.partial(attempt, step)))
    return out, coming


def collect(out, coming):
    for peer, finished in coming:
        shown = "CatBoost (Python)" if peer == "python" and out["trainer"] == "catboost" else TITLES[peer]
        line = finished()
        if isinstance(line, Absent):
            out["absent"].append({"title": shown, "why": str(line).splitlines()[0]})
            print(f"prepare: {out['name']}: {shown}: {line}", file=sys.stderr)
            continue
        line.update(title=shown, trainer=peer == PEERS[out["trainer"]][0], compiled=peer in COMPILED)
        line["bytes"] = os.path.getsize(line.get("shipped", line["file"]))
        out["peers"].append(line)
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--waybill", required=True)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--only", help="names of models, with commas between")
    told = parser.parse_args()
    os.makedirs(told.folder, exist_ok=True)
    entries = [entry for entry in (SMOKE if told.smoke else FULL) if not told.only or entry[0] in told.only.split(",")]
    missing = []
    for entry in list(entries):
        try:
            for name in TRAINED_WITH.get(entry[2], (entry[2],)):
                library(name)
        except Absent as absent:
            missing.append({"title": entry[1], "why": str(absent)})
            entries.remove(entry)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        # The largest first: who compiles those takes longest.
        begun = [make(told.folder, told.waybill, entry, told.smoke, pool) for entry in reversed(entries)]
        plan = {"smoke": told.smoke, "missing": missing, "models": [collect(*one) for one in reversed(begun)]}
    with open(os.path.join(told.folder, "plan.json"), "w", encoding="utf-8") as file:
        json.dump(plan, file, indent=1)


main()
