#include "fit/cart.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <optional>

#include "base/assert.h"

namespace wb::fit {
namespace {

constexpr size_t kBinsMax = 255;
constexpr uint8_t kMissingBin = 255;
constexpr float kCoverMin = std::numeric_limits<float>::min();  // no leaf is without rows

// Each feature cut into bins: a value x is in the first bin whose cut it does not exceed, or in the last.
class Bins {
 public:
  explicit Bins(const Dataset& data) : rows_count_(data.rows_count()), bins_(data.features.size() * rows_count_) {
    std::vector<float> values;
    for (size_t feature = 0; feature < data.features.size(); ++feature) {
      values.clear();
      for (size_t row = 0; row < rows_count_; ++row)
        if (const float x = data.row(row)[feature]; !std::isnan(x)) values.push_back(x);
      std::sort(values.begin(), values.end());
      cuts_.push_back(cuts_of(values));
      const std::vector<float>& cuts = cuts_.back();
      for (size_t row = 0; row < rows_count_; ++row) {
        const float x = data.row(row)[feature];
        const auto bin = std::lower_bound(cuts.begin(), cuts.end(), x) - cuts.begin();
        bins_[feature * rows_count_ + row] = std::isnan(x) ? kMissingBin : static_cast<uint8_t>(bin);
      }
    }
  }
  uint8_t bin(size_t feature, size_t row) const { return bins_[feature * rows_count_ + row]; }
  const std::vector<float>& cuts(size_t feature) const { return cuts_[feature]; }

 private:
  // Between neighbouring values, at about equal counts; a cut belongs to its left.
  static std::vector<float> cuts_of(const std::vector<float>& sorted) {
    std::vector<float> cuts;
    size_t different = 0;
    for (size_t i = 0; i < sorted.size(); ++i) different += i == 0 || sorted[i] != sorted[i - 1] ? 1 : 0;
    const size_t step = different <= kBinsMax ? 1 : (sorted.size() + kBinsMax - 1) / kBinsMax;
    size_t since = 0;
    for (size_t i = 1; i < sorted.size() && cuts.size() + 1 < kBinsMax; ++i) {
      ++since;
      if (sorted[i] == sorted[i - 1] || since < step) continue;
      const float middle = sorted[i - 1] + (sorted[i] - sorted[i - 1]) / 2;
      cuts.push_back(middle < sorted[i] && middle >= sorted[i - 1] ? middle : sorted[i - 1]);
      since = 0;
    }
    return cuts;
  }

  size_t rows_count_;
  std::vector<uint8_t> bins_;  // u8[features, rows]
  std::vector<std::vector<float>> cuts_;
};

// What is known of some rows: their weight in each class; or weight, sum and sum of squares of their targets.
class Tally {
 public:
  Tally() = default;
  explicit Tally(size_t classes) : sums_(classes == 0 ? 3 : classes), of_values_(classes == 0) {}
  void add(float target, double weight) {
    if (!of_values_) {
      sums_[static_cast<size_t>(target)] += weight;
      return;
    }
    const auto value = static_cast<double>(target);
    sums_[0] += weight;
    sums_[1] += weight * value;
    sums_[2] += weight * value * value;
  }
  void add(const Tally& other) {
    for (size_t i = 0; i < sums_.size(); ++i) sums_[i] += other.sums_[i];
  }
  void take(const Tally& other) {
    for (size_t i = 0; i < sums_.size(); ++i) sums_[i] -= other.sums_[i];
  }
  void clear() { std::fill(sums_.begin(), sums_.end(), 0.0); }
  double weight() const { return of_values_ ? sums_[0] : std::accumulate(sums_.begin(), sums_.end(), 0.0); }
  // Weight times Gini impurity; or the sum of squared distances from the mean.
  double impurity() const {
    const double total = weight();
    if (total <= 0) return 0;
    if (of_values_) return std::max(0.0, sums_[2] - sums_[1] * sums_[1] / total);
    double squares = 0;
    for (const double one : sums_) squares += one * one;
    return total - squares / total;
  }
  double sum(size_t i) const { return sums_[i]; }
  size_t size() const { return sums_.size(); }

