#pragma once
// LoadFleet: many real agents in one process, each with its own identity, mutual-TLS connection and — when they pace
// themselves — the same sync core (edge/sync) that decides in the field when to talk, how much, and what a failure
// means.
//
// Open loop: records come to the agents at a fixed rate whatever the hub does, so an overload is a real one: what is
// not taken waits in the agents (kOutboxRecordsMax each; what does not fit is dropped and counted). Closed loop: every
// agent sends its next exchange when the last is answered (and thought over); this finds the capacity.
//
// Records are nine numbers with a verdict, like those of the bench; a run takes a new incarnation, so identities may be
// used again and again. One thread.

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apps/waybill/load_identities.h"
#include "apps/waybill/load_report.h"
#include "base/prng.h"
#include "edge/sync/sync.h"

namespace wb::cli {

struct LoadOptions {
  bool open_loop = true;
  uint32_t records_per_exchange = 10;  // closed loop; 0 = reports only
  uint32_t records_per_request_max = 500;
  uint32_t think_ms = 0;  // closed loop
  uint32_t flush_ms = 2'000;
  uint32_t long_poll_ms = 50'000;
  uint64_t seed = 1;
};

class LoadFleet {
 public:
  LoadFleet(const LoadOptions& options, const world::Endpoint& endpoint, std::vector<LoadIdentity> identities);
  ~LoadFleet();

  LoadReport& report() { return report_; }
  // Agents start evenly over this time, from now on.
  void start(std::chrono::milliseconds ramp);
  // Runs for `seconds`, with `records_per_s` coming to all agents together; `each_second` is called at each full one,
  // and ends the phase early if it returns false.
  void run(uint32_t seconds, double records_per_s, const std::function<bool()>& each_second);
  // Every connection of this share of the agents breaks now.
  void storm(uint32_t percent);
  // No exchange is begun any more; what is on the air may come back.
  void stop(std::chrono::milliseconds grace);
  size_t connected() const;
  size_t agents() const { return agents_.size(); }

 private:
  class Agent;
  void produce(double records);
  void turn(std::chrono::steady_clock::time_point until);

  LoadOptions options_;
  boost::asio::io_context io_{1};
  LoadReport report_;
  std::string head_;  // of every request: what a node reports, encoded once
  std::string incarnation_;
  wire::RecordUp record_;  // all of one but its number
  wire::SchemaDef schema_;
  uint64_t record_bytes_ = 0;
  std::vector<std::unique_ptr<Agent>> agents_;
  size_t next_producer_ = 0;
  double owed_records_ = 0;
  Prng prng_;
  bool stopping_ = false;
};

}  // namespace wb::cli
