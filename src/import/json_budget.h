#pragma once
// What the two readers of json.h share: how much they may build.

#include <string>
#include <utility>
#include <vector>

#include "import/json.h"

namespace wb::imports {

// Counts what is built, and refuses what goes beyond the limits of import.h.
class JsonBudget {
 public:
  Status value(size_t offset, size_t depth);
  Status numbers(size_t offset, uint64_t count);

 private:
  size_t values_ = 0;
  uint64_t numbers_ = 0;
};

// Refuses a key that stands twice.
Result<JsonObject> sorted_object(std::vector<std::pair<std::string, Json>> members);

}  // namespace wb::imports
