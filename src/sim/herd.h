#pragma once
// herd: a whole fleet that comes back after its hub was gone, on a virtual clock. Every node is the sync core of the
// agent, the hub is the real Hub over rows in memory behind the real Admission; between them a model of the two things
// that a herd can exhaust: handshakes on the hub's io thread, and calls on its database thread.
//
// The model of one hub process: a handshake costs handshake_us of the io thread, in the order of arrival; at most
// handshakes_max wait, the next ones' connection attempts are dropped by the system and made again after 1, 2, 4 … s,
// as TCP does. A call costs call_us (and record_us for each record) of the database thread, plus commit_us for each
// batch. No bytes are counted and nothing is lost on the way: what is looked at is who comes when.
//
// Checked: the arrivals after the outage are spread (no second holds more than the hub's handshakes bear), Retry-After
// is never undercut (L3), retries add at most a fifth (L2), and in the end every node is connected and has delivered
// (liveness).

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace wb::sim {

struct HerdOptions {
  uint64_t seed = 1;
  uint32_t nodes = 100'000;
  uint32_t outage_ms = 60'000;
  uint32_t records_per_node = 3;  // that wait when the hub comes back
  uint32_t minutes_max = 30;      // after it came back; whoever is not there by then counts as lost
  uint32_t handshake_us = 500;
  uint32_t call_us = 60;
  uint32_t record_us = 10;
  uint32_t commit_us = 8'000;
  uint32_t handshakes_max = 512 + 4'096;  // places without a certificate, and what the system queues before them
  uint32_t peak_per_s = 2'000;            // what the hub's handshakes bear in one second
  bool same_jitter = false;               // plants the mistake that the checker must see: all nodes draw alike
  std::function<void(const std::string&)> progress;
};

struct HerdSecond {
  uint32_t arrivals = 0;  // connection attempts
  uint32_t handshakes = 0;
  uint32_t exchanges = 0;
  uint32_t refused = 0;
  uint32_t connected = 0;  // at its end
};

struct HerdReport {
  uint32_t nodes = 0;
  uint32_t jitter_floor_ms = 0;  // as granted before the outage
  uint32_t peak_arrivals = 0;    // in the worst second from the hub's return on
  uint64_t arrivals = 0, exchanges = 0, refused = 0, dropped = 0, timed_out = 0;
  uint64_t attempts = 0, retries = 0;
  uint64_t early = 0;                                                      // before Retry-After was over
  int64_t half_after_ms = -1, all_after_ms = -1, delivered_after_ms = -1;  // from the hub's return; -1 = never
  std::vector<HerdSecond> seconds;                                         // from the moment the hub went away
  std::vector<std::string> violations;
};

HerdReport run_herd(const HerdOptions& options);

}  // namespace wb::sim
