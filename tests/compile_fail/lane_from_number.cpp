// A lane is persisted and on the wire: a bare number is not one.
// refused: cannot convert|cannot initialize
#include "record/record.h"

wb::Lane lane() {
#ifdef WB_MISUSE
  return 2;
#else
  return wb::Lane::kLive;
#endif
}
