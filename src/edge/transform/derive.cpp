// derive: new number columns from expressions over the others.
#include "edge/transform/expression.h"
#include "edge/transform/step.h"

namespace wb::transform {

namespace {
class Derive final : public Step {
 public:
  std::vector<std::unique_ptr<Expression>> expressions;

  void run(Batch& batch, int64_t) override {
    for (const auto& expression : expressions) {
      Column column{ColumnType::kNumber, {}, {}};
      expression->evaluate(batch, column.numbers);
      batch.columns.push_back(std::move(column));
    }
    batch.schema = output;
  }
};

const Spec& spec() {
  static const Spec kSpec{
      .name = "derive",
      .summary = "Adds number columns computed from the others.",
      .fields = {{.name = "fields",
                  .type = FieldType::kTextMap,
                  .summary = "new column: expression; a later one may use an earlier one",
                  .required = true}},
      .example =
          "transforms:\n  - derive: {fields: {power: \"voltage * current\", hot: \"temperature > 80 ? 1 : 0\"}}\n",
      .costs =
          "About 50 ns per row and expression. Expressions work on number columns whose names are made of letters, "
          "digits "
          "and _ ('rename' others first). A missing input gives a missing result; division by zero gives an infinity. "
          "Operators: + - * / ^ < <= > >= == != && || ?: and sin cos tan asin acos atan sqrt abs exp ln log2 log10 min "
          "max sum avg rint sign; constants _pi and _e.",
  };
  return kSpec;
}

std::unique_ptr<Step> build(const Values& values, const Schema& in, Problems& problems) {
  auto step = std::make_unique<Derive>();
  step->output = in;
  for (const Document::Entry& entry : values.document("fields").entries) {
    if (!new_column_allowed(step->output, entry.key, entry.at, "derive", problems)) continue;
    auto expression =
        Expression::compile(entry.value.text, step->output, entry.value.at, "derive." + entry.key, problems);
    if (expression == nullptr) return step;
    step->expressions.push_back(std::move(expression));
    step->output.fields.push_back({entry.key, ColumnType::kNumber});
  }
  return step;
}
}  // namespace

const Component& derive_component() {
  static const Component kComponent{spec, build};
  return kComponent;
}

}  // namespace wb::transform