 private:
  std::vector<double> sums_;
  bool of_values_ = false;
};

struct Split {
  size_t feature = 0;
  size_t bin = 0;  // bins up to it go left
  bool missing_left = false;
  double gain = 0;
};

// Grows one tree over rows that have weights of their own.
class Grower {
 public:
  Grower(const Dataset& data, const Bins& bins, const CartOptions& options)
      : data_(data), bins_(bins), options_(options), histogram_(kBinsMax + 1, Tally(data.classes_count())) {
    whole_ = Tally(data.classes_count());
    for (size_t row = 0; row < data.rows_count(); ++row) whole_.add(data.targets[row], data.weight(row));
    row_weight_ = whole_.weight() / static_cast<double>(data.rows_count());
  }

  engine::Tree tree(std::vector<size_t> rows, std::vector<double> weights, Prng prng) {
    tree_ = {};
    vectors_.clear();
    weights_ = std::move(weights);
    prng_ = prng;
    tree_.nodes.emplace_back();
    grow(0, rows, 0);
    return std::move(tree_);
  }

 private:
  void grow(size_t node, std::span<size_t> rows, size_t depth) {  // NOLINT(misc-no-recursion): depth is bounded
    Tally tally(data_.classes_count());
    for (const size_t row : rows) tally.add(data_.targets[row], weights_[row]);
    std::optional<Split> split;
    if (depth < options_.depth && rows.size() >= 2) split = best_split(rows, tally);
    if (!split || tree_.nodes.size() + 2 > engine::limits::kTreeNodesMax) {
      leaf(node, tally);
      return;
    }
    const auto middle = std::partition(rows.begin(), rows.end(), [&](size_t row) { return goes_left(*split, row); });
    const auto left_count = static_cast<size_t>(middle - rows.begin());
    const auto left = static_cast<int32_t>(tree_.nodes.size());
    tree_.nodes.resize(tree_.nodes.size() + 2);
    engine::TreeNode& parent = tree_.nodes[node];
    parent.left = left;
    parent.right = left + 1;
    parent.feature = static_cast<uint32_t>(split->feature);
    parent.value = static_cast<double>(bins_.cuts(split->feature)[split->bin]);
    parent.default_left = split->missing_left;
    grow(static_cast<size_t>(left), rows.subspan(0, left_count), depth + 1);
    grow(static_cast<size_t>(left) + 1, rows.subspan(left_count), depth + 1);
  }

  bool goes_left(const Split& split, size_t row) const {
    const uint8_t bin = bins_.bin(split.feature, row);
    return bin == kMissingBin ? split.missing_left : bin <= split.bin;
  }

  // The features that this split may look at: all, or in a forest √p of classes and p / 3 of values.
  std::vector<size_t> looked_at() {
    std::vector<size_t> features(data_.features.size());
    std::iota(features.begin(), features.end(), size_t{0});
    if (options_.trees == 1) return features;
    const auto all = static_cast<double>(features.size());
    const auto wanted = std::max<size_t>(
        1, data_.labels.empty() ? features.size() / 3 : static_cast<size_t>(std::lround(std::sqrt(all))));
    for (size_t i = 0; i < wanted; ++i) std::swap(features[i], features[i + prng_.below(features.size() - i)]);
    features.resize(wanted);
    return features;
  }

  std::optional<Split> best_split(std::span<const size_t> rows, const Tally& tally) {
    const double impurity = tally.impurity();
    Split best;
    best.gain = 1e-9 * std::max(impurity, row_weight_);  // less is rounding
    bool found = false;
    for (const size_t feature : looked_at()) found = look_at(feature, rows, tally, best) || found;
    if (!found) return std::nullopt;
    return best;
  }

