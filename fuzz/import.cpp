// Model files of other libraries. Whatever the bytes say: what is taken packs and loads, what is refused says why.
#include "import/import.h"

#include "fuzz/fuzz.h"
#include "import/test_files.h"

using namespace wb;

WB_FUZZ_TARGET(import) {
  imports::Options options;
  options.covers = bytes.size() % 2 == 0;
  const auto model = imports::import_model(bytes, options);
  if (!model.ok()) {
    WB_HOLDS(!model.error().text.empty(), "an error that says nothing");
    return;
  }
  const auto package = engine::pack(*model);
  WB_HOLDS(package.ok() || package.error().text.find("more than") != std::string::npos, package.error().text);
  if (package.ok()) WB_HOLDS(engine::Model::load(*package).ok(), "packed, and does not load");
}

WB_FUZZ_SEEDS(import) {
  put(imports::testing::xgboost_json());
  put(imports::testing::xgboost_ubjson());
  put(imports::testing::lightgbm_text());
  put(imports::testing::xgboost_linear_json());
  put(imports::testing::lightgbm_linear_text());
  put(imports::testing::with(imports::testing::lightgbm_text(), "pandas_categorical:null",
                             "pandas_categorical:[[70, 80]]"));
}
