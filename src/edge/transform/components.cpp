// The table of transforms, and the chain made of them. A component that is not listed here does not exist.
#include <algorithm>

#include "base/bytes.h"
#include "edge/transform/step.h"

namespace wb::transform {

namespace {
std::vector<const Component*> table() {
  return {&select_component(), &rename_component(), &cast_component(),  &scale_component(),
          &derive_component(), &filter_component(), &window_component()};
}

std::string unique_label(const std::string& wanted, const std::vector<std::string>& taken) {
  const auto free = [&](const std::string& label) {
    return std::find(taken.begin(), taken.end(), label) == taken.end();
  };
  if (free(wanted)) return wanted;
  for (size_t i = 2;; ++i)
    if (free(wanted + "_" + std::to_string(i))) return wanted + "_" + std::to_string(i);
}

std::unique_ptr<Step> build_one(const Document& item, const Schema& in, std::vector<std::string>& labels,
                                Problems& problems) {
  const Document::Entry* entry = single_key(item, problems);
  if (entry == nullptr) return nullptr;
  std::vector<std::string> names;
  for (const Component* component : table()) {
    const Spec& spec = component->spec();
    names.push_back(spec.name);
    if (spec.name != entry->key) continue;
    const Document* label = item.find("label");
    if (label != nullptr && (!label->is_scalar() || label->text.empty()))
      problems.add(label->at, "label: expected text");
    if (label != nullptr && unique_label(label->text, labels) != label->text)
      problems.add(label->at, "label '" + label->text + "' is used twice");
    Problems found;
    const Values values = check_fields(spec, entry->value, found);
    std::unique_ptr<Step> step = found.empty() ? component->build(values, in, found) : nullptr;
    for (const Problem& problem : found.items()) problems.add(problem.at, problem.text);
    if (!found.empty()) return nullptr;
    step->label = unique_label(label != nullptr ? label->text : spec.name, labels);
    labels.push_back(step->label);
    return step;
  }
  problems.add(entry->at, "unknown transform '" + entry->key + "'" + suggestion(entry->key, names));
  return nullptr;
}
}  // namespace

const std::vector<Spec>& specs() {
  static const std::vector<Spec> kSpecs = [] {
    std::vector<Spec> out;
    for (const Component* component : table()) out.push_back(component->spec());
    return out;
  }();
  return kSpecs;
}

std::vector<NameAt> names_of(const Document& list_or_scalar) {
  std::vector<NameAt> out;
  if (list_or_scalar.is_scalar()) out.push_back({list_or_scalar.text, list_or_scalar.at});
  for (const Document& item : list_or_scalar.items) out.push_back({item.text, item.at});
  return out;
}

int column_named(const Schema& in, std::string_view name, Position at, std::string_view where, Problems& problems) {
  const int index = in.index_of(name);
  if (index < 0)
    problems.add(at, std::string(where) + ": there is no column '" + std::string(name) + "' here" +
                         suggestion(name, in.names()));
  return index;
}

int number_column_named(const Schema& in, std::string_view name, Position at, std::string_view where,
                        Problems& problems) {
  const int index = column_named(in, name, at, where, problems);
  if (index < 0 || in.fields[static_cast<size_t>(index)].type == ColumnType::kNumber) return index;
  problems.add(at, std::string(where) + ": column '" + std::string(name) + "' holds text; 'cast' it to number first");
  return -1;
}

bool new_column_allowed(const Schema& schema, std::string_view name, Position at, std::string_view where,
                        Problems& problems) {
  std::string fault;
  if (name.empty() || name.size() > Schema::kNameBytesMax)
    fault = "a column name has 1 to " + std::to_string(Schema::kNameBytesMax) + " bytes";
  else if (schema.index_of(name) >= 0)
    fault = "there is a column '" + std::string(name) + "' already; 'rename' that one or choose another name";
  else if (schema.fields.size() >= Schema::kFieldsMax)
    fault = "more than " + std::to_string(Schema::kFieldsMax) + " columns";
  if (!fault.empty()) problems.add(at, std::string(where) + ": " + fault);
  return fault.empty();
}

Chain::Chain() = default;
Chain::~Chain() = default;
Chain::Chain(Chain&&) noexcept = default;
Chain& Chain::operator=(Chain&&) noexcept = default;

Chain Chain::build(const Document& list, const Schema& in, Problems& problems) {
  Chain out;
  out.input_ = out.output_ = in;
  if (list.kind == Document::Kind::kNull) return out;
  if (!list.is_list()) {
    problems.add(list.at, "transforms: expected a list of components, each line beginning with '- '");
    return out;
  }
  if (list.items.size() > kStepsMax) {
    problems.add(list.at, "transforms: " + std::to_string(list.items.size()) + " components, at most " +
                              std::to_string(kStepsMax));
    return out;
  }
  std::vector<std::string> labels;
  for (const Document& item : list.items) {
    std::unique_ptr<Step> step = build_one(item, out.output_, labels, problems);
    // After a fault the columns are no longer known; checking the rest against them would only add noise.
    if (step == nullptr) return out;
    out.output_ = step->output;
    out.steps_.push_back(std::move(step));
  }
  return out;
}

Batch Chain::run(Batch in, int64_t now_unix_ms) {
  for (const auto& step : steps_) step->run(in, now_unix_ms);
  return in;
}

Batch Chain::flush(int64_t now_unix_ms) {
  Batch batch = Batch::with_schema(input_);
  for (const auto& step : steps_) step->flush(batch, now_unix_ms);
  return batch;
}

bool Chain::pending() const {
  return std::any_of(steps_.begin(), steps_.end(), [](const auto& step) { return step->pending(); });
}

bool Chain::holds_rows() const {
  return std::any_of(steps_.begin(), steps_.end(), [](const auto& step) { return step->holds_rows(); });
}

std::vector<Count> Chain::counters() const {
  std::vector<Count> out;
  for (const auto& step : steps_) step->count(out);
  return out;
}

}  // namespace wb::transform
