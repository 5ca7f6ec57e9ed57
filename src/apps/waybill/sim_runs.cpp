#include "apps/waybill/sim_runs.h"

#include <unistd.h>
#include <algorithm>
#include <cstdio>
#include <utility>

#include "world/yaml.h"

namespace wb::cli {

Runs::Runs(uint32_t count, uint32_t jobs, std::function<sim::Options(uint32_t)> options)
    : count_(count), options_(std::move(options)), terminal_(isatty(STDERR_FILENO) == 1), reports_(count) {
  if (jobs == 0) jobs = std::max(1U, std::thread::hardware_concurrency());
  for (uint32_t i = 0; i < std::min(jobs, count); ++i) threads_.emplace_back([this] { work(); });
}

Runs::~Runs() {
  next_ = count_;
  for (std::thread& thread : threads_) thread.join();
  clear();
}

sim::Report Runs::take(uint32_t index) {
  std::unique_lock lock(mutex_);
  done_.wait(lock, [&] { return reports_[index].has_value(); });
  clear();
  return *std::exchange(reports_[index], std::nullopt);
}

void Runs::work() {
  for (uint32_t i = next_++; i < count_; i = next_++) {
    sim::Options options = options_(i);
    options.read_document = [](std::string_view text) {
      return world::parse_yaml(text, "pipeline.yaml", world::no_env());
    };
    if (terminal_) options.progress = [this](const std::string& text) { show(text); };
    sim::Report report = sim::run(options);
    const std::lock_guard lock(mutex_);
    reports_[i] = std::move(report);
    ++finished_;
    done_.notify_all();
  }
}

void Runs::show(const std::string& text) {
  const std::lock_guard lock(mutex_);
  std::fprintf(stderr, "\r\033[K%u of %u histories done; %s", finished_, count_, text.c_str());
  std::fflush(stderr);
}

void Runs::clear() const {
  if (terminal_) std::fputs("\r\033[K", stderr);
}

}  // namespace wb::cli
