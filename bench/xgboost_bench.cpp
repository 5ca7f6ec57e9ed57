// One row at a time, side by side: our engine and XGBoost's own C API on the same trained model (Shuttle, 50 rounds × 7
// classes). Every margin is compared bit for bit first; a difference ends the bench. usage: wb_xgboost_bench
// SHUTTLE.csv XGBoost is asked in its fastest form for single rows: in place from a dense array, margins only, one
// thread.
#include <xgboost/c_api.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "apps/waybill/booster.h"
#include "bench/processes.h"

namespace {

using namespace wb;
using namespace wb::bench;

constexpr size_t kFeatures = 9;
constexpr int kRounds = 50;
constexpr size_t kAsked = 20'000;

void must(int code) {
  if (code != 0) give_up(std::string("xgboost: ") + XGBGetLastError());
}

struct Data {
  std::vector<float> rows, labels;
  size_t classes = 0;
};

Data read_csv(const std::string& path) {
  Data out;
  std::map<std::string, float> labels;
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  while (std::getline(in, line)) {
    const char* at = line.c_str();
    for (size_t i = 0; i < kFeatures; ++i) {
      char* end = nullptr;
      out.rows.push_back(std::strtof(at, &end));
      at = end + 1;
    }
    out.labels.push_back(labels.emplace(at, static_cast<float>(labels.size())).first->second);
  }
  out.classes = labels.size();
  if (out.labels.size() < kAsked) give_up(path + " is not Shuttle: run script/data");
  return out;
}

// The same training again, because Booster gives its handle to nobody; the margins below prove that it is the same
// model.
class Rival {
 public:
  explicit Rival(const Data& data) {
    must(XGDMatrixCreateFromMat(data.rows.data(), data.labels.size(), kFeatures, NAN, &matrix_));
    must(XGDMatrixSetFloatInfo(matrix_, "label", data.labels.data(), data.labels.size()));
    must(XGBoosterCreate(&matrix_, 1, &booster_));
    const std::string classes = std::to_string(data.classes);
    const std::pair<const char*, const char*> parameters[] = {{"objective", "multi:softprob"},
                                                              {"tree_method", "hist"},
                                                              {"base_score", "0.5"},
                                                              {"max_depth", "6"},
                                                              {"eta", "0.3"},
                                                              {"seed", "1"},
                                                              {"nthread", "1"},
                                                              {"verbosity", "0"},
                                                              {"num_class", classes.c_str()}};
    for (const auto& [name, value] : parameters) must(XGBoosterSetParam(booster_, name, value));
    for (int round = 0; round < kRounds; ++round) must(XGBoosterUpdateOneIter(booster_, round, matrix_));
  }
  Rival(const Rival&) = delete;
  Rival& operator=(const Rival&) = delete;
  ~Rival() {
    XGBoosterFree(booster_);
    XGDMatrixFree(matrix_);
  }
  const float* margins(const float* row) const {
    char array[160];
    std::snprintf(array, sizeof array, R"({"data":[%zu,true],"shape":[1,%zu],"typestr":"<f4","version":3})",
                  reinterpret_cast<size_t>(row), kFeatures);
    constexpr const char* kConfig =
        R"({"type":1,"training":false,"iteration_begin":0,"iteration_end":0,"strict_shape":false,"missing":NaN,"cache_id":0})";
    const bst_ulong* shape = nullptr;
    bst_ulong dimensions = 0;
    const float* out = nullptr;
    must(XGBoosterPredictFromDense(booster_, array, kConfig, nullptr, &shape, &dimensions, &out));
    return out;
  }

 private:
  DMatrixHandle matrix_ = nullptr;
  BoosterHandle booster_ = nullptr;
};

engine::Model our_model(const Data& data) {
  cli::TrainOptions options;
  options.classes = data.classes;
  options.trees = kRounds;
  const cli::TrainData train{data.rows, kFeatures, data.labels, {}};
  const auto booster = cli::Booster::train(train, options, {});
  if (!booster.ok()) give_up(booster.error().text);
  auto plain = booster->trees();
  if (!plain.ok()) give_up(plain.error().text);
  for (size_t i = 0; i < kFeatures; ++i) plain->features.push_back("V" + std::to_string(i + 1));
  for (size_t i = 0; i < data.classes; ++i) plain->labels.push_back("c" + std::to_string(i));
  plain->reference_scores.label_counts.resize(data.classes);
  const auto bytes = engine::pack(*plain);
  if (!bytes.ok()) give_up(bytes.error().text);
  auto model = engine::Model::load(*bytes);
  if (!model.ok()) give_up(model.error().text);
  return std::move(model).value();
}

template <class Ask>
double us_a_row(const Ask& ask) {
  std::vector<double> laps;
  for (int lap = 0; lap < 5; ++lap) {
    const double start = own_cpu_s();
    for (size_t i = 0; i < kAsked; ++i) ask(i);
    laps.push_back((own_cpu_s() - start) / kAsked * 1e6);
  }
  std::sort(laps.begin(), laps.end());
  return laps[laps.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) give_up("usage: wb_xgboost_bench SHUTTLE.csv");
  const Data data = read_csv(argv[1]);
  const engine::Model model = our_model(data);
  const Rival rival(data);
  std::vector<float> margins(data.classes);
  const auto row = [&](size_t i) { return data.rows.data() + i * kFeatures; };
  for (size_t i = 0; i < kAsked; ++i) {
    model.predict_margins({row(i), kFeatures}, 1, margins);
    if (std::memcmp(rival.margins(row(i)), margins.data(), sizeof(float) * data.classes) != 0)
      give_up("row " + std::to_string(i) + ": the margins differ from XGBoost's");
  }
  const double ours = us_a_row([&](size_t i) { model.predict_margins({row(i), kFeatures}, 1, margins); });
  const double theirs = us_a_row([&](size_t i) { (void)rival.margins(row(i)); });
  figure("engine.us_single_row", ours);
  figure("xgboost.us_single_row", theirs);
  figure("engine.times_faster", theirs / ours);
  return 0;
}
