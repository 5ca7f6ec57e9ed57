// A Result that nobody looks at hides an operating error.
// refused: ignoring return value|ignoring returned value|nodiscard
#include "base/result.h"

wb::Result<int> parse();

int caller() {
#ifdef WB_MISUSE
  parse();
#endif
  return parse().ok() ? 1 : 0;
}
