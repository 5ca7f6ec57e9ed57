// The model comes out of XGBoost as UBJSON, where floats are binary, and is read as any model from elsewhere is.
#include "apps/waybill/booster.h"

#include <xgboost/c_api.h>

#include <limits>

#include "base/bytes.h"
#include "import/import.h"

namespace wb::cli {
namespace {

Error xgboost_error(std::string_view what) {
  std::string text = XGBGetLastError();
  text.resize(std::min(text.find('\n'), text.size()));  // the rest is a stack trace
  return fail(Code::kInternal, "xgboost: ", what, ": ", text);
}

// DMatrix and Booster handles are void* both; this keeps them apart and frees them.
struct Matrix {
  DMatrixHandle handle = nullptr;
  ~Matrix() {
    if (handle != nullptr) XGDMatrixFree(handle);
  }
};

Status make_matrix(std::span<const float> rows, size_t n, size_t features, Matrix& matrix) {
  const float missing = std::numeric_limits<float>::quiet_NaN();
  if (XGDMatrixCreateFromMat(rows.data(), n, features, missing, &matrix.handle) != 0)
    return xgboost_error("read the rows");
  return ok_status();
}

std::string_view objective_parameter(engine::Objective objective) {
  switch (objective) {
    case engine::Objective::kSoftprob: return "multi:softprob";
    case engine::Objective::kLogistic: return "binary:logistic";
    default: return "reg:squarederror";
  }
}

}  // namespace

struct Booster::Handle {
  BoosterHandle booster = nullptr;
  size_t features = 0;
  size_t outputs = 1;
  engine::Objective objective = engine::Objective::kSoftprob;
  ~Handle() {
    if (booster != nullptr) XGBoosterFree(booster);
  }
};

Booster::Booster(std::unique_ptr<Handle> handle) : handle_(std::move(handle)) {}
Booster::Booster(Booster&&) noexcept = default;
Booster& Booster::operator=(Booster&&) noexcept = default;
Booster::~Booster() = default;

Result<Booster> Booster::train(const TrainData& data, const TrainOptions& options,
                               const std::function<void(int, int)>& progress) {
  const size_t n = data.labels.size();
  WB_ASSERT(data.rows.size() == n * data.features);
  Matrix matrix;
  WB_CHECK(make_matrix(data.rows, n, data.features, matrix));
  if (XGDMatrixSetFloatInfo(matrix.handle, "label", data.labels.data(), n) != 0) return xgboost_error("set labels");
  if (!data.weights.empty() && XGDMatrixSetFloatInfo(matrix.handle, "weight", data.weights.data(), n) != 0) {
    return xgboost_error("set weights");
  }
  auto handle = std::make_unique<Handle>();
  handle->features = data.features;
  handle->objective = options.objective;
  if (XGBoosterCreate(&matrix.handle, 1, &handle->booster) != 0) return xgboost_error("create a booster");
  std::vector<std::pair<std::string, std::string>> parameters = {
      {"objective", std::string(objective_parameter(options.objective))},
      {"tree_method", "hist"},
      {"base_score", shortest(options.base_score)},
      {"max_depth", std::to_string(options.depth)},
      {"eta", shortest(options.learning_rate)},
      {"seed", std::to_string(options.seed)},
      {"nthread", std::to_string(options.threads)},
      {"verbosity", "0"}};
  if (options.objective == engine::Objective::kSoftprob) {
    handle->outputs = options.classes;
    parameters.emplace_back("num_class", std::to_string(options.classes));
  }
  for (const auto& [name, value] : parameters) {
    if (XGBoosterSetParam(handle->booster, name.c_str(), value.c_str()) != 0) return xgboost_error("set " + name);
  }
  for (int round = 0; round < options.trees; ++round) {
    if (XGBoosterUpdateOneIter(handle->booster, round, matrix.handle) != 0) return xgboost_error("train");
    if (progress) progress(round + 1, options.trees);
  }
  return Booster(std::move(handle));
}

Result<std::vector<float>> Booster::margins(std::span<const float> rows, size_t n) const {
  Matrix matrix;
  WB_CHECK(make_matrix(rows, n, handle_->features, matrix));
  bst_ulong length = 0;
  const float* values = nullptr;
  constexpr int kOutputMargin = 1;
  if (XGBoosterPredict(handle_->booster, matrix.handle, kOutputMargin, 0, 0, &length, &values) != 0)
    return xgboost_error("predict");
  if (length != n * handle_->outputs)
    return fail(Code::kInternal, "xgboost: predict gave an unexpected number of margins");
  return std::vector<float>(values, values + length);
}

Result<engine::PlainModel> Booster::trees() const {
  bst_ulong length = 0;
  const char* bytes = nullptr;
  if (XGBoosterSaveModelToBuffer(handle_->booster, R"({"format":"ubj"})", &length, &bytes) != 0)
    return xgboost_error("save");
  imports::Options options;
  options.format = imports::Format::kXgboostUbjson;
  options.best_only = false;  // margins() counts every tree
  options.covers = true;
  return imports::import_model(std::string_view(bytes, length), options);
}

std::string Booster::version() {
  int major = 0;
  int minor = 0;
  int patch = 0;
  XGBoostVersion(&major, &minor, &patch);
  return "xgboost " + std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
}

}  // namespace wb::cli
