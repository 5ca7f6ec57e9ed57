#include "fuzz/fuzz.h"

#include <cstdio>
#include <cstdlib>

namespace wb::fuzz {

void broken(const char* file, int line, const char* what, std::string_view detail) {
  std::fprintf(stderr, "%s:%d: does not hold: %s\n  %.*s\n", file, line, what,
               static_cast<int>(std::min<size_t>(detail.size(), 2'000)), detail.data());
  std::abort();
}

}  // namespace wb::fuzz
