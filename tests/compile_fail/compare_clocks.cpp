// Monotonic time and Unix time are different things: a timer never compares with a stamp (promise T1).
// refused: no match for 'operator<'|invalid operands to binary expression
#include "base/step.h"

bool due(wb::Moment now, wb::Instant wake_at) {
#ifdef WB_MISUSE
  return wake_at < now.unix_ms;
#else
  return wake_at < now.mono;
#endif
}
