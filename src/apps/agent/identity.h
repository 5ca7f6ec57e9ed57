#pragma once
// Who this node is: what enrolment leaves in <data_dir>/identity. The private key is made here and never leaves (I1).

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "apps/agent/probe.h"
#include "base/result.h"
#include "world/https_client.h"

namespace wb::agentapp {

struct Identity {
  std::string node_id;
  std::string hub_url;
  world::TlsIdentity tls;
  std::vector<std::string> release_keys;      // 32 raw bytes each, pinned at enrolment (K2)
  std::map<std::string, std::string> labels;  // given at enrolment; those given to `run` win over them
};

// Certificates are renewed when a third of their life is left, by the hub that issued them, for the same key.

// kNotFound if this data folder was never enrolled.
Result<Identity> load_identity(const std::string& data_dir);

struct EnrolOptions {
  std::string data_dir;
  std::string hub_url;
  std::string token;  // wb1-<secret>-<CA pin>
  std::string name;   // wished node id; the hub decides
  std::map<std::string, std::string> labels;
  AgentProbe* probe = nullptr;
};
// Makes a key, has the hub sign it, and keeps the identity. Safe to repeat after a crash: the same key is used again.
Result<Identity> enrol(const EnrolOptions& options);

// Takes the disk space that a renewal will need, so that it works on a full disk too (R1). Best at every start.
Status keep_room_for_renewal(const std::string& data_dir);

// True in the last third of the certificate's life, also after its end; `now_s` in Unix seconds.
bool renewal_due(const Identity& identity, int64_t now_s);
Result<world::HttpRequest> renewal_request(const Identity& identity);
// Checks the hub's answer and keeps it: the identity on disk is the old or the new one, never half (I2, S1).
Result<Identity> take_renewal(const std::string& data_dir, const Identity& identity, std::string_view answer);

}  // namespace wb::agentapp
