// The same for an operation without a value.
// refused: ignoring return value|ignoring returned value|nodiscard
#include "base/result.h"

wb::Status sync();

wb::Status caller() {
#ifdef WB_MISUSE
  sync();
#endif
  WB_CHECK(sync());
  return wb::ok_status();
}
