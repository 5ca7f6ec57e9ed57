#pragma once
// What the deploy machine is told and what it asks for. Part of its door, deploy.h.

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/store_op.h"
#include "wire/wire.h"

namespace wb::deploy {

struct SlotFile {
  std::string digest;
  uint64_t bytes = 0;   // durable
  bool sealed = false;  // complete and renamed; still verified each time before it is loaded
};

// ---- events

struct Opened {};  // the first event after open()
struct DesiredSeen {
  wire::Desired desired;
};  // with every contact: level-triggered
struct Fetched {
  std::string digest;
  uint64_t offset = 0;
  Bytes bytes;
};
struct FetchFailed {
  std::string digest;
  uint64_t offset = 0;
  Error error;
  int64_t retry_after_ms = 0;
};
struct SlotWritten {
  std::string digest;
  uint64_t bytes = 0;
};  // durable length now
struct SlotSealed {
  std::string digest;
};
struct SlotRead {
  std::string digest;
  Bytes bytes;
};
struct SlotFailed {
  std::string digest;
  Error error;
};  // of a write, seal or read. kNotFound = no such file
// Answer to LoadCandidate and Run: the agent built the pipeline, or says why it cannot.
struct Loaded {
  std::string digest;
  bool ok = false;
  std::string error;
};
// Sketches of the shadow and of the running release, both cumulative since Loaded{candidate}. The running one is empty
// if nothing runs.
struct Scores {
  std::string digest;
  wire::ScoreSketch candidate;
  wire::ScoreSketch incumbent;
};
struct Stored {
  uint64_t ticket = 0;
};
struct StoreFailed {
  uint64_t ticket = 0;
  Error error;
};
struct Wake {};
struct Stopping {};  // a clean stop is not a crash: takes back the tries of this boot

using Event = std::variant<Opened, DesiredSeen, Fetched, FetchFailed, SlotWritten, SlotSealed, SlotRead, SlotFailed,
                           Loaded, Scores, Stored, StoreFailed, Wake, Stopping>;

// ---- effects

struct Store {
  uint64_t ticket = 0;
  std::vector<StoreOp> ops;
};  // tickets of this machine, from 1
struct FetchRange {
  std::string digest;
  uint64_t offset = 0;
  uint64_t length = 0;
};  // may be lost
struct WriteSlot {
  std::string digest;
  uint64_t offset = 0;
  Bytes bytes;
};
struct SealSlot {
  std::string digest;
};
struct ReadSlot {
  std::string digest;
};
struct RemoveSlot {
  std::string digest;
};  // no answer; a file that stays is removed at the next boot
struct LoadCandidate {
  wire::Release release;
};  // build it and shadow it; answered by Loaded, then Scores
struct Promote {
  std::string digest;
};  // the shadow becomes the running release; cannot fail
struct Drop {
  std::string digest;
};  // stop and free the shadow, if there is one
struct Run {
  wire::Release release;
};  // at boot or after safe mode; answered by Loaded
struct EnterSafeMode {
  std::string text;
};  // stop scoring; taking in and sending go on. Left by Run or Promote

struct Refused {
  std::string digest;
  std::string release;  // its name, or its digest if it has none
  std::string code;
  std::string text;
};  // told: this node will not run it again. No answer
struct WentBack {
  std::string digest;
  std::string name;
  std::string text;  // why
};                   // told: the running release gave way to this one, which was there before it. No answer

using Effect = std::variant<Store, FetchRange, WriteSlot, SealSlot, ReadSlot, RemoveSlot, LoadCandidate, Promote, Drop,
                            Run, EnterSafeMode, WentBack, Refused>;

}  // namespace wb::deploy
