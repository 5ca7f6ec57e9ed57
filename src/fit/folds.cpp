#include "fit/folds.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/prng.h"

namespace wb::fit {
namespace {

// Fisher and Yates, with our own Prng: std::shuffle differs between libraries.
void shuffle(std::vector<size_t>& values, Prng& prng) {
  for (size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[prng.below(i)]);
}

std::vector<std::vector<size_t>> rows_by_class(const Dataset& data) {
  std::vector<std::vector<size_t>> classes(std::max<size_t>(data.classes_count(), 1));
  for (size_t row = 0; row < data.rows_count(); ++row)
    classes[data.labels.empty() ? 0 : static_cast<size_t>(data.targets[row])].push_back(row);
  return classes;
}

// The rows of each group, groups in order of their first row.
std::vector<std::vector<size_t>> rows_by_group(const Dataset& data) {
  uint32_t last = 0;
  for (const uint32_t group : data.groups) last = std::max(last, group);
  std::vector<std::vector<size_t>> groups(data.groups.empty() ? 0 : size_t{last} + 1);
  for (size_t row = 0; row < data.groups.size(); ++row) groups[data.groups[row]].push_back(row);
  std::erase_if(groups, [](const std::vector<size_t>& rows) { return rows.empty(); });
  return groups;
}

// Rows in order of time, with the ends of the moments: no block may end inside one.
struct Moments {
  std::vector<size_t> order;
  std::vector<size_t> ends;
};
Moments moments_of(const Dataset& data) {
  Moments moments;
  moments.order.resize(data.rows_count());
  std::iota(moments.order.begin(), moments.order.end(), size_t{0});
  std::stable_sort(moments.order.begin(), moments.order.end(),
                   [&](size_t a, size_t b) { return data.times[a] < data.times[b]; });
  for (size_t i = 1; i <= moments.order.size(); ++i) {
    if (i == moments.order.size() || data.times[moments.order[i]] != data.times[moments.order[i - 1]])
      moments.ends.push_back(i);
  }
  return moments;
}

// The moment's end that is closest above `wanted` rows.
size_t moment_end(const Moments& moments, size_t wanted) {
  return *std::lower_bound(moments.ends.begin(), moments.ends.end(), std::min(wanted, moments.order.size()));
}

Fold fold_of(const std::vector<bool>& in_test) {
  Fold fold;
  for (size_t row = 0; row < in_test.size(); ++row) (in_test[row] ? fold.test : fold.train).push_back(row);
  return fold;
}

Fold sorted(std::vector<size_t> train, std::vector<size_t> test) {
  std::sort(train.begin(), train.end());
  std::sort(test.begin(), test.end());
  return Fold{std::move(train), std::move(test)};
}

Result<std::vector<Fold>> folds_of_time(const Dataset& data, size_t count) {
  const Moments moments = moments_of(data);
  if (moments.ends.size() <= count) {
    return fail(Code::kInvalid, "the time column has ", std::to_string(moments.ends.size()),
                " different moments; to be judged on the future ", std::to_string(count), " times at least ",
                std::to_string(count + 1), " are needed: use fewer --folds");
  }
  std::vector<Fold> folds;
  const auto at = [&](size_t i) { return moments.order.begin() + static_cast<ptrdiff_t>(i); };
  for (size_t i = 1; i <= count; ++i) {
    const size_t begin = moment_end(moments, data.rows_count() * i / (count + 1));
    const size_t end = moment_end(moments, data.rows_count() * (i + 1) / (count + 1));
    if (begin == end) {
      return fail(Code::kInvalid, "one moment of the time column holds more than a ", std::to_string(count + 1),
                  "th of all rows: use fewer --folds");
    }
    folds.push_back(sorted({at(0), at(begin)}, {at(begin), at(end)}));
  }
  return folds;
}

// Deals hands of rows into `count` parts; each hand goes to the part with the fewest rows so far, the largest first.
void deal_groups(const std::vector<std::vector<size_t>>& groups, size_t count, Prng& prng,
                 std::vector<size_t>& part_of) {
  std::vector<size_t> order(groups.size());
  std::iota(order.begin(), order.end(), size_t{0});
  shuffle(order, prng);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return groups[a].size() > groups[b].size(); });
  std::vector<size_t> sizes(count, 0);
  for (const size_t group : order) {
    const auto part = static_cast<size_t>(std::min_element(sizes.begin(), sizes.end()) - sizes.begin());
    sizes[part] += groups[group].size();
    for (const size_t row : groups[group]) part_of[row] = part;
  }
}

}  // namespace

