#pragma once
// HubProbe: is told where the hub stands around everything it does to the world. `waybill hub` has none. The program
// that tests/kill builds from the same parts ends itself there with SIGKILL. A new point must get a row in tests/kill:
// its table does not compile without.

#include <cstddef>
#include <cstdint>

#include "world/https_server.h"

namespace wb::cli {

enum class HubPoint : uint8_t {
  kAuthorityKept,      // first start: the CA is on disk
  kServerKept,         // the server's certificate is on disk
  kAdminKeyKept,       // the admin's key is on disk, its certificate is not
  kAdminKept,          // both are
  kDatabaseOpened,     // hub.db is open
  kAdminUrlKept,       // admin/hub_url is on disk
  kUrlKept,            // hub_url too; nothing is served
  kTaken,              // a call was taken, its transaction has not begun
  kCertificateSigned,  // enrolment or renewal: signed, nothing of it stored
  kDecided,            // the answer of a call is worked out, nothing of it is durable
  kCommitted,          // it is durable, no byte of the answer has left
  kAnswered,           // the answer is with the kernel
  kTickDecided,        // what is due by time is worked out, not durable
  kTicked,             // it is durable, nobody was woken
};
inline constexpr size_t kHubPointsCount = static_cast<size_t>(HubPoint::kTicked) + 1;

class HubProbe {
 public:
  virtual ~HubProbe() = default;
  // From any thread. `call`: the one it is about; nullptr if it is about none.
  virtual void at(HubPoint point, const world::ServerCall* call) = 0;
};

inline void reached(HubProbe* probe, HubPoint point, const world::ServerCall* call = nullptr) {
  if (probe != nullptr) probe->at(point, call);
}

}  // namespace wb::cli
