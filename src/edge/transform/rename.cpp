// rename: gives columns new names, all at once, so that two columns may swap theirs.
#include "edge/transform/step.h"

namespace wb::transform {

namespace {
class Rename final : public Step {
 public:
  void run(Batch& batch, int64_t) override { batch.schema = output; }
};

const Spec& spec() {
  static const Spec kSpec{
      .name = "rename",
      .summary = "Gives columns new names.",
      .fields = {{.name = "fields", .type = FieldType::kTextMap, .summary = "old name: new name", .required = true}},
      .example = "transforms:\n  - rename: {fields: {V1: rad_flow}}\n",
      .costs = "None.",
  };
  return kSpec;
}

std::unique_ptr<Step> build(const Values& values, const Schema& in, Problems& problems) {
  auto step = std::make_unique<Rename>();
  step->output = in;
  std::vector<bool> renamed(in.fields.size(), false);
  for (const Document::Entry& entry : values.document("fields").entries) {
    const int index = column_named(in, entry.key, entry.at, "rename", problems);
    if (index < 0) continue;
    if (renamed[static_cast<size_t>(index)]) problems.add(entry.at, "rename: '" + entry.key + "' is renamed twice");
    renamed[static_cast<size_t>(index)] = true;
    step->output.fields[static_cast<size_t>(index)].name = entry.value.text;
  }
  Schema unique;
  for (const FieldDef& field : step->output.fields) {
    if (!new_column_allowed(unique, field.name, values.at("fields"), "rename", problems)) break;
    unique.fields.push_back(field);
  }
  return step;
}
}  // namespace

const Component& rename_component() {
  static const Component kComponent{spec, build};
  return kComponent;
}

}  // namespace wb::transform
