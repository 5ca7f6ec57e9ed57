// The value of a Result that is about to die cannot be kept by reference to a mutable object.
// refused: cannot bind non-const lvalue reference|cannot bind rvalue reference|non-const lvalue reference to type
#include <string>

#include "base/result.h"

wb::Result<std::string> parse();

size_t caller() {
#ifdef WB_MISUSE
  std::string& text = parse().value();
#else
  auto parsed = parse();
  std::string& text = parsed.value();
#endif
  return text.size();
}