  // Whether a split on this feature is better than `best`, which it then is.
  bool look_at(size_t feature, std::span<const size_t> rows, const Tally& tally, Split& best) {
    const size_t bins = bins_.cuts(feature).size() + 1;
    for (size_t bin = 0; bin < bins; ++bin) histogram_[bin].clear();
    Tally& missing = histogram_[kMissingBin];
    missing.clear();
    for (const size_t row : rows) histogram_[bins_.bin(feature, row)].add(data_.targets[row], weights_[row]);
    const bool has_missing = missing.weight() > 0;
    bool found = false;
    Tally left(data_.classes_count());
    for (size_t bin = 0; bin + 1 < bins; ++bin) {
      left.add(histogram_[bin]);
      for (int side = 0; side < (has_missing ? 2 : 1); ++side) {
        Tally here = left;
        if (side == 1) here.add(missing);
        Tally other = tally;
        other.take(here);
        const double least = options_.leaf_rows * row_weight_;
        if (here.weight() < least || other.weight() < least) continue;
        const double gain = tally.impurity() - here.impurity() - other.impurity();
        if (gain <= best.gain) continue;
        best = Split{feature, bin, has_missing ? side == 1 : here.weight() >= other.weight(), gain};
        found = true;
      }
    }
    return found;
  }

  void leaf(size_t node, const Tally& tally) {
    engine::TreeNode& out = tree_.nodes[node];
    tree_.covers.resize(std::max(tree_.covers.size(), node + 1));
    tree_.covers[node] = static_cast<double>(std::max(static_cast<float>(tally.weight()), kCoverMin));
    const double prior = row_weight_ / whole_.weight();
    if (data_.labels.empty()) {
      out.value = static_cast<double>(static_cast<float>(tally.sum(1) / tally.weight()));
      return;
    }
    std::vector<float> shares;
    for (size_t i = 0; i < tally.size(); ++i)
      shares.push_back(static_cast<float>((tally.sum(i) + prior * whole_.sum(i)) / (tally.weight() + row_weight_)));
    if (shares.size() == 2) {  // one share says both
      out.value = static_cast<double>(shares[1]);
      return;
    }
    const auto [place, is_new] = vectors_.emplace(shares, static_cast<uint32_t>(vectors_.size()));
    out.feature = place->second;
    if (is_new) tree_.vectors.insert(tree_.vectors.end(), shares.begin(), shares.end());
  }

  const Dataset& data_;
  const Bins& bins_;
  const CartOptions& options_;
  std::vector<Tally> histogram_;
  Tally whole_;
  double row_weight_ = 1;
  std::vector<double> weights_;
  Prng prng_{0};
  engine::Tree tree_;
  std::map<std::vector<float>, uint32_t> vectors_;  // of this tree: equal leaves share one
};

}  // namespace

engine::PlainModel grow(const Dataset& data, const CartOptions& options) {
  WB_ASSERT(options.trees >= 1 && options.trees <= engine::limits::kTreesMax && data.rows_count() > 0);
  engine::PlainModel model = blank(data);
  if (options.trees > 1) model.sum.divisor = static_cast<double>(options.trees);
  const Bins bins(data);
  Grower grower(data, bins, options);
  Prng prng(options.seed);
  for (size_t tree = 0; tree < options.trees; ++tree) {
    std::vector<double> weights(data.rows_count(), options.trees == 1 ? 1.0 : 0.0);
    if (options.trees > 1)
      for (size_t i = 0; i < weights.size(); ++i) weights[prng.below(weights.size())] += 1;
    std::vector<size_t> rows;
    for (size_t row = 0; row < weights.size(); ++row) {
      if (weights[row] > 0) rows.push_back(row);
      weights[row] *= data.weight(row);
    }
    model.trees.push_back(grower.tree(std::move(rows), std::move(weights), prng.split()));
  }
  return model;
}

}  // namespace wb::fit
