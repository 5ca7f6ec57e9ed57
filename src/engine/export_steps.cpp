// The steps in C, on cells: one loop over a table for each. A product that is added to is written through a volatile,
// so that no compiler fuses the two and rounds once where the library rounds twice.
#include <cmath>

#include "engine/export_text.h"

namespace wb::engine {
namespace {

std::string_view scale_text(Scale::Form form) {
  switch (form) {
    case Scale::Form::kShiftDivide: return "cells[cell] = (cells[cell] - scale_a_$I[i]) / scale_b_$I[i];";
    case Scale::Form::kShiftMultiply: {
      return "const volatile $REAL product = (cells[cell] - scale_a_$I[i]) * scale_b_$I[i];\n"
             "    cells[cell] = product;";
    }
    case Scale::Form::kMultiplyShift: {
      return "const volatile $REAL product = cells[cell] * scale_a_$I[i];\n"
             "    cells[cell] = product + scale_b_$I[i];";
    }
  }
  return "";
}

// Tables first, at the head of the file; then what the function says.
void write_step_tables(const CellStep& step, const std::string& number, bool wide, CText& out) {
  switch (step.kind) {
    case CellStep::Kind::kCopy: return;
    case CellStep::Kind::kScale:
      out.table("scale_cells_" + number, step.cells);
      out.numbers("scale_a_" + number, step.a, wide);
      out.numbers("scale_b_" + number, step.b, wide);
      return;
    case CellStep::Kind::kImpute:
      out.table("impute_cells_" + number, step.cells);
      out.numbers("impute_values_" + number, step.a, wide);
      return;
    case CellStep::Kind::kOrdinal:
    case CellStep::Kind::kOneHot: out.numbers("known_values_" + number, step.a, wide); return;
  }
}

void write_step(const CellStep& step, const std::string& number, bool wide, CText& out) {
  Words words = {{"I", number}, {"REAL", wide ? "double" : "float"}};
  words.emplace_back("COUNT", std::to_string(step.kind == CellStep::Kind::kScale ? step.cells.size() : step.a.size()));
  words.emplace_back("FROM", std::to_string(step.cells[0]));
  words.emplace_back("TO", std::to_string(step.cells.size() > 1 ? step.cells[1] : 0));
  switch (step.kind) {
    case CellStep::Kind::kCopy: out.add("  cells[$TO] = cells[$FROM];\n", words); return;
    case CellStep::Kind::kScale:
      out.add("  for (unsigned i = 0U; i < $COUNTU; ++i) {\n    const unsigned cell = scale_cells_$I[i];\n    ", words);
      out.add(scale_text(step.form), words);
      out.add("\n  }\n");
      return;
    case CellStep::Kind::kImpute:
      out.add(R"(  for (unsigned i = 0U; i < $COUNTU; ++i) {
    const unsigned cell = impute_cells_$I[i];
    if (cells[cell] != cells[cell]) cells[cell] = impute_values_$I[i];
  }
)",
              words);
      return;
    case CellStep::Kind::kOrdinal: {
      const bool stays_nan = std::isnan(step.b[0]);  // the only way to NaN that needs no library
      words.emplace_back("UNKNOWN", stays_nan ? "not_a_number()" : literal(step.b[0], wide));
      out.add(R"(  if (cells[$FROM] == cells[$FROM]) {
    unsigned i = 0U;
    while (i < $COUNTU && cells[$FROM] != known_values_$I[i]) ++i;
    cells[$FROM] = i < $COUNTU ? ($REAL)i : $UNKNOWN;
  }
)",
              words);
      return;
    }
    case CellStep::Kind::kOneHot:
      out.add(R"(  for (unsigned i = 0U; i < $COUNTU; ++i)
    cells[$TOU + i] = cells[$FROM] == known_values_$I[i] ? ($REAL)1 : ($REAL)0;
)",
              words);
      return;
  }
}

}  // namespace

PartSizes write_steps(const Description& model, const Layout& layout, bool f64_rows, CText& out) {
  if (model.steps.empty()) return {};
  const std::string real = layout.wide_cells ? "double" : "float";
  const Words common = {
      {"ROW", f64_rows ? "double" : "float"}, {"REAL", real}, {"FEATURES", std::to_string(model.features.size())}};
  bool makes_nan = false;
  for (size_t i = 0; i < layout.steps.size(); ++i) {
    const CellStep& step = layout.steps[i];
    write_step_tables(step, std::to_string(i), layout.wide_cells, out);
    makes_nan = makes_nan || (step.kind == CellStep::Kind::kOrdinal && std::isnan(step.b[0]));
  }
  if (makes_nan) {
    out.add(R"(
$STATIC float not_a_number(void)
{
  const uint32_t bits = 0x7FC00000U;
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}
)");
  }
  out.add(R"(
/* What stands before the trees: a row becomes cells. */
$STATIC void prepare(const $ROW *row, $REAL *cells)
{
  for (unsigned i = 0U; i < $FEATURESU; ++i) cells[i] = ($REAL)row[i];
)",
          common);
  for (size_t i = 0; i < layout.steps.size(); ++i)
    write_step(layout.steps[i], std::to_string(i), layout.wide_cells, out);
  out.add("}\n");
  PartSizes sizes{48 + layout.steps.size() * 96, layout.cells_count * (layout.wide_cells ? 8 : 4) + 40, 0};
  sizes.library = layout.wide_cells ? kF64Add | kF64Times | kF64Compare : kF32Add | kF32Times | kF32Compare;
  if (f64_rows && !layout.wide_cells) sizes.library |= kF64Narrows;
  return sizes;
}

}  // namespace wb::engine
