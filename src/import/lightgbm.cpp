// LightGBM's text models, version v3 and v4 (LightGBM 3.x and 4.x): blocks of `key=value` lines, one for the header and
// one for each tree, and a line of pandas categories at the end.
//
// What LightGBM computes: everything in f64, margins from 0, leaves added in order, `<=` goes left. A bit set at a
// split says what it calls missing: nothing (NaN is then 0), zero and NaN, or NaN. Its doors take every |x| <= 1e-35
// for 0 before a tree sees it, so a threshold in that range is moved to its end: same answers, and no flush of our own
// (but for leaves that are lines, where the engine does what the doors do).
#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/bytes.h"
#include "base/utf8.h"
#include "import/formats.h"

namespace wb::imports {
namespace {

using engine::Objective;

// Lines, with their number for a person: the first is 1.
class Lines {
 public:
  explicit Lines(std::string_view text) : rest_(text) {}

  bool at_end() const { return rest_.empty(); }
  size_t number() const { return number_; }  // of the line that next() gave
  std::string_view next() {
    const size_t end = std::min(rest_.find('\n'), rest_.size());
    std::string_view line = rest_.substr(0, end);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    ++number_;
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
  }

 private:
  std::string_view rest_;
  size_t number_ = 0;
};

enum class Spaces : uint8_t { kSingle, kMany };

// Lines up to a blank one.
class Block {
 public:
  static constexpr size_t kLinesMax = 64;

  explicit Block(std::string_view first, size_t number) : first_(first), number_(number) {}
  Status add(std::string_view line, size_t number) {
    if (entries_.size() == kLinesMax) return fail(Code::kInvalid, "line ", std::to_string(number), ": too many lines");
    const size_t equals = std::min(line.find('='), line.size());
    const std::string_view key = line.substr(0, equals);
    if (find(key) != nullptr)
      return fail(Code::kInvalid, "line ", std::to_string(number), ": '", valid_text(key, 40), "' stands twice");
    entries_.push_back({key, line.substr(std::min(equals + 1, line.size())), number});
    return ok_status();
  }

  std::string_view first() const { return first_; }
  bool has(std::string_view key) const { return find(key) != nullptr; }
  std::string_view value(std::string_view key) const {  // empty if it is not there
    const Entry* entry = find(key);
    return entry == nullptr ? std::string_view() : entry->value;
  }
  template <class... Parts>
  Error fault(std::string_view key, const Parts&... parts) const {
    return error(Code::kInvalid, key, parts...);
  }
  template <class... Parts>
  Error unsupported(std::string_view key, const Parts&... parts) const {
    return error(Code::kUnsupported, key, parts...);
  }

  Result<uint64_t> count(std::string_view key, uint64_t max) const {
    const std::optional<int64_t> value = parse_int(this->value(key));
    if (!value || *value < 0) return fault(key, "is no whole number from 0");
    if (static_cast<uint64_t>(*value) > max) return fault(key, "is above ", std::to_string(max));
    return static_cast<uint64_t>(*value);
  }

  // Number is double, or an integer. Exactly `count` of them, between single spaces, or as many as there are.
  template <class Number>
  Result<std::vector<Number>> numbers(std::string_view key, size_t count, Spaces spaces = Spaces::kSingle) const {
    const auto skip = [&](std::string_view rest) {
      return spaces == Spaces::kSingle ? rest : rest.substr(std::min(rest.find_first_not_of(' '), rest.size()));
    };
    std::string_view text = skip(value(key));
    std::vector<Number> out;
    out.reserve(std::min(count, text.size()));
    while (!text.empty()) {
      Number number{};
      const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
      text.remove_prefix(static_cast<size_t>(end - text.data()));
      if (ec != std::errc() || (!text.empty() && text.front() != ' '))
        return fault(key, "item ", std::to_string(out.size()), " is not a number, or too large for one");
      if (out.size() == count) return fault(key, "has more than ", std::to_string(count), " numbers");
      out.push_back(number);
      if (!text.empty()) text = skip(text.substr(1));
    }
    if (out.size() != count)
      return fault(key, "has ", std::to_string(out.size()), " numbers instead of ", std::to_string(count));
    return out;
  }

