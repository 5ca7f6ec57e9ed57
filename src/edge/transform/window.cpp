#include "edge/transform/window.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/assert.h"

namespace wb::transform {

namespace {
int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
}  // namespace

size_t WindowConfig::cell_bytes() const { return 64 + inputs.size() * 80 + kept_inputs * 24; }

Window::Window(WindowConfig config, Schema out) : config_(std::move(config)) {
  static_assert(sizeof(Accumulator) <= 80);
  output = std::move(out);
  closed_ = Batch::with_schema(output);
  cells_max_ = kWindowBytesMax / config_.cell_bytes();
}

void Window::run(Batch& batch, int64_t now_unix_ms) {
  for (size_t row = 0; row < batch.rows_count(); ++row) take_row(batch, row, now_unix_ms);
  hand_on(batch);
}

void Window::flush(Batch& batch, int64_t now_unix_ms) {
  for (size_t row = 0; row < batch.rows_count(); ++row) take_row(batch, row, now_unix_ms);
  if (!panes_.empty()) {
    watermark_ms_ = std::max(watermark_ms_, end_of(panes_.rbegin()->first));
    close_until(watermark_ms_);
  }
  hand_on(batch);
}

// Replaces the input by what has closed, at most a batch full.
void Window::hand_on(Batch& batch) {
  if (closed_.rows_count() <= Batch::kRowsMax) {
    batch = std::move(closed_);
    closed_ = Batch::with_schema(output);
    return;
  }
  batch = Batch::with_schema(output);
  const auto move_front = [](auto& from, auto& to) {
    const auto middle = from.begin() + static_cast<std::ptrdiff_t>(Batch::kRowsMax);
    to.assign(std::make_move_iterator(from.begin()), std::make_move_iterator(middle));
    from.erase(from.begin(), middle);
  };
  for (size_t i = 0; i < closed_.columns.size(); ++i) {
    if (closed_.columns[i].type == ColumnType::kNumber)
      move_front(closed_.columns[i].numbers, batch.columns[i].numbers);
    else
      move_front(closed_.columns[i].texts, batch.columns[i].texts);
  }
  move_front(closed_.event_time_ms, batch.event_time_ms);
}

void Window::take_row(const Batch& batch, size_t row, int64_t now_unix_ms) {
  const int64_t time_ms = batch.event_time_ms[row];
  if (config_.ahead_ms >= 0 && time_ms > now_unix_ms + config_.ahead_ms) {
    ++ahead_;
    return;
  }
  watermark_ms_ = std::max(watermark_ms_, time_ms - config_.lateness_ms);
  if (next_end_ms_ <= watermark_ms_) close_until(watermark_ms_);
  const int64_t last = floor_div(time_ms, config_.every_ms);
  if (end_of(last) <= watermark_ms_) {
    ++late_;
    return;
  }
  const int64_t first =
      config_.length_ms == config_.every_ms ? last : floor_div(time_ms - config_.length_ms, config_.every_ms) + 1;
  const uint32_t key = key_of(batch, row);
  for (int64_t index = first; index <= last; ++index) {
    if (end_of(index) <= watermark_ms_) continue;
    Pane& pane = pane_at(index);
    add(pane, cell_in(pane, key), batch, row);
  }
}

// ---------------------------------------------------------------- keys

uint32_t Window::key_of(const Batch& batch, size_t row) {
  uint32_t key = 0;
  if (config_.by < 0) {
    if (keys_.empty()) key = new_key();
    return key;
  }
  const Column& column = batch.columns[static_cast<size_t>(config_.by)];
  if (config_.by_text) {
    const std::string& text = column.texts[row];
    if (newest_ != kNone && keys_[newest_].text == text) return newest_;
    const auto found = by_text_.find(text);
    if (found == by_text_.end()) {
      key = new_key();
      keys_[key].text = text;
      by_text_.emplace(text, key);
    } else {
      key = found->second;
    }
  } else {
    double number = column.numbers[row];
    if (number == 0) number = 0;          // -0 is the same key
    if (number != number) number = kNan;  // as are all missing ones
    const auto found = by_number_.find(std::bit_cast<uint64_t>(number));
    if (found == by_number_.end()) {
      key = new_key();
      keys_[key].number = number;
      by_number_.emplace(std::bit_cast<uint64_t>(number), key);
    } else {
      key = found->second;
    }
  }
  touch(key);
  return key;
}

uint32_t Window::new_key() {
  if (keys_used_ == config_.keys_max) {
    ++keys_evicted_;
    evict(oldest_);
  }
  uint32_t key = static_cast<uint32_t>(keys_.size());
  if (free_keys_.empty()) {
    keys_.emplace_back();
  } else {
    key = free_keys_.back();
    free_keys_.pop_back();
  }
  ++keys_used_;
  Key& made = keys_[key];
  made.older = newest_;
  made.newer = kNone;
  if (newest_ != kNone) keys_[newest_].newer = key;
  newest_ = key;
  if (oldest_ == kNone) oldest_ = key;
  return key;
}

void Window::unlink(uint32_t key) {
  const Key& gone = keys_[key];
  if (gone.older != kNone)
    keys_[gone.older].newer = gone.newer;
  else
    oldest_ = gone.newer;
  if (gone.newer != kNone)
    keys_[gone.newer].older = gone.older;
  else
    newest_ = gone.older;
}

void Window::touch(uint32_t key) {
  if (newest_ == key) return;
  unlink(key);
  keys_[key].older = newest_;
  keys_[key].newer = kNone;
  if (newest_ != kNone) keys_[newest_].newer = key;
  newest_ = key;
  if (oldest_ == kNone) oldest_ = key;
}

// Closes all windows of a key early, to make room.
void Window::evict(uint32_t key) {
  WB_ASSERT(key != kNone);
  for (auto& [index, pane] : panes_) {
    if (key >= pane.cell_of_key.size() || pane.cell_of_key[key] == kNone) continue;
    const uint32_t cell = pane.cell_of_key[key];
    emit(index, pane, cell);
    pane.cells[cell] = Cell{};
    pane.cell_of_key[key] = kNone;
    pane.free_cells.push_back(cell);
    --cells_used_;
  }
  if (config_.by_text)
    by_text_.erase(keys_[key].text);
  else
    by_number_.erase(std::bit_cast<uint64_t>(keys_[key].number));
  unlink(key);
  keys_[key] = Key{};
  free_keys_.push_back(key);
  --keys_used_;
}

bool Window::key_less(uint32_t a, uint32_t b) const {
  if (config_.by_text) return keys_[a].text < keys_[b].text;
  const double x = keys_[a].number;
  const double y = keys_[b].number;
  return x < y || (x == x && y != y);  // missing last
}

// ---------------------------------------------------------------- accumulating

Window::Pane& Window::pane_at(int64_t index) {
  if (last_pane_ != nullptr && last_index_ == index) return *last_pane_;
  last_pane_ = &panes_[index];
  last_index_ = index;
  next_end_ms_ = end_of(panes_.begin()->first);
  return *last_pane_;
}

uint32_t Window::cell_in(Pane& pane, uint32_t key) {
  if (key >= pane.cell_of_key.size()) pane.cell_of_key.resize(key + 1, kNone);
  if (pane.cell_of_key[key] != kNone) return pane.cell_of_key[key];
  if (cells_used_ >= cells_max_ && oldest_ != key) {
    ++keys_evicted_;
    evict(oldest_);
  }
  uint32_t cell = static_cast<uint32_t>(pane.cells.size());
  const size_t inputs = config_.inputs.size();
  if (pane.free_cells.empty()) {
    pane.cells.emplace_back();
    pane.accumulators.resize(pane.accumulators.size() + inputs);
    pane.values.resize(pane.values.size() + config_.kept_inputs);
  } else {
    cell = pane.free_cells.back();
    pane.free_cells.pop_back();
    std::fill_n(pane.accumulators.begin() + static_cast<std::ptrdiff_t>(cell * inputs), inputs, Accumulator{});
  }
  pane.cells[cell].key = key;
  pane.cell_of_key[key] = cell;
  ++cells_used_;
  return cell;
}

void Window::add(Pane& pane, uint32_t cell, const Batch& batch, size_t row) {
  ++pane.cells[cell].rows;
  const size_t inputs = config_.inputs.size();
  for (size_t i = 0; i < inputs; ++i) {
    const WindowConfig::Input& input = config_.inputs[i];
    const double value = batch.columns[input.column].numbers[row];
    if (value != value) continue;  // missing
    Accumulator& acc = pane.accumulators[cell * inputs + i];
    if (acc.count++ == 0) {
      acc.first = acc.min = acc.max = value;
      acc.first_ms = batch.event_time_ms[row];
    }
    const double difference = value - acc.first;
    acc.sum += difference;
    acc.sum_squares += difference * difference;
    acc.min = value < acc.min ? value : acc.min;
    acc.max = value > acc.max ? value : acc.max;
    if (input.slope) {
      const double t = static_cast<double>(batch.event_time_ms[row] - acc.first_ms) / 1000;
      acc.sum_t += t;
      acc.sum_tt += t * t;
      acc.sum_tv += t * difference;
    }
    if (input.values >= 0) {
      auto& kept = pane.values[cell * config_.kept_inputs + static_cast<size_t>(input.values)];
      if (kept.size() >= kQuantileRowsMax || values_kept_ >= kQuantileValuesMax) {
        ++quantile_overflow_;
      } else {
        kept.push_back(value);
        ++values_kept_;
      }
    }
  }
}

// ---------------------------------------------------------------- closing

void Window::close_until(int64_t watermark) {
  std::vector<uint32_t> order;
  while (!panes_.empty() && end_of(panes_.begin()->first) <= watermark) {
    auto& [index, pane] = *panes_.begin();
    order.clear();
    for (uint32_t cell = 0; cell < pane.cells.size(); ++cell)
      if (pane.cells[cell].key != kNone) order.push_back(cell);
    std::sort(order.begin(), order.end(),
              [&cells = pane.cells, this](uint32_t a, uint32_t b) { return key_less(cells[a].key, cells[b].key); });
    for (const uint32_t cell : order) emit(index, pane, cell);
    cells_used_ -= order.size();
    panes_.erase(panes_.begin());
  }
  last_pane_ = nullptr;
  next_end_ms_ = panes_.empty() ? std::numeric_limits<int64_t>::max() : end_of(panes_.begin()->first);
}

void Window::emit(int64_t index, Pane& pane, uint32_t cell) {
  const bool room = closed_.rows_count() < Batch::kRowsMax + kPendingRowsMax;
  if (!room) ++overflow_;
  const Key& key = keys_[pane.cells[cell].key];
  size_t column = 0;
  if (room && config_.by >= 0) {
    if (config_.by_text)
      closed_.columns[column++].texts.push_back(key.text);
    else
      closed_.columns[column++].numbers.push_back(key.number);
  }
  const size_t kept = config_.kept_inputs;
  for (size_t i = 0; i < kept; ++i) std::sort(pane.values[cell * kept + i].begin(), pane.values[cell * kept + i].end());
  if (room) {
    for (const WindowOutput& wanted : config_.outputs)
      closed_.columns[column++].numbers.push_back(answer(wanted, pane, cell));
    closed_.event_time_ms.push_back(end_of(index));
  }
  for (size_t i = 0; i < kept; ++i) {
    values_kept_ -= pane.values[cell * kept + i].size();
    pane.values[cell * kept + i].clear();
  }
}

double Window::answer(const WindowOutput& wanted, Pane& pane, uint32_t cell) const {
  if (wanted.input < 0) return static_cast<double>(pane.cells[cell].rows);
  const auto input = static_cast<size_t>(wanted.input);
  const Accumulator& acc = pane.accumulators[cell * config_.inputs.size() + input];
  if (wanted.statistic == Statistic::kCount) return static_cast<double>(acc.count);
  if (acc.count == 0) return kNan;
  const auto n = static_cast<double>(acc.count);
  const double mean_difference = acc.sum / n;
  const double mean = acc.first + mean_difference;
  const double raw_variance = acc.sum_squares / n - mean_difference * mean_difference;
  const double variance = raw_variance < 0 ? 0 : raw_variance;  // rounding; NaN stays NaN
  switch (wanted.statistic) {
    case Statistic::kMean: return mean;
    case Statistic::kStd: return std::sqrt(variance);
    case Statistic::kMin: return acc.min;
    case Statistic::kMax: return acc.max;
    case Statistic::kRms: return std::sqrt(mean * mean + variance);
    case Statistic::kSlope: {
      const double spread = n * acc.sum_tt - acc.sum_t * acc.sum_t;
      return spread > 0 ? (n * acc.sum_tv - acc.sum_t * acc.sum) / spread : kNan;
    }
    case Statistic::kQuantile: {
      // Hyndman & Fan 1996, definition 7: linear between order statistics, as numpy and R do by default.
      const auto& values = pane.values[cell * config_.kept_inputs + static_cast<size_t>(config_.inputs[input].values)];
      if (values.empty()) return kNan;
      const double place = static_cast<double>(values.size() - 1) * wanted.q;
      const auto low = static_cast<size_t>(place);
      const size_t high = std::min(low + 1, values.size() - 1);
      if (values[low] == values[high]) return values[low];
      return values[low] + (place - static_cast<double>(low)) * (values[high] - values[low]);
    }
    case Statistic::kCount: break;
  }
  return kNan;
}

void Window::count(std::vector<Count>& out) const {
  out.push_back({label, "late", late_});
  if (config_.ahead_ms >= 0) out.push_back({label, "ahead", ahead_});
  if (config_.by >= 0) out.push_back({label, "keys_evicted", keys_evicted_});
  if (config_.kept_inputs > 0) out.push_back({label, "quantile_overflow", quantile_overflow_});
  out.push_back({label, "overflow", overflow_});
}

}  // namespace wb::transform
