// One row: each batch of trees finds its leaves, group by group; then they are added in tree order.
#include <algorithm>

#include "engine/trees.h"

namespace wb::engine {

template <class Leaf>
void Trees<Leaf>::find_exits(const Group& group, const int8_t* ranks, uint8_t* exits) const {
  const auto ask = [&](const auto* crowns) {
    kernels::find_exits({crowns + entries_[group.first].crown, group.count}, ranks, positions_count_, exits);
  };
  if (small_) return ask(crowns_small_.data());
  ask(crowns_wide_.data());
}

template <class Leaf>
template <class Node>
void Trees<Leaf>::find_below(const Group& group, const Node* heaps, const int8_t* ranks, uint32_t* found) const {
  const Entry* entries = &entries_[group.first];
  uint8_t exits[kBatch];
  find_exits(group, ranks, exits);
  with_levels(entries->rest_levels, [&](auto constant) {
    constexpr size_t kLevels = decltype(constant)::value;
    for (size_t i = 0; i < group.count; ++i) {
      const uint32_t heap = uint32_t{exits[i]} << kLevels;
      const uint32_t leaf = heap + descend<kLevels>(heaps + entries[i].nodes + heap, ranks, 1);
      found[entries[i].tree] = entries[i].leaves + leaf;
    }
  });
}

template <class Leaf>
void Trees<Leaf>::find_by_walking(const Group& group, const int8_t* ranks, uint32_t* found) const {
  uint8_t exits[kBatch];
  find_exits(group, ranks, exits);
  for (size_t first = 0; first < group.count; first += kAbreast) {
    const Entry* entries = &entries_[group.first + first];
    const size_t last = std::min(kAbreast, group.count - first) - 1;
    const WalkNode* at[kAbreast];
    for (size_t i = 0; i < kAbreast; ++i) {
      const size_t of = std::min(i, last);
      at[i] = walk_.data() + starts_[entries[of].nodes + exits[first + of]];
    }
    // Arithmetic on purpose: written with ?: compilers make it a branch, which guesses wrong half of the time.
    for (uint32_t moved = 1; moved != 0;) {
      moved = 0;
      abreast([&](size_t i) {
        const auto left = static_cast<uint32_t>(ranks[at[i]->position] <= at[i]->rank);
        const uint32_t stride = at[i]->right ^ ((at[i]->right ^ 1U) & (0U - left));
        moved |= stride;
        at[i] += stride;
      });
    }
    for (size_t i = 0; i <= last; ++i) found[entries[i].tree] = at[i]->value;
  }
}

template <class Leaf>
void Trees<Leaf>::find(const Group& group, const int8_t* ranks, uint32_t* found) const {
  const Entry* entries = &entries_[group.first];
  if (!entries->bushy) return find_by_walking(group, ranks, found);
  if (entries->rest_levels > 0) {
    if (small_) return find_below(group, heaps_small_.data(), ranks, found);
    return find_below(group, heaps_wide_.data(), ranks, found);
  }
  uint8_t exits[kBatch];
  find_exits(group, ranks, exits);
  for (size_t i = 0; i < group.count; ++i) found[entries[i].tree] = leaf_at(entries[i], exits[i]);
}

// Of trees whose leaves are no vectors.
template <class Leaf>
template <class LeafOf>
void Trees<Leaf>::sum_leaves(size_t first, size_t count, const LeafOf& leaf_of, Leaf* margins) const {
  const uint32_t* outputs = outputs_.data() + first;
  for (size_t i = 0; i < count;) {
    const uint32_t output = outputs[i];
    Leaf sum = margins[output];
    for (; i < count && outputs[i] == output; ++i) sum += values_[leaf_of(i)];
    margins[output] = sum;
  }
}

template <class Leaf>
void Trees<Leaf>::sum_vectors(size_t first, size_t count, const uint32_t* found, Leaf* margins) const {
  for (size_t i = 0; i < count; ++i) {
    const uint32_t output = outputs_[first + i];
    if (output < outputs_count_) margins[output] += values_[found[i]];
    for (size_t j = 0; output == outputs_count_ && j < outputs_count_; ++j) margins[j] += values_[found[i] + j];
  }
}

template <class Leaf>
void Trees<Leaf>::add(const int8_t* ranks, Leaf* margins) const {
  const Group* group = groups_.data();
  for (size_t first = 0; first < outputs_.size(); first += kBatch) {
    const size_t count = std::min(kBatch, outputs_.size() - first);
    const Entry* entries = &entries_[group->first];
    if (group->count == count && entries->bushy && entries->rest_levels == 0) {  // nothing but crowns: in tree order
      uint8_t exits[kBatch];
      find_exits(*group++, ranks, exits);
      sum_leaves(
          first, count, [&](size_t i) { return leaf_at(entries[i], exits[i]); }, margins);
      continue;
    }
    uint32_t found[kBatch];
    for (size_t done = 0; done < count; ++group) {
      find(*group, ranks, found);
      done += group->count;
    }
    if (vectors_) sum_vectors(first, count, found, margins);
    if (!vectors_)
      sum_leaves(
          first, count, [&](size_t i) { return found[i]; }, margins);
  }
}

template void Trees<float>::add(const int8_t*, float*) const;
template void Trees<double>::add(const int8_t*, double*) const;

}  // namespace wb::engine
