// A Result is not its value: the failure must be handled first.
// refused: cannot convert|no viable conversion
#include "base/result.h"

wb::Result<int> parse();

wb::Result<int> caller() {
#ifdef WB_MISUSE
  int number = parse();
  return number;
#else
  WB_TRY(int number, parse());
  return number;
#endif
}
