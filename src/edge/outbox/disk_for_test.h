#pragma once
// A store for tests: what is durable is a map; tickets are applied whole and in order.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/prng.h"
#include "edge/outbox/outbox.h"

namespace wb::outbox {

struct Disk {
  std::map<std::pair<NodeTable, std::string>, std::string> rows;
  uint64_t damaged_rows_count = 0;

  void apply(std::vector<StoreOp>& ops) {
    for (StoreOp& op : ops) {
      if (op.erase) {
        rows.erase({op.table, op.key});
      } else {
        rows[{op.table, op.key}] = std::move(op.value);
      }
    }
    ops.clear();
  }
  StoredState read() const {
    StoredState state;
    state.damaged_rows_count = damaged_rows_count;
    for (const auto& [key, value] : rows) {
      StoredRow row{key.first, key.second, value, static_cast<uint32_t>(value.size())};
      if (row.table == NodeTable::kRecords) row.value.resize(std::min<size_t>(row.value.size(), kRecordHeadBytes));
      state.rows.push_back(std::move(row));
    }
    return state;
  }
  // Opens the outbox and makes durable what it found out.
  Opened open(const Config& config, Instant now = {}) {
    Opened opened = Outbox::open(config, read(), now).value();
    apply(opened.ops);
    return opened;
  }
  std::string record(const std::string& key) const {
    const auto row = rows.find({NodeTable::kRecords, key});
    return row == rows.end() ? "" : std::string(Outbox::record_of(row->second).value());
  }
  size_t records_count() const {
    size_t count = 0;
    for (const auto& [key, value] : rows) count += key.first == NodeTable::kRecords ? 1 : 0;
    return count;
  }
};

inline Offer make_offer(Lane lane, std::string record, double draw = 0.5, double probability = 1, double value = 1) {
  return Offer{lane, Rule::kSample, probability, draw, value, 1'000, std::move(record)};
}

inline void expect_exact(const View& view) {  // Q4
  for (const LaneCounts& lane : view.lanes)
    EXPECT_EQ(lane.produced, lane.effected + lane.waiting + lane.evicted + lane.lost);
}

}  // namespace wb::outbox
