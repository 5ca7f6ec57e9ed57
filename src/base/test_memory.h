#pragma once
// How much memory a piece of code holds at its worst moment: for tests of limits that must act before allocation.
// Counts operator new and delete of the whole test program, the libraries it uses included; list test_memory.cpp in
// TESTS.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace wb::test_memory {

extern std::atomic<int64_t> memory_bytes;       // held now
extern std::atomic<int64_t> memory_peak_bytes;  // most held since it was last set

// Bytes held at the worst moment while `work` ran, above what was held before.
template <class Work>
size_t peak_bytes_of(Work&& work) {
  const int64_t before = memory_bytes;
  memory_peak_bytes = before;
  std::forward<Work>(work)();
  return static_cast<size_t>(memory_peak_bytes - before);
}

}  // namespace wb::test_memory
