#pragma once
// Identities for a load run: real nodes, enrolled through the hub's own API (token, signing request, certificate), kept
// in a folder and used again by the next run against the same hub.
//
// Folder: ca.pem (of the hub they belong to) and nodes.jsonl, one {"id","certificate","key"} a line, both readable by
// their owner only: the keys are as good as those of any node. Remove the folder, and revoke the nodes, when done.

#include <functional>
#include <string>
#include <vector>

#include "apps/waybill/client.h"

namespace wb::cli {

struct LoadIdentity {
  std::string id;
  world::TlsIdentity tls;
};

// At least `count` identities: those in the folder, and as many new ones as are missing. Throws Exit with what to do if
// the folder belongs to another hub or the hub refuses. `progress(done, count)` is called now and then.
std::vector<LoadIdentity> load_identities(const std::string& folder, size_t count, const AdminClient& admin,
                                          const std::function<void(size_t, size_t)>& progress);

}  // namespace wb::cli
