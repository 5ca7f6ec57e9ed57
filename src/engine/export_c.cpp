// The source from top to bottom: what it is, tables, keys of a row, the walk, margins, answers, the label.
#include "engine/export_c.h"

#include <algorithm>
#include <cmath>

#include "engine/export_text.h"

namespace wb::engine {
namespace {

constexpr std::string_view kKeyOf = R"(
/* A number as an integer that sorts alike: sign and magnitude become two's complement, so -0 is 0. NaN: the largest. */
$STATIC $KEY key_of($NUMBER x)
{
  $BITS bits;
  $KEY magnitude;
  memcpy(&bits, &x, sizeof bits);
  magnitude = ($KEY)(bits & ($BITS)$MOST);
  if (magnitude > ($KEY)$INFINITY) return $MOST;
  return bits > ($BITS)$MOST ? -magnitude : magnitude;
}
)";

// Rules of a position: 1 a missing value goes left, 2 numbers near 0 are missing, 4 NaN is 0 and nothing is missing.
constexpr std::string_view kTakeNumbers = R"(
/* One key for each position, beyond every limit where the number is missing. */
$STATIC void take_numbers(const $CELL *cells, $KEY *keys)
{
  for (unsigned i = 0U; i < $NUMBERSU; ++i) {
    $KEY key = key_of(($NUMBER)cells[$CELLINDEX]);
$RULES    keys[i] = key;
  }
}
)";

constexpr std::string_view kTakeCategories = R"(
/* Which bit of a set: 0 unknown, 1 missing and goes left, else 2 + its place among the categories of the column. */
$STATIC $KEY bit_of_category($NUMBER x, unsigned rule, unsigned begin, unsigned end)
{
  $KEY key = key_of(x);
  uint32_t category;
  if ((rule & 2U) != 0U && key >= -$ZERO && key <= $ZERO) key = $MOST;
  if (key == $MOST) {
    if ((rule & 4U) == 0U) return ($KEY)(rule & 1U);
    key = 0;
    x = 0;
  }
  if (key $BELOW || key >= $TOOHIGH) return 0;
  category = (uint32_t)x;
  for (unsigned low = begin, high = end; low < high;) {
    const unsigned middle = (low + high) / 2U;
    if (categories[middle] == category) return ($KEY)(2U + middle - begin);
    if (categories[middle] < category) low = middle + 1U;
    else high = middle;
  }
  return 0;
}

$STATIC void take_categories(const $CELL *cells, $KEY *keys)
{
  for (unsigned i = $NUMBERSU; i < $POSITIONSU; ++i) {
    keys[i] = bit_of_category(($NUMBER)cells[$CELLINDEX], $RULEINDEX, categories_begin[i - $NUMBERSU],
                              categories_end[i - $NUMBERSU]);
  }
}
)";

constexpr std::string_view kWalk = R"(
/* Which leaf of the tree whose `splits` splits begin at `at`. A split is followed by its left side, which has left_splits[at]
   splits; then comes its right side. Before a leaf stand all splits that were passed, but those that were left leftwards. */
$ALONE$STATIC $INDEX leaf_of(const $KEY *keys, $INDEX at, $INDEX splits)
{
  const $INDEX begin = at;
  $INDEX end = at + splits;
  $INDEX lefts = 0U;
  while (at != end) {
    const $INDEX left = left_splits[at];
$TEST    ++at;
    if ($GOESLEFT) {
      end = at + left;
      ++lefts;
    } else {
      at += left;
    }
  }
  return at - begin - lefts;
}
)";

constexpr std::string_view kLabel = R"(
$PUBLICunsigned $PREFIXlabel(const $MARGIN margins[$OUTPUTS])
{
$VALUES  unsigned best = 0U;
  for (unsigned i = 1U; i < $ANSWERSU; ++i) {
    if (values[i] > values[best]) best = i;
  }
  return best;
}
)";

constexpr std::string_view kGuards =
    "#include <float.h>\n#include <stdint.h>\n#include <string.h>\n\n"
    "#if defined(__FAST_MATH__) || (defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0)\n"
    "#error \"this model needs arithmetic as IEEE 754 has it: no -ffast-math, no x87\"\n"
    "#endif\n";

std::string number(size_t value) { return std::to_string(value); }

class Writer {
 public:
  Writer(const PlainModel& model, const ExportOptions& options)
      : model_(model),
        options_(options),
        layout_(lay_out(model, options.f64_rows)),
        out_(options.cpp_header, options.name) {
    set_words();
  }

