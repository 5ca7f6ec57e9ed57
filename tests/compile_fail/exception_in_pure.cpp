// Pure modules throw nothing: no exception crosses a door.
// refused: exception handling disabled|cannot use 'throw' with exceptions disabled
#include "base/result.h"

wb::Status refuse() {
#ifdef WB_MISUSE
  throw 1;
#else
  return wb::fail(wb::Code::kInvalid, "no");
#endif
}
