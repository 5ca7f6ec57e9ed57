// WB_TRY hands the error to the caller, so a function that cannot fail cannot use it.
// refused: return-statement with a value|should not return a value
#include "base/result.h"

wb::Result<int> parse();

#ifdef WB_MISUSE
void caller() {
  WB_TRY(int number, parse());
  static_cast<void>(number);
}
#else
wb::Status caller() {
  WB_TRY(int number, parse());
  static_cast<void>(number);
  return wb::ok_status();
}
#endif