Result<std::vector<Fold>> make_folds(const Dataset& data, const FoldOptions& options) {
  WB_ASSERT(options.folds >= 2 && options.repeats >= 1);
  if (!data.times.empty()) return folds_of_time(data, options.folds);
  const std::vector<std::vector<size_t>> groups = rows_by_group(data);
  if (data.rows_count() < options.folds || (!data.groups.empty() && groups.size() < options.folds)) {
    return fail(Code::kInvalid, std::to_string(data.groups.empty() ? data.rows_count() : groups.size()),
                data.groups.empty() ? " rows" : " groups", " cannot be parted into ", std::to_string(options.folds),
                " folds: use fewer --folds");
  }
  Prng prng(options.seed);
  std::vector<Fold> folds;
  for (size_t repeat = 0; repeat < options.repeats; ++repeat) {
    std::vector<size_t> part_of(data.rows_count(), 0);
    if (!data.groups.empty()) deal_groups(groups, options.folds, prng, part_of);
    size_t next = 0;  // goes on from class to class, so that parts differ by one row at most
    for (std::vector<size_t>& rows : data.groups.empty() ? rows_by_class(data) : std::vector<std::vector<size_t>>()) {
      shuffle(rows, prng);
      for (const size_t row : rows) part_of[row] = next++ % options.folds;
    }
    for (size_t part = 0; part < options.folds; ++part) {
      std::vector<bool> in_test(data.rows_count());
      for (size_t row = 0; row < in_test.size(); ++row) in_test[row] = part_of[row] == part;
      folds.push_back(fold_of(in_test));
    }
  }
  return folds;
}

Result<Fold> hold_out(const Dataset& data, double share, uint64_t seed) {
  const auto wanted = [share](size_t count) {
    const auto rounded = static_cast<size_t>(std::llround(static_cast<double>(count) * share));
    return count == 0 ? 0 : std::min(std::max<size_t>(rounded, 1), count - 1);
  };
  if (!data.times.empty()) {
    const Moments moments = moments_of(data);
    if (moments.ends.size() < 2)
      return fail(Code::kInvalid, "the time column has one moment only; there is no later one to be judged on");
    size_t begin = moment_end(moments, data.rows_count() - wanted(data.rows_count()));
    if (begin == data.rows_count()) begin = moments.ends[moments.ends.size() - 2];
    const auto cut = moments.order.begin() + static_cast<ptrdiff_t>(begin);
    return sorted({moments.order.begin(), cut}, {cut, moments.order.end()});
  }
  Prng prng(seed);
  if (!data.groups.empty()) {
    std::vector<std::vector<size_t>> groups = rows_by_group(data);
    if (groups.size() < 2)
      return fail(Code::kInvalid, "the group column has one group only; there is no other one to be judged on");
    std::vector<size_t> order(groups.size());
    std::iota(order.begin(), order.end(), size_t{0});
    shuffle(order, prng);
    std::vector<bool> in_test(data.rows_count());
    for (size_t i = 0; i < wanted(groups.size()); ++i)
      for (const size_t row : groups[order[i]]) in_test[row] = true;
    return fold_of(in_test);
  }
  Fold fold;
  for (std::vector<size_t>& rows : rows_by_class(data)) {
    shuffle(rows, prng);
    const auto cut = rows.begin() + static_cast<ptrdiff_t>(wanted(rows.size()));
    fold.test.insert(fold.test.end(), rows.begin(), cut);
    fold.train.insert(fold.train.end(), cut, rows.end());
  }
  return sorted(std::move(fold.train), std::move(fold.test));
}

}  // namespace wb::fit