 private:
  struct Entry {
    std::string_view key, value;
    size_t line = 0;
  };
  const Entry* find(std::string_view key) const {
    const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.key == key; });
    return found == entries_.end() ? nullptr : &*found;
  }
  template <class... Parts>
  Error error(Code code, std::string_view key, const Parts&... parts) const {
    const Entry* entry = find(key);
    const size_t line = entry == nullptr ? number_ : entry->line;
    return fail(code, "line ", std::to_string(line), ": ", key, " ", parts...);
  }

  std::string_view first_;
  size_t number_;
  std::vector<Entry> entries_;
};

struct File {
  Block header{"tree", 1};
  std::vector<Block> trees;
  std::string_view pandas;  // the JSON behind "pandas_categorical:"
  size_t pandas_line = 0;
};

Result<File> read_blocks(std::string_view bytes) {
  File file;
  Lines lines(bytes);
  lines.next();  // "tree", by which the format was recognised
  Block* block = &file.header;
  bool complete = false;
  while (!lines.at_end() && !complete) {
    const std::string_view line = lines.next();
    complete = line == "end of trees";
    if (line.empty() || complete) continue;
    if (line.starts_with("Tree=")) {
      if (file.trees.size() == engine::limits::kTreesMax)
        return fail(Code::kInvalid, "line ", std::to_string(lines.number()), ": more than ",
                    std::to_string(engine::limits::kTreesMax), " trees");
      if (line != "Tree=" + std::to_string(file.trees.size()))
        return fail(Code::kInvalid, "line ", std::to_string(lines.number()),
                    ": expected Tree=", std::to_string(file.trees.size()));
      block = &file.trees.emplace_back(line, lines.number());
      continue;
    }
    WB_CHECK(block->add(line, lines.number()));
  }
  if (!complete)
    return fail(Code::kInvalid, "line ", std::to_string(lines.number()), ": the file ends before 'end of trees'");
  constexpr std::string_view kPandas = "pandas_categorical:";
  while (!lines.at_end()) {
    const std::string_view line = lines.next();
    if (!line.starts_with(kPandas)) continue;
    file.pandas = line.substr(kPandas.size());
    file.pandas_line = lines.number();
  }
  return file;
}

// ---- Objectives.
struct KnownObjective {
  std::string_view name;
  Objective objective;
};
constexpr KnownObjective kObjectives[] = {
    {"binary", Objective::kLogistic},          {"cross_entropy", Objective::kSigmoid},
    {"custom", Objective::kRegression},        {"fair", Objective::kRegression},
    {"gamma", Objective::kExponential},        {"huber", Objective::kRegression},
    {"lambdarank", Objective::kRegression},    {"mape", Objective::kRegression},
    {"multiclass", Objective::kSoftprob},      {"multiclassova", Objective::kIndependent},
    {"poisson", Objective::kExponential},      {"quantile", Objective::kRegression},
    {"rank_xendcg", Objective::kRegression},   {"regression", Objective::kRegression},
    {"regression_l1", Objective::kRegression}, {"tweedie", Objective::kExponential},
};

Status set_objective(const Block& header, engine::PlainModel& out) {
  engine::Description& model = out;
  const std::vector<std::string_view> words = split(header.value("objective"), ' ');
  const std::string_view name = header.has("objective") ? words.front() : "custom";
  const auto known =
      std::find_if(std::begin(kObjectives), std::end(kObjectives), [&](const auto& k) { return k.name == name; });
  if (known == std::end(kObjectives))
    return header.unsupported("objective", "'", valid_text(name, 40),
                              "' is not carried: its answers are none that the engine makes");
  model.objective = known->objective;
  out.notes.emplace_back("objective", name);
  if (name == "custom") out.notes.emplace_back("answers", "the margins: the objective was a function of the trainer's");
  for (const std::string_view word : words) {
    if (word == "sqrt" && model.objective == Objective::kRegression) model.objective = Objective::kSignedSquare;
    if (!word.starts_with("sigmoid:")) continue;
    const std::optional<double> slope = parse_double(word.substr(8));
    if (!slope) return header.fault("objective", "has a sigmoid that is no number");
    model.slope = *slope;
  }
  size_t labels = 0;
  if (model.objective == Objective::kLogistic) labels = 2;
  if (model.objective == Objective::kSoftprob || model.objective == Objective::kIndependent)
    labels = model.outputs_count();
  for (size_t i = 0; i < labels; ++i) model.labels.push_back(std::to_string(i));
  return ok_status();
}

