#include "base/test_memory.h"

#include <malloc.h>

#include <algorithm>
#include <cstdlib>
#include <new>

namespace wb::test_memory {
std::atomic<int64_t> memory_bytes = 0;
std::atomic<int64_t> memory_peak_bytes = 0;
}  // namespace wb::test_memory

namespace {

void* taken(void* memory) {
  if (memory == nullptr) std::abort();
  const auto size = static_cast<int64_t>(malloc_usable_size(memory));
  const int64_t held = wb::test_memory::memory_bytes.fetch_add(size) + size;
  int64_t peak = wb::test_memory::memory_peak_bytes;
  while (peak < held && !wb::test_memory::memory_peak_bytes.compare_exchange_weak(peak, held)) {
  }
  return memory;
}
void give_back(void* memory) {
  if (memory == nullptr) return;
  wb::test_memory::memory_bytes -= static_cast<int64_t>(malloc_usable_size(memory));
  std::free(memory);
}

}  // namespace

void* operator new(size_t size) { return taken(std::malloc(std::max<size_t>(size, 1))); }
void* operator new[](size_t size) { return taken(std::malloc(std::max<size_t>(size, 1))); }
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return taken(std::malloc(std::max<size_t>(size, 1)));
}
void* operator new[](size_t size, const std::nothrow_t&) noexcept {
  return taken(std::malloc(std::max<size_t>(size, 1)));
}
void operator delete(void* memory) noexcept { give_back(memory); }
void operator delete[](void* memory) noexcept { give_back(memory); }
void operator delete(void* memory, size_t) noexcept { give_back(memory); }
void operator delete[](void* memory, size_t) noexcept { give_back(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { give_back(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { give_back(memory); }
