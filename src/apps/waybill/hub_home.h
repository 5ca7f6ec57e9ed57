#pragma once
// HubHome: what a hub keeps in its data folder beside the database: its CA, its server certificate, the admin
// credential. Made at the first start, renewed at later ones; every file is old or new, never half (world/files.h).
//
//   D/lock        one hub per folder            D/ca.pem      CA certificate and key (0600)
//   D/hub.db      all rows                      D/server.pem  server certificate and key (0600)
//   D/hub_url     where the hub listens         D/admin/      cert.pem key.pem ca.pem hub_url: copy it to administer
//   from elsewhere

#include <cstdint>
#include <string>
#include <vector>

#include "apps/waybill/hub_probe.h"
#include "base/result.h"
#include "world/files.h"
#include "world/pki.h"

namespace wb::cli {

struct HubHome {
  std::string folder;
  world::FolderLock lock;
  world::CertificateAuthority authority;
  world::Credential server;
  bool first_start = false;
};

// `hosts`: names under which the hub is reached; a change of them makes a new server certificate.
Result<HubHome> open_hub_home(const std::string& folder, const std::vector<std::string>& hosts, int64_t now_unix_s,
                              HubProbe* probe = nullptr);
// Once the port is known.
Status write_hub_url(const HubHome& home, const std::string& url, HubProbe* probe = nullptr);

}  // namespace wb::cli
