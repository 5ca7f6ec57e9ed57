#pragma once
// What the walks of forest.cpp and block.cpp share.

#include <cstddef>
#include <cstdint>
#include <utility>

namespace wb::engine {

// Does `step` for 0 to 7, unrolled under every compiler and optimisation level.
template <class Step, size_t... kIndex>
inline void abreast_of(const Step& step, std::index_sequence<kIndex...>) {
  (step(kIndex), ...);
}
template <class Step>
inline void abreast(const Step& step) {
  abreast_of(step, std::make_index_sequence<8>());
}

// A node of a heap.
inline size_t position_of(uint16_t node) { return node & 0xFFU; }
inline uint32_t rank_of(uint16_t node) { return static_cast<uint32_t>(node) >> 8; }
inline size_t position_of(uint32_t node) { return node & 0xFFFFU; }
inline uint32_t rank_of(uint32_t node) { return node >> 16; }

}  // namespace wb::engine
