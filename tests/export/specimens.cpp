// Models as C, each with rows and what the engine's slow twin answers to them, bit for bit: written into a folder that
// the test compiles and runs. usage: wb_export_specimens FOLDER
#include <cstdio>
#include <fstream>

#include "base/checksum.h"
#include "engine/export_c.h"
#include "engine/reference.h"
#include "engine/test_models.h"

namespace {

using namespace wb;
using engine::PlainModel;

[[noreturn]] void give_up(const std::string& what) {
  std::fprintf(stderr, "wb_export_specimens: %s\n", what.c_str());
  std::exit(1);
}

void write(const std::string& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
  if (!out.flush()) give_up("cannot write " + path);
}

// Numbers as their bits: nothing is rounded on the way.
struct BitTable {
  bool wide = false;
  std::string text;
  void add(double value) {
    text += wide ? std::to_string(std::bit_cast<uint64_t>(value)) + "ULL,"
                 : std::to_string(std::bit_cast<uint32_t>(static_cast<float>(value))) + "U,";
    text += text.size() - text.rfind('\n') > 100 ? "\n" : " ";
  }
  std::string table(const std::string& name) const {
    return "static const " + std::string(wide ? "uint64_t " : "uint32_t ") + name + "[] = {\n" + text + "\n};\n";
  }
};

struct Specimen {
  std::string name;
  PlainModel model;
  bool f64_rows = false;
  bool cpp_header = false;
  size_t rows_count = 60;
};

uint32_t label_of(const PlainModel& model, std::span<const double> margins, std::span<const double> answers) {
  const bool by_answers = model.outputs_count() == 1 || model.calibration;
  const std::span<const double> values = by_answers ? answers : margins;
  size_t best = 0;
  for (size_t i = 1; i < values.size(); ++i) {
    if (values[i] > values[best]) best = i;
  }
  return static_cast<uint32_t>(best);
}

// What the engine said, against what the C says; which bits a NaN has depends on the processor.
std::string check_text(const Specimen& specimen, const std::string& file, bool has_answers) {
  const PlainModel& model = specimen.model;
  const std::string row = specimen.f64_rows ? "double" : "float";
  const std::string margin = model.sum.precision == engine::Precision::kF64 ? "double" : "float";
  const std::string prefix = specimen.name + (specimen.cpp_header ? "::" : "_");
  const std::string features = std::to_string(model.features.size()) + "U";
  const std::string outputs = std::to_string(model.outputs_count()) + "U";
  const std::string answers = std::to_string(model.answers_count()) + "U";
  const std::string check = "unsigned check_" + specimen.name + "(void)";
  std::string out = "#include \"" + file + "\"\nstatic unsigned differ(const " + margin +
                    " *got, const void *wanted, unsigned count)\n{\n";
  out += "  unsigned wrong = 0U;\n  for (unsigned i = 0U; i < count; ++i) {\n    " + margin + " want;\n";
  out += "    memcpy(&want, (const char *)wanted + i * sizeof want, sizeof want);\n";
  out +=
      "    if (memcmp(got + i, &want, sizeof want) != 0 && (got[i] == got[i] || want == want)) ++wrong;\n  }\n  return "
      "wrong;\n}\n";
  out += "#ifdef __cplusplus\nextern \"C\"\n#endif\n" + check + ";\n" + check + "\n{\n  unsigned wrong = 0U;\n";
  out += "  for (unsigned i = 0U; i < " + std::to_string(specimen.rows_count) + "U; ++i) {\n";
  out += "    " + row + " row[" + features + "];\n    " + margin + " margins[" + outputs + "];\n";
  out += "    memcpy(row, rows + i * " + features + ", sizeof row);\n    " + prefix + "margins(row, margins);\n";
  out += "    wrong += differ(margins, wanted_margins + i * " + outputs + ", " + outputs + ");\n";
  if (has_answers) {
    out += "    {\n      " + margin + " answers[" + answers + "];\n      " + prefix + "answers(margins, answers);\n";
    out += "      wrong += differ(answers, wanted_answers + i * " + answers + ", " + answers + ");\n    }\n";
  }
  if (!model.labels.empty()) out += "    if (" + prefix + "label(margins) != wanted_labels[i]) ++wrong;\n";
  return out + "  }\n  return wrong;\n}\n";
}

void write_specimen(const std::string& folder, const Specimen& specimen, Prng& prng) {
  const PlainModel& model = specimen.model;
  engine::ExportOptions options;
  options.cpp_header = specimen.cpp_header;
  options.f64_rows = specimen.f64_rows;
  options.name = specimen.name;
  const auto made = engine::export_c(model, options);
  if (!made.ok()) give_up(specimen.name + ": " + made.error().text);
  if (!specimen.cpp_header) write(folder + "/" + specimen.name + ".h", made->header);
  write(folder + "/" + specimen.name + (specimen.cpp_header ? ".hpp" : ".c"),
        specimen.cpp_header ? made->header : made->source);
  std::vector<double> rows = engine::testing::nasty_wide_rows(prng, model, specimen.rows_count);
  const bool wide = model.sum.precision == engine::Precision::kF64;
  BitTable row_bits{specimen.f64_rows, {}};
  BitTable margin_bits{wide, {}};
  BitTable answer_bits{wide, {}};
  std::string labels = "static const unsigned wanted_labels[] = {";
  for (double& value : rows) {
    if (!specimen.f64_rows) value = static_cast<double>(static_cast<float>(value));
    row_bits.add(value);
  }
  for (size_t i = 0; i < specimen.rows_count; ++i) {
    const size_t width = model.features.size();
    const auto margins = engine::reference_margins(model, std::span<const double>(rows).subspan(i * width, width));
    std::vector<double> answers(model.answers_count());
    engine::answers_of(model, margins, answers);
    if (!wide) {
      for (double& answer : answers) answer = static_cast<double>(static_cast<float>(answer));
    }
    for (const double margin : margins) margin_bits.add(margin);
    for (const double answer : answers) answer_bits.add(answer);
    labels += std::to_string(label_of(model, margins, answers)) + "U, ";
  }
  const std::string file = specimen.name + (specimen.cpp_header ? ".hpp" : ".c");
  const bool has_answers = made->header.find("answers(") != std::string::npos;
  std::string check =
      "#include <stdint.h>\n#include <string.h>\n" + row_bits.table("rows") + margin_bits.table("wanted_margins");
  if (has_answers) check += answer_bits.table("wanted_answers");
  if (!model.labels.empty()) check += labels + "};\n";
  write(folder + "/check_" + specimen.name + (specimen.cpp_header ? ".cpp" : ".c"),
        check + check_text(specimen, file, has_answers));
  const engine::ExportSizes& sizes = made->sizes;
  std::printf("%s %s %zu %zu %zu\n", specimen.name.c_str(), specimen.cpp_header ? "cpp" : "c", sizes.tables,
              sizes.margins_code, sizes.answers_code);
}

// A model of every objective, with and without calibration, beside what wild_model() makes.
PlainModel with_objective(uint64_t seed, engine::Objective objective) {
  using engine::Objective;
  const bool of_two = objective == Objective::kLogistic || objective == Objective::kOneVote;
  const bool one = of_two || objective == Objective::kRegression || objective == Objective::kExponential ||
                   objective == Objective::kIsolation || objective == Objective::kSignedSquare ||
                   objective == Objective::kSigmoid;
  PlainModel model = engine::testing::random_model(seed, 4, one ? 1 : 3, 9, 40);
  model.objective = objective;
  if (of_two) model.labels = {"no", "yes */ \\ \xE2\x80\xAE"};
  if (seed % 2 == 0) model.slope = objective == Objective::kSoftprob ? 1 : 0.7;
  if (seed % 2 == 0) model.sum.precision = engine::Precision::kF64;
  if (seed % 3 == 0 && !model.labels.empty()) {
    model.calibration.emplace();
    model.calibration->of_margins = seed % 2 == 1;
    for (size_t i = 0; i < model.outputs_count(); ++i) {
      if (i % 2 == 0) model.calibration->curves.emplace_back(engine::Platt{-0.3, 0.1});
      if (i % 2 == 1) model.calibration->curves.emplace_back(engine::Isotonic{{-9, 0.25, 3, 9}, {0, 0.1, 0.7, 1}});
    }
  }
  model.reference_scores.label_counts.resize(model.labels.size());
  return model;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) give_up("usage: wb_export_specimens FOLDER");
  const std::string folder = argv[1];
  std::vector<Specimen> specimens;
  for (uint64_t seed = 1; specimens.size() < 24; ++seed) {
    PlainModel model = engine::testing::wild_model(seed);
    if (!model.is_ensemble() || !model.lines.empty()) continue;  // not written as C
    const bool cpp = seed % 8 == 0;
    specimens.push_back({"wild" + std::to_string(seed), std::move(model), seed % 3 == 0, cpp, 60});
  }
  for (uint64_t i = 1; i <= 11; ++i) {
    for (const uint64_t seed : {i, i + 11}) {
      specimens.push_back({"objective" + std::to_string(seed), with_objective(seed, static_cast<engine::Objective>(i)),
                           false, false, 40});
    }
  }
  specimens.push_back({"large", engine::testing::random_model(71, 20, 1, 100, 127), false, false, 200});
  specimens.push_back({"deep", engine::testing::random_model(72, 6, 3, 12, 2'001), false, false, 100});
  specimens.push_back({"broad", engine::testing::random_model(73, 300, 1, 50, 60), false, false, 30});
  Prng prng(1);
  std::string declared;
  std::string called;
  for (const Specimen& specimen : specimens) {
    write_specimen(folder, specimen, prng);
    declared += "unsigned check_" + specimen.name + "(void);\n";
    called += "  {\"" + specimen.name + "\", check_" + specimen.name + "},\n";
  }
  write(folder + "/checks.h",
        declared + "static const struct {\n  const char *name;\n  unsigned (*check)(void);\n} checks[] = {\n" + called +
            "};\n");
  return 0;
}
