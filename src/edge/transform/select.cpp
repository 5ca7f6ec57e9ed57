// select: keeps the named columns, in the order named.
#include "edge/transform/step.h"

namespace wb::transform {

namespace {
class Select final : public Step {
 public:
  std::vector<size_t> from;

  void run(Batch& batch, int64_t) override {
    std::vector<Column> kept;
    kept.reserve(from.size());
    for (const size_t index : from) kept.push_back(std::move(batch.columns[index]));
    batch.columns = std::move(kept);
    batch.schema = output;
  }
};

const Spec& spec() {
  static const Spec kSpec{
      .name = "select",
      .summary = "Keeps only the named columns, in the order named.",
      .fields = {{.name = "fields", .type = FieldType::kTextList, .summary = "the columns to keep", .required = true}},
      .example = "transforms:\n  - select: {fields: [vib_rms, temperature]}\n",
      .costs = "The other columns are gone for every later step and are never uploaded.",
  };
  return kSpec;
}

std::unique_ptr<Step> build(const Values& values, const Schema& in, Problems& problems) {
  auto step = std::make_unique<Select>();
  for (const NameAt& name : names_of(values.document("fields"))) {
    const int index = column_named(in, name.name, name.at, "select", problems);
    if (index < 0) continue;
    if (!new_column_allowed(step->output, name.name, name.at, "select", problems)) continue;
    step->from.push_back(static_cast<size_t>(index));
    step->output.fields.push_back(in.fields[static_cast<size_t>(index)]);
  }
  if (values.list("fields").empty()) problems.add(values.at("fields"), "select: names no column");
  return step;
}
}  // namespace

const Component& select_component() {
  static const Component kComponent{spec, build};
  return kComponent;
}

}  // namespace wb::transform
