// Ladders of thresholds for the kernels, which count in them; categories are looked up here.
#include "engine/ranker.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace wb::engine {
namespace {

using kernels::kNowhere;
constexpr size_t kBlock = kernels::kLadderBlock;

}  // namespace

Ranker::Ranker(const std::vector<Slot>& slots, const Description& model)
    : compare_(model.compare), category_(model.category) {
  for (const Slot& slot : slots) {
    kernels::Rung rung;
    rung.column = slot.column;
    rung.missing = slot.missing;
    rung.categorical = slot.categorical;
    categories_ = categories_ || slot.categorical;
    if (slot.categorical) {
      rung.begin = static_cast<uint32_t>(sets_.size());
      rung.count = static_cast<uint16_t>(slot.sets.size());
      sets_.insert(sets_.end(), slot.sets.begin(), slot.sets.end());
    } else if (compare_ == Compare::kF64LessEqual) {
      add_ladder(slot, ladders_f64_, rung);
    } else {
      add_ladder(slot, ladders_f32_, rung);
    }
    const auto positions = static_cast<uint16_t>(slot.categorical ? rung.count : 1);
    if (slot.side != Side::kLeft) rung.right = static_cast<uint16_t>(positions_);
    if (slot.side != Side::kLeft) positions_ += positions;
    if (slot.side != Side::kRight) rung.left = static_cast<uint16_t>(positions_);
    if (slot.side != Side::kRight) positions_ += positions;
    rungs_.push_back(rung);
  }
  WB_ASSERT(positions_ <= kPositionsMax);
}

template <class Number>
void Ranker::add_ladder(const Slot& slot, std::vector<Number>& ladders, kernels::Rung& rung) {
  constexpr Number kNothing = std::numeric_limits<Number>::quiet_NaN();
  const size_t blocks = (slot.thresholds.size() + kBlock - 1) / kBlock;
  rung.begin = static_cast<uint32_t>(ladders.size());
  rung.count = static_cast<uint16_t>(blocks);
  ladders.resize(ladders.size() + kBlock * (1 + blocks), kNothing);
  Number* tops = ladders.data() + rung.begin;
  for (size_t i = 0; i < slot.thresholds.size(); ++i) tops[kBlock + i] = static_cast<Number>(slot.thresholds[i]);
  for (size_t block = 0; block + 1 < blocks; ++block) tops[block] = tops[kBlock * (block + 1) + kBlock - 1];
}

Question Ranker::question(uint16_t slot, uint8_t rank, bool missing_left) const {
  const kernels::Rung& rung = rungs_[slot];
  const uint16_t position = missing_left ? rung.left : rung.right;
  WB_ASSERT(position != kNowhere);
  if (rung.categorical) return Question{static_cast<uint16_t>(position + rank), 0};
  return Question{position, rank};
}

size_t Ranker::memory_bytes() const {
  size_t bytes = rungs_.size() * sizeof(kernels::Rung) + ladders_f32_.size() * 4 + ladders_f64_.size() * 8;
  for (const auto& set : sets_) bytes += sizeof(std::vector<uint32_t>) + set.size() * sizeof(uint32_t);
  return bytes;
}

void Ranker::rank_category(const kernels::Rung& rung, double x, kernels::RanksView out) const {
  const bool missing =
      rung.missing == Missing::kNanOrZero ? !(std::fabs(x) > kZeroMax) : rung.missing == Missing::kNan && std::isnan(x);
  if (rung.missing == Missing::kNanIsZero && std::isnan(x)) x = 0;
  const bool negative = category_ == Category::kTruncated ? x <= -1 : x < 0;
  const bool known = !missing && !negative && x < static_cast<double>(limits::kCategoryMax) + 1;
  const uint32_t category = known ? static_cast<uint32_t>(x) : 0;
  for (size_t i = 0; i < rung.count; ++i) {
    const std::vector<uint32_t>& set = sets_[rung.begin + i];
    const bool member = known && std::binary_search(set.begin(), set.end(), category);
    const auto put = [&](uint16_t position, bool left) {
      if (position != kNowhere) out.ranks[(position + i) * out.stride] = (left ? 0 : 255) ^ out.flip;
    };
    put(rung.right, member);
    put(rung.left, member || missing);
  }
}

template <class Column>
void Ranker::rank(kernels::RowsView<Column> rows, kernels::RanksView out) const {
  rank_numbers({rungs_.data(), rungs_.size(), compare_, ladders_f32_.data(), ladders_f64_.data()}, rows, out);
  if (!categories_) return;
  for (size_t row = 0; row < rows.count; ++row, ++out.ranks, rows.columns += rows.stride) {
    for (const kernels::Rung& rung : rungs_) {
      const Column number = rung.categorical ? rows.columns[rung.column] : 0;
      const bool f64 = compare_ == Compare::kF64LessEqual;
      const double x = f64 ? static_cast<double>(number) : static_cast<double>(static_cast<float>(number));
      if (rung.categorical) rank_category(rung, x, out);
    }
  }
}
template void Ranker::rank(kernels::RowsView<float>, kernels::RanksView) const;
template void Ranker::rank(kernels::RowsView<double>, kernels::RanksView) const;

}  // namespace wb::engine
