#pragma once
// AgentProbe: is told where the agent stands around everything it does to the world. waybill-agent has none. The
// program that tests/kill builds from the same parts ends itself there with SIGKILL, so that every effect is shown to
// be survived before and after it. A new effect or step must get a row in tests/kill: its table does not compile
// without.

#include <cstddef>
#include <cstdint>

namespace wb::agentapp {

// What is not an agent::Effect: the files around enrolment and start, and the ends of effects that take time.
enum class AgentStep : uint8_t {
  kKeyKept,          // enrolment: the private key is on disk
  kRequestKept,      // enrolment: the signing request is on disk, nothing was said to the hub
  kEnrolAnswered,    // the hub has enrolled this node, nothing of it is on disk
  kIdentityKept,     // the identity is on disk
  kStoreOpened,      // start: outbox.db is open, what was damaged is set aside
  kTokenKept,        // start: local_token is on disk
  kUrlKept,          // start: local_url is on disk, nothing is served
  kStored,           // a commit is durable and nobody was told; on the store's thread
  kRowsLoaded,       // rows are read; on the store's thread
  kExchangeEnded,    // an exchange was answered or failed, the machine does not know
  kFetchEnded,       // the same of a range of an artifact
  kRenewalAnswered,  // the hub has renewed the certificate, the old one is on disk
  kRenewalKept,      // the new one is on disk, the old one in memory
  kStopping,         // asked to end
};
inline constexpr size_t kAgentStepsCount = static_cast<size_t>(AgentStep::kStopping) + 1;

class AgentProbe {
 public:
  virtual ~AgentProbe() = default;
  // Around the performance of one effect; `kind` is its index in agent::Effect. What takes time has only begun when
  // after() is called.
  virtual void before(size_t kind) = 0;
  virtual void after(size_t kind) = 0;
  virtual void at(AgentStep step) = 0;  // from any thread
};

inline void reached(AgentProbe* probe, AgentStep step) {
  if (probe != nullptr) probe->at(step);
}

}  // namespace wb::agentapp
