// filter: keeps the rows for which an expression is true.
#include "edge/transform/expression.h"
#include "edge/transform/step.h"

namespace wb::transform {

namespace {
class Filter final : public Step {
 public:
  std::unique_ptr<Expression> where;
  uint64_t filtered = 0;

  void run(Batch& batch, int64_t) override {
    where->evaluate(batch, truth_);
    size_t kept = 0;
    for (size_t row = 0; row < truth_.size(); ++row) {
      if (truth_[row] == 0 || truth_[row] != truth_[row]) continue;  // false, or NaN: not known to be true
      if (kept != row) move_row(batch, row, kept);
      ++kept;
    }
    filtered += truth_.size() - kept;
    for (Column& column : batch.columns) {
      if (column.type == ColumnType::kNumber)
        column.numbers.resize(kept);
      else
        column.texts.resize(kept);
    }
    batch.event_time_ms.resize(kept);
  }
  void count(std::vector<Count>& out) const override { out.push_back({label, "filtered", filtered}); }

 private:
  std::vector<double> truth_;

  static void move_row(Batch& batch, size_t from, size_t to) {
    for (Column& column : batch.columns) {
      if (column.type == ColumnType::kNumber)
        column.numbers[to] = column.numbers[from];
      else
        column.texts[to] = std::move(column.texts[from]);
    }
    batch.event_time_ms[to] = batch.event_time_ms[from];
  }
};

const Spec& spec() {
  static const Spec kSpec{
      .name = "filter",
      .summary = "Keeps the rows for which an expression is true.",
      .fields = {{.name = "where",
                  .summary = "expression over number columns; see derive for its grammar",
                  .required = true}},
      .example = "transforms:\n  - filter: {where: \"rpm > 100 && temperature < 200\"}\n",
      .costs =
          "The other rows are gone; they are counted as filtered. A comparison with a missing value is false. "
          "Expressions "
          "work on numbers: text columns cannot be compared.",
  };
  return kSpec;
}

std::unique_ptr<Step> build(const Values& values, const Schema& in, Problems& problems) {
  auto step = std::make_unique<Filter>();
  step->output = in;
  step->where = Expression::compile(values.text("where"), in, values.at("where"), "filter.where", problems);
  return step;
}
}  // namespace

const Component& filter_component() {
  static const Component kComponent{spec, build};
  return kComponent;
}

}  // namespace wb::transform