Result<std::vector<std::string>> read_features(const Block& header) {
  WB_TRY(const uint64_t last, header.count("max_feature_idx", engine::limits::kFeaturesMax - 1));
  const std::vector<std::string_view> names = split(header.value("feature_names"), ' ');
  if (names.size() != last + 1)
    return header.fault("feature_names", "has ", std::to_string(names.size()), " names for ", std::to_string(last + 1),
                        " features");
  return std::vector<std::string>(names.begin(), names.end());
}

// ---- Trees.
constexpr int kCategorical = 1;
constexpr int kDefaultLeft = 2;

Result<engine::Missing> missing_of(const Block& block, int decision) {
  switch ((decision >> 2) & 3) {
    case 0: return engine::Missing::kNanIsZero;
    case 1: return engine::Missing::kNanOrZero;
    case 2: return engine::Missing::kNan;
    default: return block.fault("decision_type", "has an unknown rule for missing values");
  }
}

double threshold_of(double threshold) {
  if (std::fabs(threshold) > engine::kZeroMax) return threshold;
  return threshold < 0 ? std::nextafter(-engine::kZeroMax, -HUGE_VAL) : engine::kZeroMax;
}

// The sets of a tree's categorical splits: words of 32 categories, from one boundary to the next.
struct Bitsets {
  std::vector<uint32_t> boundaries;
  std::vector<uint32_t> words;
};

Result<Bitsets> read_bitsets(const Block& block) {
  Bitsets bits;
  WB_TRY(const uint64_t count, block.count("num_cat", engine::limits::kTreeNodesMax));
  if (count == 0) return bits;
  WB_TRY(bits.boundaries, block.numbers<uint32_t>("cat_boundaries", count + 1));
  const bool ascending = std::is_sorted(bits.boundaries.begin(), bits.boundaries.end());
  if (!ascending || bits.boundaries.front() != 0) return block.fault("cat_boundaries", "do not ascend from 0");
  WB_TRY(bits.words, block.numbers<uint32_t>("cat_threshold", bits.boundaries.back()));
  return bits;
}

// Each split has a set of its own, so that sets take no more memory than the file.
Status add_set(const Block& block, const Bitsets& bits, double index, std::vector<bool>& used,
               engine::Description& model) {
  const bool whole = index >= 0 && index < static_cast<double>(used.size()) && index == std::floor(index);
  if (!whole || used[static_cast<size_t>(index)])
    return block.fault("threshold", "of a categorical split names a set that is not there, or another's");
  const auto at = static_cast<size_t>(index);
  used[at] = true;
  std::vector<uint32_t> set;
  for (uint32_t word = bits.boundaries[at]; word < bits.boundaries[at + 1]; ++word) {
    for (uint32_t bit = 0; bit < 32; ++bit) {
      if ((bits.words[word] >> bit & 1) != 0) set.push_back((word - bits.boundaries[at]) * 32 + bit);
    }
  }
  model.sets.push_back(std::move(set));
  return ok_status();
}

// Splits come first, then leaves; a child below 0 is a leaf, counted from -1.
int32_t child_of(int32_t child, size_t splits) {
  if (child >= 0) return child;
  return static_cast<int32_t>(
      std::min<int64_t>(static_cast<int64_t>(splits) + ~static_cast<int64_t>(child), INT32_MAX));
}

