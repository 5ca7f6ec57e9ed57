// CatBoost's JSON.
#include "fuzz/import_model.h"
#include "import/test_onnx.h"

using namespace wb;

WB_FUZZ_TARGET(import_catboost) { fuzz::take_model(bytes, imports::Format::kCatboostJson); }

WB_FUZZ_SEEDS(import_catboost) {
  put(imports::testing::catboost_json());
  put(imports::testing::catboost_free_json());
}
