// The hub's rows as a subject: the real SqliteRows; a transaction is whatever the hub's own code does in one.
#include <map>
#include <optional>
#include <utility>

#include "tests/crash/subject.h"
#include "world/rows_sqlite.h"

namespace wb::crash {
namespace {

using world::SqliteRows;

const std::string kFile = std::string(kRoot) + "/hub/hub.db";
constexpr int kTries = 3;
constexpr size_t kTablesCount = static_cast<size_t>(Table::kSchemas);

// Forwards to the real rows and keeps the sum over what is there.
class CountedRows final : public Rows {
 public:
  explicit CountedRows(Rows& real) : real_(real) {}
  std::optional<std::string> get(Table table, std::string_view key) override { return real_.get(table, key); }
  void put(Table table, std::string_view key, std::string_view value) override {
    forget(table, key);
    sum += row_print(static_cast<uint64_t>(table), key, value);
    real_.put(table, key, value);
  }
  void erase(Table table, std::string_view key) override {
    forget(table, key);
    real_.erase(table, key);
  }
  void scan(Table table, std::string_view prefix, std::string_view from,
            const std::function<bool(std::string_view, std::string_view)>& visit) override {
    real_.scan(table, prefix, from, visit);
  }
  uint64_t sum = 0;

 private:
  void forget(Table table, std::string_view key) {
    if (const auto before = real_.get(table, key)) sum -= row_print(static_cast<uint64_t>(table), key, *before);
  }
  Rows& real_;
};

uint64_t print_of(SqliteRows& rows) {
  uint64_t sum = 0;
  for (size_t i = 1; i <= kTablesCount; ++i)
    rows.scan(static_cast<Table>(i), "", "", [&](std::string_view key, std::string_view value) {
      sum += row_print(i, key, value);
      return true;
    });
  return sum;
}

class HubSubject final : public Subject {
 public:
  explicit HubSubject(HubWorkload workload) : Subject(workload.name), workload_(std::move(workload)) {
    stride = workload_.stride;
  }

  std::string_view promises() const override { return "H1"; }
  // The first run, which meets no fault, fills states_: what the hub decides depends on the rows alone.
  std::string run(Medium& medium, MemoryDisk* start) override {
    const bool first = states_.empty();
    if (first) states_.push_back(0);
    if (workload_.prepared == 0) medium.begin(start);
    std::unique_ptr<SqliteRows> rows;
    uint64_t durable = 0;
    for (uint64_t n = 1; n <= workload_.transactions; ++n) {
      if (rows == nullptr || (workload_.restart_every != 0 && n % workload_.restart_every == 0)) {
        rows.reset();
        if (std::string wrong = open(medium, rows, durable, n - 1); !wrong.empty()) return wrong;
      }
      for (int attempt = 0; durable < n; ++attempt) {
        if (attempt == kTries) medium.heal();
        if (attempt > 3 * kTries) return "does not go on after the fault healed";
        medium.asked(n);
        if (!rows->begin().ok()) continue;
        CountedRows counted(*rows);
        workload_.transact(counted, n);
        if (!rows->commit().ok()) continue;
        durable = n;
        medium.told(n);
        if (first) states_.push_back(states_.back() + counted.sum);
      }
      if (n == workload_.prepared) {
        medium.begin(start);
        medium.asked(n);
        medium.told(n);
      }
    }
    return "";
  }

  std::string check(Medium& medium, const Bounds& bounds, bool go_on) override {
    medium.reset_counts();
    medium.calls_max = calls_max(medium);
    auto rows = SqliteRows::open(kFile);
    if (!rows.ok()) return "H1: no start: " + rows.error().text;
    if (const Status begun = (*rows)->begin(); !begun.ok()) return "H1: " + begun.error().text;
    const uint64_t print = print_of(**rows);
    const bool faulted = (*rows)->faulted();
    (*rows)->rollback();
    medium.calls_max = UINT64_MAX;
    if (faulted) return "H1: rows that cannot be read";
    uint64_t which = 0;
    if (const std::string wrong = find_state(states_, print, bounds, &which); !wrong.empty()) return "H1: " + wrong;
    if (!go_on) return "";
    if (const Status begun = (*rows)->begin(); !begun.ok()) return "H1: " + begun.error().text;
    (*rows)->put(Table::kMeta, "after", "cut");
    if (const Status done = (*rows)->commit(); !done.ok()) return "H1: takes no transaction: " + done.error().text;
    return "";
  }

 private:
  std::string open(Medium& medium, std::unique_ptr<SqliteRows>& rows, uint64_t& durable, uint64_t asked) const {
    for (int attempt = 0;; ++attempt) {
      if (attempt == kTries) medium.heal();
      auto opened = SqliteRows::open(kFile);
      std::string wrong;
      if (opened.ok() && (*opened)->begin().ok()) {
        const uint64_t print = print_of(**opened);
        const bool faulted = (*opened)->faulted();
        (*opened)->rollback();
        if (!faulted) {
          wrong = find_state(states_, print, {durable, asked}, &durable);
          rows = std::move(*opened);
          return wrong;
        }
      }
      if (attempt > 2 * kTries)
        return "does not start after the fault healed" + (opened.ok() ? "" : ": " + opened.error().text);
    }
  }

  HubWorkload workload_;
  std::vector<uint64_t> states_;
};

}  // namespace

std::unique_ptr<Subject> hub_subject(HubWorkload workload) { return std::make_unique<HubSubject>(std::move(workload)); }

}  // namespace wb::crash
