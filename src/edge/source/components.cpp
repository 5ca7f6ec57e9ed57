// The table of sources. A component that is not listed here does not exist.
#include "edge/source/components.h"

#include <algorithm>

#include "base/bytes.h"

namespace wb::source {

namespace {
std::vector<const Component*> table() {
  return {&http_component(), &mqtt_component(), &file_component(), &stdin_component()};
}

std::string unique_label(const std::string& wanted, const std::vector<SourceConfig>& taken) {
  const auto free = [&](const std::string& label) {
    return std::none_of(taken.begin(), taken.end(), [&](const SourceConfig& source) { return source.label == label; });
  };
  if (free(wanted)) return wanted;
  for (size_t i = 2;; ++i)
    if (free(wanted + "_" + std::to_string(i))) return wanted + "_" + std::to_string(i);
}

void read_one(const Document& item, std::vector<SourceConfig>& out, Problems& problems) {
  const Document::Entry* entry = single_key(item, problems);
  if (entry == nullptr) return;
  std::vector<std::string> names;
  for (const Component* component : table()) {
    const Spec& spec = component->spec();
    names.push_back(spec.name);
    if (spec.name != entry->key) continue;
    SourceConfig config;
    config.at = entry->at;
    const Document* label = item.find("label");
    if (label != nullptr && (!label->is_scalar() || label->text.empty()))
      problems.add(label->at, "label: expected text");
    if (label != nullptr && unique_label(label->text, out) != label->text)
      problems.add(label->at, "label '" + label->text + "' is used twice");
    config.label = label != nullptr ? label->text : unique_label(spec.name, out);
    Problems found;
    const Values values = check_fields(spec, entry->value, found);
    if (found.empty()) component->read(values, config, found);
    for (const Problem& problem : found.items()) problems.add(problem.at, problem.text);
    out.push_back(std::move(config));
    return;
  }
  problems.add(entry->at, "unknown source '" + entry->key + "'" + suggestion(entry->key, names));
}
}  // namespace

Field format_field(std::vector<std::string> choices, std::string fallback) {
  return Field{.name = "format",
               .summary = "how the bytes are to be read",
               .fallback = std::move(fallback),
               .choices = std::move(choices)};
}

const std::vector<Spec>& specs() {
  static const std::vector<Spec> kSpecs = [] {
    std::vector<Spec> out;
    for (const Component* component : table()) out.push_back(component->spec());
    return out;
  }();
  return kSpecs;
}

std::vector<SourceConfig> read_sources(const Document& list, Problems& problems) {
  std::vector<SourceConfig> out;
  if (list.kind == Document::Kind::kNull) return out;
  if (!list.is_list()) {
    problems.add(list.at, "source: expected a list of components, each line beginning with '- '");
    return out;
  }
  if (list.items.size() > kSourcesMax) {
    problems.add(list.at, "source: " + std::to_string(list.items.size()) + " components, at most " +
                              std::to_string(kSourcesMax));
    return out;
  }
  for (const Document& item : list.items) read_one(item, out, problems);
  return out;
}

}  // namespace wb::source
