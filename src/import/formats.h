#pragma once
// The readers of each format, one file each. import.cpp recognises the format, checks what they give, and holds the
// table of them.

#include "import/import.h"
#include "import/json.h"

namespace wb::imports {

Result<engine::PlainModel> read_xgboost_json(std::string_view bytes, const Options& options);
Result<engine::PlainModel> read_xgboost_ubjson(std::string_view bytes, const Options& options);
Result<engine::PlainModel> read_lightgbm(std::string_view bytes, const Options& options);
Result<engine::PlainModel> read_catboost(std::string_view bytes, const Options& options);
Result<engine::PlainModel> read_onnx(std::string_view bytes, const Options& options);

}  // namespace wb::imports
