// Ladders of thresholds for the kernels, which count in them; categories are looked up here.
#include "engine/ranker.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace wb::engine {

Ranker::Ranker(const std::vector<Slot>& slots, const Description& model)
    : compare_(model.compare), category_(model.category) {
  for (const Slot& slot : slots) {
    Place& place = places_.emplace_back();
    place.categorical = slot.categorical;
    const size_t each = slot.categorical ? slot.sets.size() : 1;
    if (slot.side != Side::kLeft) place.right = static_cast<uint16_t>(positions_);
    if (slot.side != Side::kLeft) positions_ += each;
    if (slot.side != Side::kRight) place.left = static_cast<uint16_t>(positions_);
    if (slot.side != Side::kRight) positions_ += each;
  }
  WB_ASSERT(positions_ <= kPositionsMax);
  const auto unread = static_cast<uint16_t>(positions_ + 1);
  for (size_t i = 0; i < slots.size(); ++i) {
    const Slot& slot = slots[i];
    const Place& place = places_[i];
    if (slot.categorical) {
      categories_.push_back(Categories{slot.column, slot.missing, place, slot.sets});
      continue;
    }
    kernels::Rung rung{slot.column, 0, place.right, place.left};
    if (rung.right == kNowhere) rung.right = unread;
    if (rung.left == kNowhere) rung.left = unread;
    const bool f64 = compare_ == Compare::kF64LessEqual;
    rung.begin = f64 ? add_ladder(slot, ladders_f64_) : add_ladder(slot, ladders_f32_);
    rungs_[static_cast<size_t>(slot.missing) - 1].push_back(rung);
  }
}

template <class Number>
uint32_t Ranker::add_ladder(const Slot& slot, std::vector<kernels::Steps<Number>>& ladders) {
  constexpr size_t kEach = kernels::kStepsCount;
  static_assert(kSlotRanksMax < kEach * kEach);
  kernels::Steps<Number> nothing;
  std::fill_n(nothing.numbers, kEach, std::numeric_limits<Number>::quiet_NaN());
  const size_t begin = ladders.size();
  ladders.resize(begin + 2 + slot.thresholds.size() / kEach, nothing);
  for (size_t i = 1; i <= slot.thresholds.size(); ++i) {
    const auto threshold = static_cast<Number>(slot.thresholds[i - 1]);
    if (i % kEach == 0) ladders[begin].numbers[i / kEach - 1] = threshold;
    if (i % kEach != 0) ladders[begin + 1 + i / kEach].numbers[i % kEach - 1] = threshold;
  }
  return static_cast<uint32_t>(begin);
}

Question Ranker::question(uint16_t slot, uint8_t rank, bool missing_left) const {
  const Place& place = places_[slot];
  const uint16_t position = missing_left ? place.left : place.right;
  WB_ASSERT(position != kNowhere);
  if (place.categorical) return Question{static_cast<uint16_t>(position + rank), kernels::kRankLowest};
  return Question{position, kernels::stored_rank(rank)};
}

size_t Ranker::memory_bytes() const {
  size_t bytes = places_.size() * sizeof(Place) + ladders_f32_.size() * sizeof(kernels::Steps<float>) +
                 ladders_f64_.size() * sizeof(kernels::Steps<double>);
  for (const auto& rungs : rungs_) bytes += rungs.size() * sizeof(kernels::Rung);
  for (const Categories& slot : categories_) {
    bytes += sizeof(Categories);
    for (const auto& set : slot.sets) bytes += sizeof(std::vector<uint32_t>) + set.size() * sizeof(uint32_t);
  }
  return bytes;
}

void Ranker::rank_category(const Categories& slot, double x, kernels::RanksView out) const {
  const bool missing =
      slot.missing == Missing::kNanOrZero ? !(std::fabs(x) > kZeroMax) : slot.missing == Missing::kNan && std::isnan(x);
  if (slot.missing == Missing::kNanIsZero && std::isnan(x)) x = 0;
  const bool negative = category_ == Category::kTruncated ? x <= -1 : x < 0;
  const bool known = !missing && !negative && x < static_cast<double>(limits::kCategoryMax) + 1;
  const uint32_t category = known ? static_cast<uint32_t>(x) : 0;
  for (size_t i = 0; i < slot.sets.size(); ++i) {
    const std::vector<uint32_t>& set = slot.sets[i];
    const bool member = known && std::binary_search(set.begin(), set.end(), category);
    const auto put = [&](uint16_t position, bool left) {
      if (position == kNowhere) return;
      out.ranks[(position + i) * out.stride] = left ? kernels::kRankLowest : kernels::kRankHighest;
    };
    put(slot.place.right, member);
    put(slot.place.left, member || missing);
  }
}

template <class Column>
void Ranker::rank(kernels::RowsView<Column> rows, kernels::RanksView out) const {
  rank_numbers({{rungs_[0], rungs_[1], rungs_[2]}, compare_, ladders_f32_.data(), ladders_f64_.data()}, rows, out);
  if (categories_.empty()) return;
  for (size_t row = 0; row < rows.count; ++row, ++out.ranks, rows.columns += rows.stride) {
    for (const Categories& slot : categories_) {
      const Column number = rows.columns[slot.column];
      const bool f64 = compare_ == Compare::kF64LessEqual;
      rank_category(slot, f64 ? static_cast<double>(number) : static_cast<double>(static_cast<float>(number)), out);
    }
  }
}
template void Ranker::rank(kernels::RowsView<float>, kernels::RanksView) const;
template void Ranker::rank(kernels::RowsView<double>, kernels::RanksView) const;

}  // namespace wb::engine
