// What stands before the trees, as steps. Each column that the trees take gets a place of its own by one Select, so
// that all changes happen in place, level by level; one-hot columns go last, and a Select at the end puts all in order.
#include <algorithm>

#include "import/onnx_internal.h"

namespace wb::imports::onnx {
namespace {

struct Place {
  uint32_t feature = 0;
  std::vector<Change> changes;            // without the one-hot
  std::optional<size_t> categories = {};  // of the one-hot that follows
  bool operator==(const Place&) const = default;
};

struct Layout {
  std::vector<Place> plain;
  std::vector<Place> one_hot;
  struct Target {
    bool one_hot = false;
    size_t place = 0;
    size_t category = 0;
  };
  std::vector<Target> targets;  // one per column that the trees see
};

Layout lay_out(const Columns& columns) {
  Layout out;
  for (const Column& column : columns.columns) {
    Place place{column.feature, column.changes};
    if (place.changes.empty() || place.changes.back().kind != Change::Kind::kOneHot) {
      out.targets.push_back({false, out.plain.size(), 0});
      out.plain.push_back(std::move(place));
      continue;
    }
    const Change last = place.changes.back();
    place.changes.pop_back();
    place.categories = last.categories;
    const auto found = std::find(out.one_hot.begin(), out.one_hot.end(), place);
    out.targets.push_back({true, static_cast<size_t>(found - out.one_hot.begin()), last.category});
    if (found == out.one_hot.end()) out.one_hot.push_back(std::move(place));
  }
  return out;
}

void select(const std::vector<uint32_t>& from, size_t width, std::vector<engine::Step>& steps) {
  bool same = from.size() == width;
  for (size_t i = 0; same && i < width; ++i) same = from[i] == i;
  if (!same) steps.emplace_back(engine::Select{from});
}

// What happens to all places at one level: one step for each kind of scaling, one for imputing, one for each ordinal.
void write_level(const std::vector<Place>& places, size_t level, const Categories& categories,
                 std::vector<engine::Step>& steps) {
  constexpr engine::Scale::Form kForms[] = {engine::Scale::Form::kShiftDivide, engine::Scale::Form::kShiftMultiply,
                                            engine::Scale::Form::kMultiplyShift};
  engine::Scale scales[std::size(kForms)];
  engine::Impute impute;
  std::vector<engine::Step> ordinals;
  for (size_t i = 0; i < places.size(); ++i) {
    if (level >= places[i].changes.size()) continue;
    const Change& change = places[i].changes[level];
    const auto column = static_cast<uint32_t>(i);
    if (change.kind == Change::Kind::kImpute) {
      impute.columns.push_back(column);
      impute.values.push_back(change.a);
    } else if (change.kind == Change::Kind::kOrdinal) {
      ordinals.emplace_back(engine::Ordinal{column, categories[change.categories], change.a});
    } else {
      engine::Scale& scale = scales[static_cast<size_t>(std::find(kForms, std::end(kForms), change.form) - kForms)];
      scale.form = change.form;
      scale.columns.push_back(column);
      scale.a.push_back(change.a);
      scale.b.push_back(change.b);
    }
  }
  for (engine::Scale& scale : scales)
    if (!scale.columns.empty()) steps.emplace_back(std::move(scale));
  if (!impute.columns.empty()) steps.emplace_back(std::move(impute));
  for (engine::Step& ordinal : ordinals) steps.push_back(std::move(ordinal));
}

}  // namespace

Status write_steps(const Columns& columns, const Categories& categories, engine::Description& model) {
  const Layout layout = lay_out(columns);
  std::vector<Place> places = layout.plain;
  places.insert(places.end(), layout.one_hot.begin(), layout.one_hot.end());
  std::vector<uint32_t> from;
  size_t levels = 0;
  for (const Place& place : places) {
    from.push_back(place.feature);
    levels = std::max(levels, place.changes.size());
  }
  select(from, model.features.size(), model.steps);
  for (size_t level = 0; level < levels && model.steps.size() <= engine::limits::kStepsMax; ++level)
    write_level(places, level, categories, model.steps);

  // Each one-hot takes its column away and puts its own behind the last, so the next one stands where it stood.
  std::vector<size_t> first;
  size_t width = layout.plain.size();
  for (const Place& place : layout.one_hot) {
    first.push_back(width);
    width += categories[*place.categories].size();
    model.steps.emplace_back(engine::OneHot{static_cast<uint32_t>(layout.plain.size()), categories[*place.categories]});
  }
  std::vector<uint32_t> order;
  for (const Layout::Target& target : layout.targets)
    order.push_back(static_cast<uint32_t>(target.one_hot ? first[target.place] + target.category : target.place));
  select(order, width, model.steps);
  if (model.steps.size() > engine::limits::kStepsMax)
    return fail(Code::kUnsupported, "the graph changes its columns in more than ",
                std::to_string(engine::limits::kStepsMax), " steps");
  if (!model.steps.empty()) model.steps_precision = columns.steps_precision();
  return ok_status();
}

}  // namespace wb::imports::onnx