// linear_tree: leaf i has num_features[i] columns and weights, each leaf's behind those of the one before.
Status read_lines(const Block& block, engine::Tree& tree, engine::Description& model) {
  const size_t leaves = (tree.nodes.size() + 1) / 2;
  WB_TRY(const auto constants, block.numbers<double>("leaf_const", leaves));
  WB_TRY(const auto counts, block.numbers<uint32_t>("num_features", leaves));
  size_t total = 0;
  for (const uint32_t count : counts) total += count;
  if (total > engine::limits::kLineNumbersMax) return block.fault("num_features", "is too large");
  WB_TRY(const auto columns, block.numbers<uint32_t>("leaf_features", total, Spaces::kMany));
  WB_TRY(const auto weights, block.numbers<double>("leaf_coeff", total, Spaces::kMany));
  size_t at = 0;
  for (size_t leaf = 0; leaf < leaves; ++leaf) {
    tree.nodes[leaves - 1 + leaf].set = static_cast<int32_t>(model.lines.size());
    engine::Line& line = model.lines.emplace_back();
    line.constant = constants[leaf];
    const auto from = static_cast<ptrdiff_t>(at);
    at += counts[leaf];
    line.columns.assign(columns.begin() + from, columns.begin() + static_cast<ptrdiff_t>(at));
    line.weights.assign(weights.begin() + from, weights.begin() + static_cast<ptrdiff_t>(at));
  }
  return ok_status();
}

Status read_covers(const Block& block, size_t splits, engine::Tree& tree) {
  if (!block.has("leaf_count") || splits == 0) return ok_status();
  WB_TRY(const auto counts, block.numbers<double>("leaf_count", splits + 1));
  tree.covers.assign(splits, 0);
  tree.covers.insert(tree.covers.end(), counts.begin(), counts.end());
  return ok_status();
}

Result<engine::Tree> read_tree(const Block& block, engine::Description& model) {
  WB_TRY(const uint64_t leaves, block.count("num_leaves", engine::limits::kTreeNodesMax));
  if (leaves == 0) return block.fault("num_leaves", "is 0");
  const size_t splits = leaves - 1;
  WB_TRY(const auto values, block.numbers<double>("leaf_value", leaves));
  engine::Tree tree;
  tree.nodes.reserve(splits + leaves);
  if (splits > 0) {
    WB_TRY(const auto features, block.numbers<uint32_t>("split_feature", splits));
    WB_TRY(const auto thresholds, block.numbers<double>("threshold", splits));
    WB_TRY(const auto decisions, block.numbers<int>("decision_type", splits));
    WB_TRY(const auto left, block.numbers<int32_t>("left_child", splits));
    WB_TRY(const auto right, block.numbers<int32_t>("right_child", splits));
    WB_TRY(const Bitsets bits, read_bitsets(block));
    std::vector<bool> used(bits.boundaries.empty() ? 0 : bits.boundaries.size() - 1);
    for (size_t i = 0; i < splits; ++i) {
      engine::TreeNode& node = tree.nodes.emplace_back();
      node.left = child_of(left[i], splits);
      node.right = child_of(right[i], splits);
      node.feature = features[i];
      if ((decisions[i] & kCategorical) != 0) {  // NaN is no category: right, whatever the other bits say
        node.set = static_cast<int32_t>(model.sets.size());
        WB_CHECK(add_set(block, bits, thresholds[i], used, model));
        continue;
      }
      node.value = threshold_of(thresholds[i]);
      node.default_left = (decisions[i] & kDefaultLeft) != 0;
      WB_TRY(node.missing, missing_of(block, decisions[i]));
      if (node.missing == engine::Missing::kNanIsZero) node.default_left = false;  // says nothing there
    }
  }
  for (const double value : values) {
    engine::TreeNode& leaf = tree.nodes.emplace_back();
    leaf.value = value;
  }
  if (block.has("is_linear") && block.value("is_linear") != "0") WB_CHECK(read_lines(block, tree, model));
  return tree;
}

