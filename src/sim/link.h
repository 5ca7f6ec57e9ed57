#pragma once
// Link: the way between one node and the hub. It may be cut, deaf in one direction, slow, or there only for seconds at
// a time; what is lost, doubled or late is drawn by whoever sends.

#include <algorithm>
#include <cstdint>

#include "sim/clock.h"

namespace wb::sim {

struct Link {
  int64_t cut_until_ms = 0;        // both ways
  int64_t mute_up_until_ms = 0;    // what the node sends is lost, what it is sent arrives
  int64_t mute_down_until_ms = 0;  // the other way round
  uint64_t bytes_per_s = 0;        // 0 = bytes take no time
  // Contact windows: reachable for window_ms at the beginning of each period. 0 = always.
  int64_t window_ms = 0;
  int64_t window_offset_ms = 0;
  static constexpr int64_t kWindowEveryMs = kHourMs;

  bool open(int64_t now_ms) const {
    if (now_ms < cut_until_ms) return false;
    return window_ms == 0 || (now_ms + window_offset_ms) % kWindowEveryMs < window_ms;
  }
  bool up_open(int64_t now_ms) const { return open(now_ms) && now_ms >= mute_up_until_ms; }
  bool down_open(int64_t now_ms) const { return open(now_ms) && now_ms >= mute_down_until_ms; }
  // Nothing about it keeps a contact from being made soon.
  bool clean(int64_t now_ms) const { return window_ms == 0 && up_open(now_ms) && down_open(now_ms); }

  // How long from now until the last byte is through; messages of one direction wait for each other.
  int64_t up_ms(int64_t now_ms, uint64_t bytes) { return through(now_ms, bytes, up_free_ms_); }
  int64_t down_ms(int64_t now_ms, uint64_t bytes) { return through(now_ms, bytes, down_free_ms_); }
  void forget_transfers() { up_free_ms_ = down_free_ms_ = 0; }  // the connections are gone

  void heal() {
    cut_until_ms = mute_up_until_ms = mute_down_until_ms = 0;
    window_ms = 0;
  }

 private:
  int64_t through(int64_t now_ms, uint64_t bytes, int64_t& free_ms) const {
    if (bytes_per_s == 0) return 0;
    free_ms = std::max(free_ms, now_ms) + static_cast<int64_t>(bytes * 1'000 / bytes_per_s);
    return free_ms - now_ms;
  }
  int64_t up_free_ms_ = 0;
  int64_t down_free_ms_ = 0;
};

}  // namespace wb::sim