  CExport write() {
    write_tables();
    PartSizes steps;
    if (reads_row()) steps = write_steps(model_, layout_, options_.f64_rows, out_);
    write_keys();
    if (!layout_.split_left.empty()) write_walk();
    write_margins();
    const PartSizes answers = write_answers(model_, out_);
    if (!model_.labels.empty()) write_label();
    measure(steps, answers);
    CExport result;
    result.sizes = sizes_;
    const std::string head = comment();
    if (options_.cpp_header) {
      result.header = head + "#pragma once\n\n" + std::string(kGuards) + "\nnamespace " + options_.name + " {\n\n" +
                      constants() + "\n" + out_.text() + "\n}  // namespace " + options_.name + "\n";
    } else {
      result.source = head + "#include \"" + options_.name + ".h\"\n\n" + std::string(kGuards) + "\n" + out_.text();
      result.header = c_header(head);
    }
    return result;
  }

 private:
  bool wide_margins() const { return model_.sum.precision == Precision::kF64; }
  bool reads_row() const { return !layout_.positions.empty() || model_.linear; }
  bool has_vectors() const { return !layout_.vectors.empty(); }
  bool has_categories() const { return layout_.positions.size() > layout_.number_positions; }
  uint8_t rule_of(const Position& position) const {
    return static_cast<uint8_t>((position.left ? 1 : 0) | (position.missing == Missing::kNanOrZero ? 2 : 0) |
                                (position.missing == Missing::kNanIsZero ? 4 : 0));
  }

