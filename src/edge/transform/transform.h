#pragma once
// transform: batch → features. The `transforms:` list of a pipeline file, built into a chain that each batch runs
// through.
//
// build() checks everything against the schema that arrives at each step: unknown columns, wrong types, expressions
// that do not compile. After that run() cannot fail; rows that are dropped are counted by reason. Same batches in, same
// batches out, also when the input is cut into batches differently.
//
// Components (one file each, listed in components.cpp): select, rename, cast, scale, derive, filter, window.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/document.h"
#include "base/spec.h"
#include "record/record.h"

namespace wb::transform {

inline constexpr size_t kStepsMax = 64;                 // components in one chain
inline constexpr size_t kExpressionBytesMax = 1024;     // one derive or filter expression
inline constexpr size_t kWindowFieldsMax = 128;         // outputs of one window
inline constexpr size_t kWindowOverlapMax = 128;        // windows that one row belongs to
inline constexpr size_t kWindowsOpenMax = 1024;         // open windows per key: (length + lateness) / every
inline constexpr size_t kKeysMax = 65'536;              // keys of one window component
inline constexpr size_t kQuantileRowsMax = 4096;        // values kept per (key, window, column) for quantile()
inline constexpr size_t kQuantileValuesMax = 1U << 20;  // the same, over all open windows of one component
inline constexpr size_t kWindowBytesMax = 16U << 20;  // accumulators of one component; reached: oldest keys close early
inline constexpr size_t kPendingRowsMax = 4 * Batch::kRowsMax;  // closed windows that wait for the next run

class Step;  // one component

// One number that explains where rows went.
struct Count {
  std::string label;  // of the component: given, or its name made unique ("filter", "filter_2")
  std::string
      reason;  // filter: filtered; cast: not_a_number; window: late, ahead, keys_evicted, quantile_overflow, overflow
  uint64_t count = 0;
  friend bool operator==(const Count&, const Count&) = default;
};

class Chain {
 public:
  Chain();  // hands on what comes in
  ~Chain();
  Chain(Chain&&) noexcept;
  Chain& operator=(Chain&&) noexcept;

  // `list`: the transforms list; null = none. The chain is usable only if no problem was added.
  static Chain build(const Document& list, const Schema& in, Problems& problems);

  const Schema& output_schema() const { return output_; }
  // `in` has the schema given to build(). The result has at most Batch::kRowsMax rows; if pending() is true afterwards,
  // call again with an empty batch of the input schema to get the rest.
  Batch run(Batch in, int64_t now_unix_ms);
  // The input has ended: closes every open window. Call again while pending().
  Batch flush(int64_t now_unix_ms);
  bool pending() const;
  // True if rows may be held back between runs (there is a window): they are lost at a crash.
  bool holds_rows() const;
  // Since build, in component order; reasons that a component cannot have are absent.
  std::vector<Count> counters() const;

 private:
  Schema input_;
  Schema output_;
  std::vector<std::unique_ptr<Step>> steps_;
};

// Every transform component: for the reference page, the JSON schema and lint.
const std::vector<Spec>& specs();

}  // namespace wb::transform
