#pragma once
// Step: one transform component at work, and how a component is described to the chain.

#include <memory>
#include <string>
#include <vector>

#include "base/spec.h"
#include "edge/transform/transform.h"

namespace wb::transform {

class Step {
 public:
  virtual ~Step() = default;
  // Changes `batch` from the step's input schema to `output`.
  virtual void run(Batch& batch, int64_t now_unix_ms) = 0;
  // The same, and hands on what the step held back: no more input will come.
  virtual void flush(Batch& batch, int64_t now_unix_ms) { run(batch, now_unix_ms); }
  virtual bool pending() const { return false; }
  virtual bool holds_rows() const { return false; }
  virtual void count(std::vector<Count>&) const {}

  Schema output;
  std::string label;
};

struct Component {
  const Spec& (*spec)();
  // Checks the values against the columns that arrive. May return null after it added a problem.
  std::unique_ptr<Step> (*build)(const Values& values, const Schema& in, Problems& problems);
};

const Component& select_component();
const Component& rename_component();
const Component& cast_component();
const Component& scale_component();
const Component& derive_component();
const Component& filter_component();
const Component& window_component();

// A name with its place in the file.
struct NameAt {
  std::string name;
  Position at;
};
std::vector<NameAt> names_of(const Document& list_or_scalar);

// Index of the column, or -1 after a problem that names the nearest one.
int column_named(const Schema& in, std::string_view name, Position at, std::string_view where, Problems& problems);
// The same, and it must hold numbers.
int number_column_named(const Schema& in, std::string_view name, Position at, std::string_view where,
                        Problems& problems);
// A problem if `name` cannot be a new column of `schema`.
bool new_column_allowed(const Schema& schema, std::string_view name, Position at, std::string_view where,
                        Problems& problems);

}  // namespace wb::transform