  void set_words() {
    const bool wide = layout_.wide_keys;
    const bool prepared = !model_.steps.empty();
    const size_t entries = layout_.split_left.size() + layout_.tree_splits.size() + layout_.vectors.size();
    words_ = {{"CELLINDEX", ""},  // set with the tables
              {"CELL", (prepared ? layout_.wide_cells : options_.f64_rows) ? "double" : "float"},
              {"RULEINDEX", ""},
              {"LINEARCELL", ""},
              {"ONLYIF", ""},
              {"KEY", wide ? "int64_t" : "int32_t"},
              {"BITS", wide ? "uint64_t" : "uint32_t"},
              {"NUMBERS", number(layout_.number_positions)},
              {"NUMBER", wide ? "double" : "float"},
              {"MOST", wide ? "INT64_MAX" : "INT32_MAX"},
              {"LEAST", wide ? "INT64_MIN" : "INT32_MIN"},
              {"INFINITY", wide ? "0x7FF0000000000000LL" : "0x7F800000"},
              {"ZERO", key_text(kZeroMax)},
              {"BELOW", model_.category == Category::kTruncated ? "<= " + key_text(-1) : "< 0"},
              {"TOOHIGH", key_text(static_cast<double>(limits::kCategoryMax) + 1)},
              {"POSITIONS", number(layout_.positions.size())},
              {"INDEX", entries < 65'536 ? "unsigned" : "uint32_t"},
              {"MARGIN", wide_margins() ? "double" : "float"},
              {"OUTPUTS", number(model_.outputs_count())},
              {"ANSWERS", number(model_.answers_count())},
              {"FEATURES", number(model_.features.size())},
              {"ROW", options_.f64_rows ? "double" : "float"},
              {"CELLS", number(layout_.cells_count)},
              {"TREES", number(model_.trees.size())}};
  }
  std::string key_text(double x) const {
    const int64_t key = key_of(x, layout_.wide_keys);
    return (key < 0 ? "(" : "") + std::to_string(key) + (layout_.wide_keys ? "LL" : "") + (key < 0 ? ")" : "");
  }
  void set_word(std::string_view name, const std::string& text) {
    for (auto& [word, filling] : words_) {
      if (word == name) filling = text;
    }
  }

  void write_tables() {
    std::vector<uint32_t> cells;
    std::vector<uint8_t> rules;
    bool in_order = true;
    for (const Position& position : layout_.positions) {
      in_order = in_order && position.cell == cells.size();
      cells.push_back(position.cell);
      rules.push_back(rule_of(position));
    }
    set_word("CELLINDEX", in_order ? "i" : "cell_of_position[i]");
    if (!in_order) out_.table("cell_of_position", cells);
    const bool same_rules = std::adjacent_find(rules.begin(), rules.end(), std::not_equal_to<>()) == rules.end();
    set_word("RULEINDEX", same_rules && !rules.empty() ? number(rules[0]) + "U" : "(unsigned)rule_of_position[i]");
    if (!same_rules) out_.table("rule_of_position", rules);
    if (has_categories()) {
      out_.table("categories", layout_.categories);
      out_.table("categories_begin", layout_.categories_begin);
      out_.table("categories_end", layout_.categories_end);
      out_.table("set_bits", layout_.set_bits);
    }
    if (!layout_.split_left.empty()) {
      out_.keys("limit_of_test", layout_.test_limit, layout_.wide_keys);
      if (layout_.positions.size() > 1) out_.table("position_of_test", layout_.test_position);
      if (!layout_.split_test.empty()) out_.table("test_of_split", layout_.split_test);
      out_.table("left_splits", layout_.split_left);
    }
    if (!layout_.tree_splits.empty()) out_.table("splits_of_tree", layout_.tree_splits);
    if (largest_of(layout_.tree_output) > 0) out_.table("output_of_tree", layout_.tree_output);
    if (!layout_.leaves.empty()) out_.numbers("leaf_values", layout_.leaves, wide_margins());
    if (!layout_.leaf_value.empty()) out_.table("value_of_leaf", layout_.leaf_value);
    if (model_.linear) write_linear_tables();
    if (has_vectors()) out_.numbers("leaf_vectors", layout_.vectors, wide_margins());
    out_.numbers("base_margins", model_.base_margins, wide_margins());
    if (!model_.sum.offsets.empty()) out_.numbers("offsets", model_.sum.offsets, wide_margins());
  }

  void write_linear_tables() {
    out_.numbers("linear_weights", model_.linear->weights, wide_margins());
    bool in_order = true;
    for (size_t i = 0; i < layout_.linear_cells.size(); ++i) in_order = in_order && layout_.linear_cells[i] == i;
    if (!in_order) out_.table("cell_of_column", layout_.linear_cells);
    set_word("LINEARCELL", in_order ? "j" : "cell_of_column[j]");
    set_word("ONLYIF", model_.linear->skips_missing ? "if (x == x) " : "");
  }

  void write_keys() {
    if (layout_.positions.empty()) return;
    out_.add(kKeyOf, words_);
    uint8_t all_rules = 0;
    for (size_t i = 0; i < layout_.number_positions; ++i) all_rules |= rule_of(layout_.positions[i]);
    Words words = words_;
    std::string rules;
    if ((all_rules & 2) != 0)
      rules += filled("    if (($RULEINDEX & 2U) != 0U && key >= -$ZERO && key <= $ZERO) key = $MOST;\n", words);
    if ((all_rules & 1) != 0)
      rules += filled("    if (key == $MOST && ($RULEINDEX & 1U) != 0U) key = $LEAST;\n", words);
    if ((all_rules & 4) != 0) rules += filled("    if (key == $MOST && ($RULEINDEX & 4U) != 0U) key = 0;\n", words);
    words.emplace_back("RULES", rules);
    if (layout_.number_positions > 0) out_.add(kTakeNumbers, words);
    if (has_categories()) out_.add(kTakeCategories, words_);
  }

  void write_walk() {
    const bool one = layout_.positions.size() == 1;
    const std::string test = layout_.split_test.empty() ? "at" : "test";
    const std::string position = one ? "0" : "position";
    std::string before;
    if (test == "test") before += "    const $INDEX test = test_of_split[at];\n";
    if (!one) before += "    const unsigned position = position_of_test[" + test + "];\n";
    before += "    const $KEY limit = limit_of_test[" + test + "];\n";
    const std::string key = "keys[" + position + "]";
    const std::string number_test = key + " <= limit";
    const std::string set_test = "(((unsigned)set_bits[limit + (" + key + " >> 3)] >> (" + key + " & 7)) & 1U) != 0U";
    std::string goes_left = number_test;
    if (has_categories()) goes_left = set_test;
    if (has_categories() && layout_.number_positions > 0)
      goes_left = "position < $NUMBERSU ? " + number_test + " : " + set_test;
    // Inlined into the sum, the loop runs short of registers: a fifth more instructions.
    const std::string alone = options_.cpp_header ? "" : "#ifdef __GNUC__\n__attribute__((noinline))\n#endif\n";
    Words words = words_;
    words.emplace_back("ALONE", alone);
    words.insert(words.begin(), {{"TEST", filled(before, words_)}, {"GOESLEFT", filled(goes_left, words_)}});
    out_.add(kWalk, words);
  }

  void write_margins() {
    out_.add("\n$PUBLICvoid $PREFIXmargins(const $ROW row[$FEATURES], $MARGIN margins[$OUTPUTS])\n{\n", words_);
    const bool prepared = !model_.steps.empty() && reads_row();
    if (prepared) out_.add("  $CELL cells[$CELLS];\n", words_);
    if (!layout_.positions.empty()) out_.add("  $KEY keys[$POSITIONS];\n", words_);
    if (prepared) out_.add("  prepare(row, cells);\n");
    const Words from = {{"FROM", prepared ? "cells" : "row"}};
    if (layout_.number_positions > 0) out_.add("  take_numbers($FROM, keys);\n", from);
    if (has_categories()) out_.add("  take_categories($FROM, keys);\n", from);
    if (!reads_row()) out_.add("  (void)row;\n");
    out_.add("  for (unsigned i = 0U; i < $OUTPUTSU; ++i) margins[i] = base_margins[i];\n", words_);
    if (model_.linear) write_linear(prepared ? "cells" : "row");
    if (!model_.trees.empty()) write_sum();
    const Sum& sum = model_.sum;
    std::string finish;
    if (sum.divisor) finish += "    sum = sum / " + literal(*sum.divisor, wide_margins()) + ";\n";
    if (sum.factor) finish += "    sum = sum * " + literal(*sum.factor, wide_margins()) + ";\n";
    if (!sum.offsets.empty()) finish += "    sum = sum + offsets[i];\n";
    if (!finish.empty()) {
      // volatile: the product and what is added to it are rounded each on its own
      out_.add("  for (unsigned i = 0U; i < $OUTPUTSU; ++i) {\n    volatile $MARGIN sum = margins[i];\n" + finish +
                   "    margins[i] = sum;\n  }\n",
               words_);
    }
    out_.add("}\n");
  }

  // volatile: a product that is fused with the sum it goes into would be rounded once.
  void write_linear(const std::string& from) {
    Words words = words_;
    words.emplace_back("FROM", from);
    words.emplace_back("COLUMNS", number(layout_.linear_cells.size()));
    out_.add(R"(  for (unsigned i = 0U; i < $OUTPUTSU; ++i) {
    for (unsigned j = 0U; j < $COLUMNSU; ++j) {
      const $MARGIN x = ($MARGIN)$FROM[$LINEARCELL];
      const volatile $MARGIN product = linear_weights[i * $COLUMNSU + j] * x;
      $ONLYIFmargins[i] += product;
    }
  }
)",
             words);
  }

  void write_sum() {
    const bool scalars = !layout_.leaves.empty();
    const bool walks = !layout_.split_left.empty();
    const std::string leaf = walks ? "leaf_of(keys, at, splits)" : "0U";
    const std::string output = largest_of(layout_.tree_output) > 0 ? "output_of_tree[tree]" : "0";
    if (walks) out_.add("  $INDEX at = 0U;\n", words_);
    if (scalars) out_.add("  $INDEX leaves = 0U;\n", words_);
    if (has_vectors()) out_.add("  const $MARGIN *vectors = leaf_vectors;\n", words_);
    out_.add("  for (unsigned tree = 0U; tree < $TREESU; ++tree) {\n    const $INDEX splits = splits_of_tree[tree];\n",
             words_);
    out_.add("    const $INDEX leaf = " + leaf + ";\n", words_);
    const std::string value =
        layout_.leaf_value.empty() ? "leaf_values[leaves + leaf]" : "leaf_values[value_of_leaf[leaves + leaf]]";
    const std::string indent = has_vectors() && scalars ? "      " : "    ";
    if (has_vectors() && scalars) out_.add("    if (" + output + " == $OUTPUTSU) {\n", words_);
    if (has_vectors()) {
      out_.add(indent + "for (unsigned i = 0U; i < $OUTPUTSU; ++i) margins[i] += vectors[leaf * $OUTPUTSU + i];\n" +
                   indent + "vectors += (splits + 1U) * $OUTPUTSU;\n",
               words_);
    }
    if (has_vectors() && scalars) out_.add("    } else {\n");
    if (scalars) {
      out_.add(indent + "margins[" + output + "] += " + value + ";\n" + indent + "leaves += splits + 1U;\n");
    }
    if (has_vectors() && scalars) out_.add("    }\n");
    if (walks) out_.add("    at += splits;\n");
    out_.add("  }\n");
  }

  void write_label() {
    Words words = words_;
    const bool one = model_.outputs_count() == 1;
    if (!one && !model_.calibration) {
      words.emplace_back("VALUES", "  const $MARGIN *values = margins;\n");
    } else {  // a logistic function of one margin, or curves that may cross
      words.emplace_back("VALUES", "  $MARGIN values[$ANSWERS];\n  $PREFIXanswers(margins, values);\n");
    }
    out_.add(filled(kLabel, {{"VALUES", words.back().second}}), words_);
  }

  void measure(const PartSizes& steps, const PartSizes& answers) {
    const size_t wide_keys = layout_.wide_keys ? 8 : 4;
    const size_t margin = wide_margins() ? 8 : 4;
    sizes_.tables = out_.tables_bytes();
    unsigned library = steps.library | (wide_margins() ? kF64Add : kF32Add);
    const unsigned times = wide_margins() ? kF64Times : kF32Times;
    if (model_.sum.divisor || model_.sum.factor) library |= times;
    if (has_categories()) library |= kWhole;
    if (model_.linear) library |= times | (wide_margins() ? kF64Compare : kF32Compare);
    const bool wide_cells = model_.steps.empty() ? options_.f64_rows : layout_.wide_cells;
    const bool narrows = wide_cells && (!layout_.wide_keys || (model_.linear && !wide_margins()));
    if (!wide_cells && wide_margins() && model_.linear) library |= kF64Add;  // it widens too
    if (narrows) library |= kF64Narrows;
    sizes_.margins_code = 340 + (layout_.wide_keys ? 80 : 0) + (has_vectors() ? 120 : 0) +
                          (has_categories() ? 320 : 0) + (model_.linear ? 160 : 0) +
                          (model_.sum.divisor || model_.sum.factor ? 60 : 0) + steps.code + library_bytes(library);
    const unsigned compares = wide_margins() ? kF64Compare : kF32Compare;
    const unsigned more = answers.library | (model_.labels.empty() ? 0 : compares);
    sizes_.answers_code = answers.code + (model_.labels.empty() ? 0 : 100) + library_bytes(more & ~library);
    const size_t of_margins = layout_.positions.size() * wide_keys + steps.stack + 136;
    sizes_.stack = std::max(of_margins, answers.stack + model_.answers_count() * margin);
    sizes_.caller = model_.features.size() * (options_.f64_rows ? 8 : 4) +
                    (model_.outputs_count() + (answers_are_margins(model_) ? 0 : model_.answers_count())) * margin;
  }

  std::string constants() const {
    const std::string prefix = options_.name + "_";
    std::string out;
    for (const auto& [what, count] : {std::pair<std::string, size_t>{"features", model_.features.size()},
                                      {"outputs", model_.outputs_count()},
                                      {"answers", model_.answers_count()}}) {
      out += options_.cpp_header ? "inline constexpr unsigned " + what + "_count = " + number(count) + ";\n"
                                 : "enum { " + prefix + what + "_count = " + number(count) + " };\n";
    }
    return out;
  }

  std::string c_header(const std::string& head) const {
    std::string guard = options_.name + "_H";
    for (char& c : guard) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    std::string out = head + "#ifndef " + guard + "\n#define " + guard + "\n\n" + constants() +
                      "\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n";
    Words words = words_;
    words.emplace_back("NAME", options_.name);
    std::string calls =
        "/* Missing numbers are NaN. Each call is reentrant. */\n"
        "void $NAME_margins(const $ROW row[$FEATURES], $MARGIN margins[$OUTPUTS]);\n";
    if (!answers_are_margins(model_)) {
      calls +=
          "/* Probabilities, or values, of margins: in double, which a part without an FPU for it does in software. "
          "*/\n"
          "void $NAME_answers(const $MARGIN margins[$OUTPUTS], $MARGIN answers[$ANSWERS]);\n";
    }
    if (!model_.labels.empty()) {
      calls += "/* Which label has the largest. */\nunsigned $NAME_label(const $MARGIN margins[$OUTPUTS]);\n";
    }
    return out + filled(calls, words) + "\n#ifdef __cplusplus\n}\n#endif\n\n#endif\n";
  }

  // A text goes into the row as its number.
  std::string texts_comment(size_t feature) const {
    if (model_.texts.empty() || model_.texts[feature].empty()) return "";
    std::string out = ", a text by its number: ";
    for (size_t i = 0; i < model_.texts[feature].size(); ++i)
      out += number(i) + " '" + comment_text(model_.texts[feature][i]) + "', ";
    return out + "-1 any other, NaN none";
  }
  std::string comment() const {
    const std::string sum = wide_margins() ? "f64" : "f32";
    std::string out = "/* Made by `waybill model export`; the same model gives the same text. Do not edit.\n *\n";
    out += " * model    sha256 " + comment_text(options_.model_sha256) + "\n";
    if (!options_.made_from.empty()) out += " * of it    " + comment_text(options_.made_from) + "\n";
    for (const auto& [key, value] : model_.notes) {
      if (key == "trainer") out += " * trainer  " + comment_text(value) + "\n";
    }
    out += " * trees    " + number(model_.trees.size()) + " with " + number(layout_.split_left.size()) + " splits of " +
           number(layout_.test_limit.size()) + " tests; margins are summed in " + sum + "\n";
    out += " * answers  " + std::string(objective_name(model_.objective)) + "\n";
    out += " * flash    " + number(sizes_.tables) +
           " bytes of tables; code of a Cortex-M4 without an FPU (gcc 12 -Os): at most " + number(sizes_.margins_code) +
           " for margins" +
           (sizes_.answers_code > 0 ? ", " + number(sizes_.answers_code) + " more for answers and label" : "") + "\n";
    out += " * RAM      at most " + number(sizes_.stack) + " bytes of stack, and " + number(sizes_.caller) +
           " that the caller holds; no heap, nothing static\n";
    out += " * row      " + std::string(options_.f64_rows ? "f64" : "f32") + ", NaN = missing:\n";
    for (size_t i = 0; i < model_.features.size(); ++i)
      out += " *   " + number(i) + " '" + comment_text(model_.features[i]) + "'" + texts_comment(i) + "\n";
    if (!model_.labels.empty()) out += " * labels\n";
    for (size_t i = 0; i < model_.labels.size(); ++i)
      out += " *   " + number(i) + " '" + comment_text(model_.labels[i]) + "'\n";
    return out + " */\n";
  }

  const PlainModel& model_;
  const ExportOptions& options_;
  Layout layout_;
  CText out_;
  Words words_;
  ExportSizes sizes_;
};

