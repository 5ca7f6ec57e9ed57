// The hub's storage port is asked with a table, never with its name or number.
// refused: no matching function|cannot convert|cannot initialize|no viable conversion
#include "base/rows.h"

bool known(wb::Rows& rows) {
#ifdef WB_MISUSE
  return rows.get("nodes", "gw-017").has_value();
#else
  return rows.get(wb::Table::kNodes, "gw-017").has_value();
#endif
}
