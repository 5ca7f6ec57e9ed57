// scale: value × factor + offset, the way field buses and sensor sheets state it.
#include "edge/transform/step.h"

namespace wb::transform {

namespace {
class Scale final : public Step {
 public:
  struct Line {
    size_t column;
    double factor;
    double offset;
  };
  std::vector<Line> lines;

  void run(Batch& batch, int64_t) override {
    for (const Line& line : lines)
      for (double& value : batch.columns[line.column].numbers) value = value * line.factor + line.offset;
  }
};

Field factor_field() {
  return Field{.name = "factor", .type = FieldType::kNumber, .summary = "multiplies the value", .fallback = "1"};
}
Field offset_field() {
  return Field{
      .name = "offset", .type = FieldType::kNumber, .summary = "is added after the multiplication", .fallback = "0"};
}

const Spec& spec() {
  static const Spec kSpec{
      .name = "scale",
      .summary = "Computes value × factor + offset.",
      .fields = {{.name = "fields",
                  .type = FieldType::kDocument,
                  .summary = "list of columns, or a map of column to {factor, offset}",
                  .required = true},
                 factor_field(),
                 offset_field()},
      .example =
          "transforms:\n  - scale: {fields: [temperature], factor: 0.1, offset: -40}\n"
          "  - scale: {fields: {pressure: {factor: 0.01}, flow: {offset: 5}}}\n",
      .costs = "None. Missing values stay missing.",
  };
  return kSpec;
}

std::unique_ptr<Step> build(const Values& values, const Schema& in, Problems& problems) {
  static const Spec kPerField{
      .name = "scale.fields", .summary = "", .fields = {factor_field(), offset_field()}, .example = "", .costs = ""};
  auto step = std::make_unique<Scale>();
  step->output = in;
  const Document& fields = values.document("fields");
  if (fields.is_map()) {
    for (const Document::Entry& entry : fields.entries) {
      const int index = number_column_named(in, entry.key, entry.at, "scale", problems);
      Problems found;
      const Values per_field = check_fields(kPerField, entry.value, found);
      for (const Problem& problem : found.items()) problems.add(problem.at, problem.text);
      if (index >= 0 && found.empty())
        step->lines.push_back({static_cast<size_t>(index), per_field.number("factor"), per_field.number("offset")});
    }
    return step;
  }
  if (!fields.is_list() && !fields.is_scalar())
    problems.add(values.at("fields"),
                 "scale.fields: expected a list of columns, or a map of column to {factor, offset}");
  for (const NameAt& name : names_of(fields)) {
    const int index = number_column_named(in, name.name, name.at, "scale", problems);
    if (index >= 0)
      step->lines.push_back({static_cast<size_t>(index), values.number("factor"), values.number("offset")});
  }
  return step;
}
}  // namespace

const Component& scale_component() {
  static const Component kComponent{spec, build};
  return kComponent;
}

}  // namespace wb::transform
