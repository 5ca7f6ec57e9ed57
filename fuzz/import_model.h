#pragma once
// What the targets of single formats share: what is taken packs and loads, and the fast predictor gives the bits of the
// slow one.

#include <bit>
#include <cmath>

#include "engine/reference.h"
#include "fuzz/fuzz.h"
#include "import/import.h"

namespace wb::fuzz {

inline bool same_bits(double a, double b) {
  return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b) || (std::isnan(a) && std::isnan(b));
}

inline void take_model(std::string_view bytes, imports::Format format) {
  imports::Options options;
  options.format = format;
  options.covers = format != imports::Format::kOnnx && bytes.size() % 2 == 0;  // ONNX has none
  const auto model = imports::import_model(bytes, options);
  if (!model.ok()) {
    WB_HOLDS(!model.error().text.empty(), "an error that says nothing");
    return;
  }
  const auto package = engine::pack(*model);
  WB_HOLDS(package.ok() || package.error().text.find("more than") != std::string::npos ||
               package.error().code == Code::kFull,
           package.error().text);
  if (!package.ok()) return;
  const auto loaded = engine::Model::load(*package);
  WB_HOLDS(loaded.ok(), "packed, and does not load");
  for (const double value : {0.0, -1.5, 1e30, std::nan("")}) {
    const std::vector<double> row(model->features.size(), value);
    std::vector<double> margins(loaded->outputs_count());
    loaded->predict_margins(row, 1, margins);
    const auto slow = engine::reference_margins(*model, std::span<const double>(row));
    for (size_t i = 0; i < slow.size(); ++i) WB_HOLDS(same_bits(slow[i], margins[i]), "fast and reference differ");
  }
}

}  // namespace wb::fuzz
