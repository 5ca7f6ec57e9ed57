#pragma once
// Many histories side by side, their reports in order. Histories are independent of each other, so the threads share
// nothing but a counter. On a terminal one line at the bottom says how far they are.

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "sim/sim.h"

namespace wb::cli {

class Runs {
 public:
  // options(i) says what history i is; called by the threads. jobs 0 = as many as there are cores.
  Runs(uint32_t count, uint32_t jobs, std::function<sim::Options(uint32_t)> options);
  ~Runs();  // begins no further history, and waits for those under way
  Runs(const Runs&) = delete;
  Runs& operator=(const Runs&) = delete;

  // Blocks until this one is done; call once each, in order.
  sim::Report take(uint32_t index);

 private:
  void work();
  void show(const std::string& text);
  void clear() const;

  const uint32_t count_;
  const std::function<sim::Options(uint32_t)> options_;
  const bool terminal_;
  std::atomic<uint32_t> next_ = 0;
  std::mutex mutex_;
  std::condition_variable done_;
  std::vector<std::optional<sim::Report>> reports_;  // guarded by mutex_
  uint32_t finished_ = 0;                            // guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace wb::cli