Status read_trees(const File& file, const Options& options, engine::PlainModel& out) {
  engine::Description& model = out;
  const size_t outputs = model.outputs_count();
  if (file.trees.size() % outputs != 0)
    return fail(Code::kInvalid, std::to_string(file.trees.size()), " trees are no multiple of ",
                std::to_string(outputs), " per round");
  for (size_t i = 0; i < file.trees.size(); ++i) {
    auto tree = read_tree(file.trees[i], model);
    if (!tree.ok()) return tree.error().within("tree " + std::to_string(i));
    tree->output = static_cast<uint32_t>(i % outputs);
    if (options.covers) WB_CHECK(read_covers(file.trees[i], tree->nodes.size() / 2, *tree));
    model.trees.push_back(std::move(*tree));
  }
  if (!file.header.has("average_output") || file.trees.empty()) return ok_status();
  const size_t rounds = file.trees.size() / outputs;
  model.sum.divisor = static_cast<double>(rounds);
  out.notes.emplace_back("margins", "means over the rounds of a random forest; LightGBM's raw_score is their sum");
  return ok_status();
}

// ---- Categories that pandas held: a column's values become the codes that the trees saw.
Status map_categories(const File& file, const Options& options, engine::PlainModel& out) {
  if (file.pandas.empty() || options.category_codes) return ok_status();
  const std::string where = "line " + std::to_string(file.pandas_line) + ": pandas_categorical";
  auto json = parse_json(file.pandas, Decimals::kF64);
  if (!json.ok()) return json.error().within(where);
  const JsonView view(*json);
  if (view.is_null()) return ok_status();
  const auto lists = view.items();
  if (!lists.ok()) return lists.error().within(where);
  if (lists->empty()) return ok_status();
  std::vector<uint32_t> columns;  // feature_infos: a range in brackets, or categories between colons
  const std::vector<std::string_view> infos = split(file.header.value("feature_infos"), ' ');
  for (size_t i = 0; i < infos.size(); ++i) {
    if (infos[i] != "none" && !infos[i].starts_with('[')) columns.push_back(static_cast<uint32_t>(i));
  }
  constexpr std::string_view kAdvice = "; import with --category-codes to give rows the codes that pandas gave them";
  if (columns.size() != lists->size())
    return fail(Code::kUnsupported, where, " has ", std::to_string(lists->size()), " columns, the trees use ",
                std::to_string(columns.size()), ": which is which is not in the file", kAdvice);
  for (size_t i = 0; i < lists->size(); ++i) {
    const auto* values = std::get_if<JsonNumbers>(&(*lists)[i].json().value);
    if (values == nullptr)
      return fail(Code::kUnsupported, where, ": column ", std::to_string(i), " ('",
                  valid_text(out.features.size() > columns[i] ? out.features[columns[i]] : "", 40),
                  "') has categories that are no numbers, and a row holds numbers", kAdvice);
    out.steps.push_back(engine::Ordinal{columns[i], *values, std::nan("")});
  }
  out.notes.emplace_back("folded", "pandas categories of " + std::to_string(columns.size()) + " columns, as steps");
  return ok_status();
}

}  // namespace

Result<engine::PlainModel> read_lightgbm(std::string_view bytes, const Options& options) {
  WB_TRY(const File file, read_blocks(bytes));
  engine::PlainModel out;
  const std::string_view version = file.header.value("version");
  if (version != "v3" && version != "v4")
    return file.header.unsupported("version", "'", valid_text(version, 16),
                                   "' is not read; v3 and v4 are: load it in LightGBM 3 or 4 and save it again");
  out.notes.emplace_back("library", "lightgbm " + std::string(version));
  engine::Description& model = out;
  WB_TRY(const uint64_t outputs, file.header.count("num_tree_per_iteration", engine::limits::kOutputsMax));
  if (outputs == 0) return file.header.fault("num_tree_per_iteration", "is 0");
  model.base_margins.assign(outputs, 0.0);
  WB_TRY(model.features, read_features(file.header));
  WB_CHECK(set_objective(file.header, out));
  model.compare = engine::Compare::kF64LessEqual;
  model.category = engine::Category::kTruncated;
  model.sum.precision = engine::Precision::kF64;
  WB_CHECK(read_trees(file, options, out));
  WB_CHECK(map_categories(file, options, out));
  return out;
}

}  // namespace wb::imports
