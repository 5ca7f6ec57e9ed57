#pragma once
// Subject: something durable that is cut, failed and damaged: the node's store, the hub's rows, slot files. A subject
// runs its workload on the Medium in use, leaving marks of what was asked and what was reported durable, and says of
// any Medium that a power cut may have left whether the promises hold there.
//
// Every workload is a row of states: state 0 is an empty store, state n is what it must hold after ticket (or
// transaction) n. A store found after a cut must be in one of the states from the last reported one to the last one
// asked for: never half of one, never an older one (Q1, Q2, H1). How a state looks is one number, a sum over its rows.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/rows.h"
#include "base/store_op.h"
#include "tests/crash/medium.h"

namespace wb::crash {

struct Bounds {
  uint64_t told = 0;   // reported durable
  uint64_t asked = 0;  // handed over
};

class Subject {
 public:
  explicit Subject(std::string name) : name_(std::move(name)) {}
  virtual ~Subject() = default;
  Subject(const Subject&) = delete;
  Subject& operator=(const Subject&) = delete;

  const std::string& name() const { return name_; }
  // Runs the workload. An armed fault is met as a real program would: what failed is tried again, a few times; then the
  // fault is healed, and everything must go on to the end. Returns what was wrong, "" = nothing. `start`: gets the disk
  // on which the log begins; not an empty one if the workload has a prepared part, whose log is dropped.
  virtual std::string run(Medium& medium, MemoryDisk* start) = 0;
  // Opens what is there by the real recovery path and compares. `go_on`: it must also take one more ticket.
  virtual std::string check(Medium& medium, const Bounds& bounds, bool go_on) = 0;
  // The promises that check() decides, for the ledger: "Q1 Q2".
  virtual std::string_view promises() const = 0;
  // Every how many operations power is cut; more than 1 only where one point costs a lot.
  uint64_t stride = 1;

 private:
  std::string name_;
};

uint64_t row_print(uint64_t table, std::string_view key, std::string_view value);
// The largest n in the bounds whose state is `found`; else what is wrong.
std::string find_state(const std::vector<uint64_t>& states, uint64_t found, const Bounds& bounds, uint64_t* which);
// No start may need more calls than this for what is on the disk (Q5).
uint64_t calls_max(const Medium& medium);

// ---- the node's store
struct NodeStep {
  std::vector<std::vector<StoreOp>> tickets;  // handed over together: one group commit
  bool restart_before = false;
  uint64_t file_bytes_max = 0;  // of the restart; 0 = as before
};
struct NodeWorkload {
  std::string name;
  uint64_t file_bytes_max = 1U << 20;
  uint64_t wal_bytes_max = 256U << 10;
  size_t prepared_steps = 0;  // so many steps are done before power may fail
  bool is_outbox = false;     // the rows are an outbox's: its recovery must find everything exact (Q4)
  uint64_t stride = 1;
  std::vector<NodeStep> steps;
};
std::unique_ptr<Subject> node_subject(NodeWorkload workload);

// ---- the hub's rows
struct HubWorkload {
  std::string name;
  std::function<void(Rows&, uint64_t transaction)> transact;
  uint64_t transactions = 20;
  uint64_t prepared = 0;
  uint64_t restart_every = 0;  // 0 = never
  uint64_t stride = 1;
};
std::unique_ptr<Subject> hub_subject(HubWorkload workload);

// ---- files that are replaced whole: world/files.h and world/slots.h
std::unique_ptr<Subject> files_subject();
std::unique_ptr<Subject> slots_subject();

// All named workloads, in a fixed order, and random ones by seed.
std::vector<std::unique_ptr<Subject>> named_subjects();
std::unique_ptr<Subject> random_subject(uint64_t seed);

}  // namespace wb::crash