bool is_identifier(std::string_view name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  if (name.empty() || name.size() > 63 || !letter(name[0]) || name[0] == '_') return false;
  return std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

}  // namespace

Result<CExport> export_c(const PlainModel& model, const ExportOptions& options) {
  if (!is_identifier(options.name))
    return fail(Code::kInvalid, "'", options.name,
                "' is no name for C: it must be letters, digits and _, begin with a letter, and have at most 63");
  WB_CHECK(check_description(model));
  if (!model.is_ensemble() || !model.lines.empty())
    return fail(Code::kUnsupported,
                std::holds_alternative<Network>(model.predictor)      ? "a network"
                : std::holds_alternative<Neighbours>(model.predictor) ? "a model of nearest neighbours"
                                                                      : "a model whose leaves are lines",
                " is not written as C; trees with constant leaves and linear models are");
  return Writer(model, options).write();
}

size_t trees_in_round(const PlainModel& model) {
  const size_t outputs = model.outputs_count();
  for (size_t i = 0; i < model.trees.size(); ++i) {
    if (!model.trees[i].vectors.empty() || model.trees[i].output != i % outputs) return 1;
  }
  return model.trees.size() % outputs == 0 ? outputs : 1;
}

Result<PlainModel> first_trees(const PlainModel& model, size_t count) {
  const size_t all = model.trees.size();
  const size_t round = trees_in_round(model);
  if (count > all || count % round != 0)
    return fail(Code::kInvalid, "cannot keep ", std::to_string(count), " of ", std::to_string(all),
                " trees: at most all, and ", std::to_string(round), " make a round");
  const bool isolates = model.objective == Objective::kIsolation || model.objective == Objective::kNormality;
  if (count < all && isolates && !model.sum.divisor)
    return fail(Code::kUnsupported, "this isolation forest does not say how it averages, so no tree can be left out");
  PlainModel kept = model;
  kept.trees.resize(count);
  if (count < all && kept.sum.divisor) {
    double divisor = *kept.sum.divisor * static_cast<double>(count) / static_cast<double>(all);
    if (kept.sum.precision == Precision::kF32) divisor = static_cast<double>(static_cast<float>(divisor));
    if (count == 0) return fail(Code::kUnsupported, "an average needs at least one tree");
    kept.sum.divisor = divisor;
  }
  if (count < all) kept.self_test = {};
  return kept;
}

}  // namespace wb::engine
