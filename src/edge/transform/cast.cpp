// cast: text ↔ number.
#include <limits>

#include "base/bytes.h"
#include "edge/transform/step.h"

namespace wb::transform {

namespace {
class Cast final : public Step {
 public:
  struct To {
    size_t column;
    ColumnType type;
  };
  std::vector<To> casts;
  uint64_t not_a_number = 0;

  void run(Batch& batch, int64_t) override {
    for (const To& cast : casts) {
      Column& column = batch.columns[cast.column];
      if (column.type == cast.type) continue;
      if (cast.type == ColumnType::kNumber)
        to_numbers(column);
      else
        to_texts(column);
      column.type = cast.type;
    }
    batch.schema = output;
  }
  void count(std::vector<Count>& out) const override { out.push_back({label, "not_a_number", not_a_number}); }

 private:
  void to_numbers(Column& column) {
    column.numbers.reserve(column.texts.size());
    for (const std::string& text : column.texts) {
      const auto number = parse_double(trim(text));
      if (!number && !text.empty()) ++not_a_number;
      column.numbers.push_back(number ? *number : std::numeric_limits<double>::quiet_NaN());
    }
    column.texts.clear();
  }
  static void to_texts(Column& column) {
    column.texts.reserve(column.numbers.size());
    for (const double number : column.numbers)
      column.texts.push_back(number == number ? shortest(number) : std::string());
    column.numbers.clear();
  }
};

const Spec& spec() {
  static const Spec kSpec{
      .name = "cast",
      .summary = "Turns text columns into numbers, or numbers into text.",
      .fields =
          {{.name = "fields", .type = FieldType::kTextMap, .summary = "column: number or text", .required = true}},
      .example = "transforms:\n  - cast: {fields: {rpm: number}}\n",
      .costs = "Text that is no number becomes missing (NaN) and is counted as not_a_number; the row goes on.",
  };
  return kSpec;
}

std::unique_ptr<Step> build(const Values& values, const Schema& in, Problems& problems) {
  auto step = std::make_unique<Cast>();
  step->output = in;
  for (const Document::Entry& entry : values.document("fields").entries) {
    const int index = column_named(in, entry.key, entry.at, "cast", problems);
    const std::vector<std::string> types = {"number", "text"};
    const bool number = entry.value.text == "number";
    if (!number && entry.value.text != "text")
      problems.add(entry.value.at,
                   "cast: unknown type '" + entry.value.text + "'" + suggestion(entry.value.text, types));
    if (index < 0) continue;
    const ColumnType type = number ? ColumnType::kNumber : ColumnType::kText;
    step->casts.push_back({static_cast<size_t>(index), type});
    step->output.fields[static_cast<size_t>(index)].type = type;
  }
  return step;
}
}  // namespace

const Component& cast_component() {
  static const Component kComponent{spec, build};
  return kComponent;
}

}  // namespace wb::transform
