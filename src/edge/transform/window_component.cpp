// window: the component's fields, and how "mean(x)" is read.
#include "base/bytes.h"
#include "edge/transform/window.h"

namespace wb::transform {

namespace {
const std::vector<std::string>& statistic_names() {
  static const std::vector<std::string> kNames = {"count", "mean", "std", "min", "max", "rms", "slope", "quantile"};
  return kNames;
}

const Spec& spec() {
  static const Spec kSpec{
      .name = "window",
      .summary = "Turns rows into one row of statistics per time window and key.",
      .fields = {{.name = "every",
                  .type = FieldType::kDuration,
                  .summary = "a window begins this often",
                  .required = true,
                  .min = 1,
                  .max = 31 * 86'400'000.0},
                 {.name = "length",
                  .type = FieldType::kDuration,
                  .summary = "length of a window; equal to every (the default): tumbling, longer: sliding",
                  .min = 1,
                  .max = 31 * 86'400'000.0},
                 {.name = "by", .summary = "column to keep apart; it comes first in the output"},
                 {.name = "lateness",
                  .type = FieldType::kDuration,
                  .summary = "how long to wait for rows that arrive out of order",
                  .fallback = "0",
                  .min = 0,
                  .max = 31 * 86'400'000.0},
                 {.name = "ahead",
                  .type = FieldType::kDuration,
                  .summary = "drop rows whose event time is further than this ahead of this device's clock",
                  .min = 0,
                  .max = 31 * 86'400'000.0},
                 {.name = "keys",
                  .type = FieldType::kInteger,
                  .summary = "most keys at a time; beyond that the key not seen for longest is closed early",
                  .fallback = "1024",
                  .min = 1,
                  .max = static_cast<double>(kKeysMax)},
                 {.name = "fields",
                  .type = FieldType::kTextMap,
                  .summary = "output column: count(), count(x), mean(x), std(x), min(x), max(x), rms(x), slope(x) or "
                             "quantile(x, 0.95)",
                  .required = true}},
      .example =
          "transforms:\n  - window: {every: 5s, by: unit, lateness: 1s, fields: {vib_mean: mean(vib), vib_p95: "
          "\"quantile(vib, 0.95)\"}}\n",
      .costs =
          "Rows of windows that are still open live in memory only: a crash or restart loses them. A window closes "
          "when a row "
          "arrives whose event time is past its end plus the lateness, so the last window of a silent source stays "
          "open. A row "
          "that comes after all its windows closed is dropped and counted as late. One row with an event time far in "
          "the future "
          "makes all that follow late: set 'ahead' where device clocks are right and producers' are not. Missing "
          "values are left "
          "out; if none is there the result is missing. std divides by n; slope is least squares per second, missing "
          "for fewer "
          "than two distinct times. quantile keeps at most 4096 values per window and key and ignores the rest "
          "(counted as "
          "quantile_overflow). An evicted key's windows are handed on early, and again if the key returns.",
  };
  return kSpec;
}

size_t input_for(WindowConfig& config, size_t column) {
  for (size_t i = 0; i < config.inputs.size(); ++i)
    if (config.inputs[i].column == column) return i;
  config.inputs.push_back({column, false, -1});
  return config.inputs.size() - 1;
}

// "quantile(x, 0.95)" → name, argument, q. False after a problem.
bool read_output(const Document::Entry& entry, const Schema& in, WindowConfig& config, Problems& problems) {
  const std::string where = "window." + entry.key;
  const Position at = entry.value.at;
  const std::string_view text = trim(entry.value.text);
  const size_t open = text.find('(');
  if (open == std::string_view::npos || text.back() != ')') {
    problems.add(at, where + ": expected a statistic such as mean(x), got '" + std::string(text.substr(0, 60)) + "'");
    return false;
  }
  const std::string_view name = trim(text.substr(0, open));
  std::string_view argument = trim(text.substr(open + 1, text.size() - open - 2));
  WindowOutput out;
  size_t which = 0;
  while (which < statistic_names().size() && statistic_names()[which] != name) ++which;
  if (which == statistic_names().size()) {
    problems.add(at, where + ": unknown statistic '" + std::string(name.substr(0, 60)) + "'" +
                         suggestion(name, statistic_names()));
    return false;
  }
  out.statistic = static_cast<Statistic>(which);
  if (out.statistic == Statistic::kQuantile) {
    const size_t comma = argument.rfind(',');
    const auto q = comma == std::string_view::npos ? std::nullopt : parse_double(trim(argument.substr(comma + 1)));
    if (!q || !(*q >= 0 && *q <= 1)) {
      problems.add(at, where + ": quantile takes a column and a number from 0 to 1, as in quantile(x, 0.95)");
      return false;
    }
    out.q = *q;
    argument = trim(argument.substr(0, comma));
  }
  if (!(out.statistic == Statistic::kCount && argument.empty())) {
    const int column = number_column_named(in, argument, at, where, problems);
    if (column < 0) return false;
    out.input = static_cast<int>(input_for(config, static_cast<size_t>(column)));
    WindowConfig::Input& input = config.inputs[static_cast<size_t>(out.input)];
    input.slope = input.slope || out.statistic == Statistic::kSlope;
    if (out.statistic == Statistic::kQuantile && input.values < 0)
      input.values = static_cast<int>(config.kept_inputs++);
  }
  config.outputs.push_back(out);
  return true;
}

void check_sizes(const Values& values, const WindowConfig& config, Problems& problems) {
  if (config.length_ms < config.every_ms) {
    problems.add(values.at("length"),
                 "window.length: must not be shorter than every: rows between the windows would be lost");
    return;
  }
  const int64_t overlap = (config.length_ms + config.every_ms - 1) / config.every_ms;
  if (overlap > static_cast<int64_t>(kWindowOverlapMax))
    problems.add(values.at("length"), "window.length: a row would belong to " + std::to_string(overlap) +
                                          " windows, at most " + std::to_string(kWindowOverlapMax) + "; raise every");
  const int64_t open = (config.length_ms + config.lateness_ms) / config.every_ms + 2;
  if (open > static_cast<int64_t>(kWindowsOpenMax))
    problems.add(values.at("lateness"), "window.lateness: " + std::to_string(open) +
                                            " windows would be open at a time, at most " +
                                            std::to_string(kWindowsOpenMax) + "; raise every or lower lateness");
  else if (static_cast<size_t>(open) * config.cell_bytes() > kWindowBytesMax)
    problems.add(values.at("fields"), "window: the open windows of one key would need more than " +
                                          std::to_string(kWindowBytesMax >> 20) +
                                          " MiB; use fewer columns or raise every");
}

std::unique_ptr<Step> build(const Values& values, const Schema& in, Problems& problems) {
  WindowConfig config;
  Schema out;
  config.every_ms = values.integer("every");
  config.length_ms = values.has("length") ? values.integer("length") : config.every_ms;
  config.lateness_ms = values.integer("lateness");
  if (values.has("ahead")) config.ahead_ms = values.integer("ahead");
  if (values.has("by")) {
    config.keys_max = static_cast<size_t>(values.integer("keys"));
    config.by = column_named(in, values.text("by"), values.at("by"), "window.by", problems);
    if (config.by >= 0) {
      out.fields.push_back(in.fields[static_cast<size_t>(config.by)]);
      config.by_text = out.fields[0].type == ColumnType::kText;
    }
  }
  const Document& fields = values.document("fields");
  if (fields.entries.empty()) problems.add(values.at("fields"), "window.fields: names no output column");
  if (fields.entries.size() > kWindowFieldsMax) {
    problems.add(values.at("fields"), "window.fields: more than " + std::to_string(kWindowFieldsMax) + " outputs");
    return nullptr;
  }
  for (const Document::Entry& entry : fields.entries) {
    if (!new_column_allowed(out, entry.key, entry.at, "window", problems)) continue;
    if (read_output(entry, in, config, problems)) out.fields.push_back({entry.key, ColumnType::kNumber});
  }
  check_sizes(values, config, problems);
  if (!problems.empty()) return nullptr;
  return std::make_unique<Window>(std::move(config), std::move(out));
}
}  // namespace

const Component& window_component() {
  static const Component kComponent{spec, build};
  return kComponent;
}

}  // namespace wb::transform
