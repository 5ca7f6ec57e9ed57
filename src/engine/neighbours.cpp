// Nearest neighbours: every point is asked, and the nearest so far are kept in order. That is what a small list on a
// small device can afford, and nothing about it is approximate.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "engine/format.h"
#include "engine/predictors.h"

namespace wb::engine {
namespace {

template <class Number>
struct Near {
  Number distance = 0;  // squared, if euclidean
  uint32_t point = 0;
};
template <class Number>
using Nearest = std::array<Near<Number>, limits::kNeighboursMax>;

// Gives up when the point is farther than `most` already: sums only grow.
template <class Number, class Column>
Number distance_to(Distance kind, const double* point, std::span<const Column> columns, Number most) {
  Number sum = 0;
  for (const Column column : columns) {
    const Number away = static_cast<Number>(column) - static_cast<Number>(*point++);
    sum += kind == Distance::kEuclidean ? away * away : std::fabs(away);
    if (sum > most) break;
  }
  return sum;
}

template <class Number, class Column>
void find_nearest(const Neighbours& all, std::span<const Column> columns, Nearest<Number>& nearest) {
  size_t found = 0;
  const size_t points = all.points.size() / columns.size();
  for (size_t point = 0; point < points; ++point) {
    const bool full = found == all.count;
    const Number most = full ? nearest[found - 1].distance : std::numeric_limits<Number>::infinity();
    const Number distance = distance_to(all.distance, all.points.data() + point * columns.size(), columns, most);
    if (full && !(distance < most)) continue;
    size_t at = full ? found - 1 : found++;
    for (; at > 0 && distance < nearest[at - 1].distance; --at) nearest[at] = nearest[at - 1];
    nearest[at] = {distance, static_cast<uint32_t>(point)};
  }
}

template <class Number>
Number weight_of(const Neighbours& all, Number distance, bool on_point) {
  if (!all.by_distance) return 1;
  if (on_point) return distance == 0 ? Number{1} : Number{0};
  return 1 / (all.distance == Distance::kEuclidean ? std::sqrt(distance) : distance);
}

template <class Number, class Column, class Out>
void predict_row(const Neighbours& all, bool classes, std::span<const Column> columns, std::span<Out> margins) {
  if (std::any_of(columns.begin(), columns.end(), [](Column x) { return std::isnan(x); })) {
    std::fill(margins.begin(), margins.end(), std::numeric_limits<Out>::quiet_NaN());
    return;
  }
  Nearest<Number> nearest;
  find_nearest(all, columns, nearest);
  const size_t outputs = margins.size();
  std::array<Number, limits::kOutputsMax> sums;
  std::fill_n(sums.begin(), outputs, Number{0});
  Number weights = 0;
  const bool on_point = nearest[0].distance == 0;
  for (size_t i = 0; i < all.count; ++i) {
    const Number weight = weight_of(all, nearest[i].distance, on_point);
    const size_t point = nearest[i].point;
    weights += weight;
    if (classes) sums[static_cast<size_t>(all.targets[point])] += weight;
    for (size_t j = 0; !classes && j < outputs; ++j)
      sums[j] += static_cast<Number>(all.targets[point * outputs + j]) * weight;
  }
  for (size_t i = 0; i < outputs; ++i) margins[i] = static_cast<Out>(sums[i] / weights);
}

}  // namespace

Status check_neighbours(const Description& model, const Neighbours& all, size_t width) {
  if (all.distance < Distance::kEuclidean || all.distance > Distance::kManhattan)
    return fail(Code::kInvalid, "the distance is unknown");
  if (model.objective != Objective::kVotes && model.objective != Objective::kRegression)
    return fail(Code::kInvalid, objective_name(model.objective),
                " does not go with neighbours, which vote or are averaged");
  const size_t points = all.points.size() / width;
  if (points == 0 || points > limits::kPointsMax || all.points.size() > limits::kPointNumbersMax ||
      all.points.size() != points * width)
    return fail(Code::kInvalid, "there are ", std::to_string(all.points.size()), " numbers of points with ",
                std::to_string(width), " columns; 1 to ", std::to_string(limits::kPointsMax), " points and at most ",
                std::to_string(limits::kPointNumbersMax), " numbers can be carried");
  if (all.count == 0 || all.count > points || all.count > limits::kNeighboursMax)
    return fail(Code::kInvalid, "asks ", std::to_string(all.count), " of ", std::to_string(points),
                " neighbours; 1 to ", std::to_string(limits::kNeighboursMax), " can be asked");
  const bool classes = !model.labels.empty();
  if (all.targets.size() != points * (classes ? 1 : model.outputs_count()))
    return fail(Code::kInvalid, "there are ", std::to_string(all.targets.size()), " targets for ",
                std::to_string(points), " points");
  WB_CHECK(check_computed(all.points, model, "number"));
  if (!classes) return check_computed(all.targets, model, "target");
  for (size_t i = 0; i < points; ++i) {
    const double label = all.targets[i];
    if (!(label >= 0) || label >= static_cast<double>(model.labels.size()) || label != std::floor(label))
      return fail(Code::kInvalid, "point ", std::to_string(i), " has a label that is not there");
  }
  return ok_status();
}

template <class Column, class Out>
void predict_neighbours(const Description& model, std::span<const Column> rows, std::span<Out> margins) {
  const Neighbours& all = *std::get_if<Neighbours>(&model.predictor);
  const bool classes = !model.labels.empty();
  const size_t outputs = model.outputs_count();
  const size_t n = margins.size() / outputs;
  const size_t width = n == 0 ? 0 : rows.size() / n;
  for (size_t row = 0; row < n; ++row) {
    const auto columns = rows.subspan(row * width, width);
    const auto into = margins.subspan(row * outputs, outputs);
    if (model.sum.precision == Precision::kF32) predict_row<float>(all, classes, columns, into);
    if (model.sum.precision == Precision::kF64) predict_row<double>(all, classes, columns, into);
  }
}
template void predict_neighbours(const Description&, std::span<const float>, std::span<float>);
template void predict_neighbours(const Description&, std::span<const double>, std::span<float>);
template void predict_neighbours(const Description&, std::span<const double>, std::span<double>);

namespace format {

void pack_neighbours(const Neighbours& all, const Description& model, std::string& out) {
  put_byte(out, static_cast<uint8_t>(all.distance));
  put_byte(out, all.by_distance ? 1 : 0);
  put_varint(out, all.count);
  put_varint(out, all.points.size() / columns_count(model));
  for (const double number : all.points) put_number(out, number, model.sum.precision);
  for (const double target : all.targets) {
    if (model.labels.empty()) put_number(out, target, model.sum.precision);
    if (!model.labels.empty()) put_varint(out, static_cast<uint64_t>(target));
  }
}

Result<Neighbours> read_neighbours(ReaderView& in, const Description& model) {
  const size_t bytes = model.sum.precision == Precision::kF32 ? 4 : 8;
  Neighbours all;
  all.distance = static_cast<Distance>(in.byte());
  const uint8_t weighs = in.byte();
  if (weighs > 1) return in.damaged("an unknown way to weigh neighbours");
  all.by_distance = weighs == 1;
  all.count = static_cast<uint32_t>(std::min<uint64_t>(in.varint(), UINT32_MAX));
  const size_t width = columns_count(model);
  const size_t points = in.count(limits::kPointsMax, width * bytes);
  all.points.resize(points * width);
  for (double& number : all.points) number = in.number(model.sum.precision);
  const size_t targets = points * (model.labels.empty() ? model.outputs_count() : 1);
  if (targets * (model.labels.empty() ? bytes : 1) > in.rest().size()) return in.damaged("more targets than bytes");
  all.targets.resize(targets);
  for (double& target : all.targets) {
    target = model.labels.empty() ? in.number(model.sum.precision)
                                  : static_cast<double>(std::min<uint64_t>(in.varint(), UINT32_MAX));
  }
  return all;
}

}  // namespace format
}  // namespace wb::engine
