#pragma once
// The window at work: rows in, one row per closed (window, key) out.
//
// Windows are aligned to the epoch: window k covers [k·every, k·every + length) of event time. The watermark is the
// largest event time seen minus the lateness; it moves with every row, not with every batch, so the output does not
// depend on how the input was cut. A window closes when the watermark reaches its end. Output is ordered by window end,
// then by key.
//
// Each open window is a pane: one accumulator per key and input column. Sums are kept of the difference to the first
// value seen, so a small signal on a large offset keeps its digits. The slow twin that recomputes every window from its
// rows is in the test.

#include <limits>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "edge/transform/step.h"

namespace wb::transform {

enum class Statistic : uint8_t { kCount, kMean, kStd, kMin, kMax, kRms, kSlope, kQuantile };

struct WindowOutput {
  Statistic statistic = Statistic::kCount;
  int input = -1;  // index into WindowConfig::inputs; -1 = rows, for count()
  double q = 0;    // of kQuantile
};

struct WindowConfig {
  struct Input {
    size_t column = 0;
    bool slope = false;
    int values = -1;  // index among the inputs whose values are kept for quantiles
  };
  int64_t every_ms = 0;
  int64_t length_ms = 0;
  int64_t lateness_ms = 0;
  int64_t ahead_ms = -1;  // -1: any event time is believed
  int by = -1;            // column, -1 = one key for all
  bool by_text = false;
  size_t keys_max = 1;
  std::vector<Input> inputs;
  size_t kept_inputs = 0;
  std::vector<WindowOutput> outputs;
  size_t cell_bytes() const;
};

class Window final : public Step {
 public:
  Window(WindowConfig config, Schema out);
  void run(Batch& batch, int64_t now_unix_ms) override;
  void flush(Batch& batch, int64_t now_unix_ms) override;
  bool pending() const override { return closed_.rows_count() > 0; }
  bool holds_rows() const override { return true; }
  void count(std::vector<Count>& out) const override;

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Accumulator {
    uint64_t count = 0;
    double first = 0;  // the value that sums are relative to
    double sum = 0, sum_squares = 0;
    double min = 0, max = 0;
    int64_t first_ms = 0;  // the time that slopes are relative to
    double sum_t = 0, sum_tt = 0, sum_tv = 0;
  };
  struct Cell {
    uint32_t key = kNone;  // kNone: free
    uint64_t rows = 0;
  };
  struct Pane {
    std::vector<uint32_t> cell_of_key;
    std::vector<Cell> cells;
    std::vector<uint32_t> free_cells;
    std::vector<Accumulator> accumulators;    // [cells, inputs]
    std::vector<std::vector<double>> values;  // [cells, kept_inputs]
  };
  struct Key {
    std::string text;
    double number = 0;
    uint32_t older = kNone, newer = kNone;  // least recently used order
  };

  uint32_t key_of(const Batch& batch, size_t row);
  uint32_t new_key();
  void touch(uint32_t key);
  void unlink(uint32_t key);
  void evict(uint32_t key);
  Pane& pane_at(int64_t index);
  uint32_t cell_in(Pane& pane, uint32_t key);
  void add(Pane& pane, uint32_t cell, const Batch& batch, size_t row);
  void take_row(const Batch& batch, size_t row, int64_t now_unix_ms);
  void close_until(int64_t watermark);
  void emit(int64_t index, Pane& pane, uint32_t cell);
  double answer(const WindowOutput& wanted, Pane& pane, uint32_t cell) const;
  bool key_less(uint32_t a, uint32_t b) const;
  int64_t end_of(int64_t index) const { return index * config_.every_ms + config_.length_ms; }
  void hand_on(Batch& batch);

  WindowConfig config_;
  std::map<int64_t, Pane> panes_;  // by window index: closed in this order
  Pane* last_pane_ = nullptr;      // the pane used last, and its index
  int64_t last_index_ = 0;
  int64_t next_end_ms_ = std::numeric_limits<int64_t>::max();
  int64_t watermark_ms_ = std::numeric_limits<int64_t>::min();
  std::vector<Key> keys_;
  std::vector<uint32_t> free_keys_;
  std::unordered_map<std::string, uint32_t> by_text_;  // looked up only
  std::unordered_map<uint64_t, uint32_t> by_number_;   // by the double's bits; looked up only
  uint32_t oldest_ = kNone, newest_ = kNone;
  size_t keys_used_ = 0;
  size_t cells_used_ = 0;
  size_t cells_max_ = 0;
  size_t values_kept_ = 0;
  Batch closed_;
  uint64_t late_ = 0, ahead_ = 0, keys_evicted_ = 0, quantile_overflow_ = 0, overflow_ = 0;
};

}  // namespace wb::transform
