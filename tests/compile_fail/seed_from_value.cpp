// A number does not become a source of chance by accident.
// refused: could not convert|no known conversion|no viable conversion|no matching function
#include "base/prng.h"

uint64_t draw(wb::Prng prng) { return prng.next(); }

#ifdef WB_MISUSE
uint64_t caller() { return draw(42); }
#else
uint64_t caller() { return draw(wb::Prng(42)); }
#endif
