#pragma once
// HubService: the pure hub behind the HTTPS server. It opens one transaction for a batch of calls, lets the hub answer
// each, commits, and only then lets the answers go (promise H1). It performs what the hub may not: time, entropy,
// signing.

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "apps/waybill/hub_probe.h"
#include "hub/api/http.h"
#include "world/https_server.h"
#include "world/pki.h"
#include "world/rows_sqlite.h"

namespace wb::cli {

class HubService final : public world::Service {
 public:
  HubService(hub::HubConfig config, std::unique_ptr<world::SqliteRows> rows,
             const world::CertificateAuthority& authority, HubProbe* probe = nullptr)
      : hub_(std::move(config)), rows_(std::move(rows)), authority_(authority), probe_(probe) {}

  world::RoutePolicy policy(std::string_view method, std::string_view path) const override;
  Admission::Class class_of(const world::ServerCall& call) const override;
  std::vector<std::string> serve(const std::vector<world::ServerCall*>& calls, world::ServerLoad load) override;
  void answered(const world::ServerCall& call) const override;
  std::vector<std::string> tick() override;

 private:
  hub::Response answer(Moment now, world::ServerCall& call);
  hub::Response enrol(Moment now, const hub::IssueCertificate& issue);
  void probe_all(HubPoint point, const std::vector<world::ServerCall*>& calls) const;
  bool begin();
  bool commit();
  void note_fault(const Error& error);
  void note_refusal(const hub::Caller& caller, const hub::Response& response);

  hub::Hub hub_;
  std::unique_ptr<world::SqliteRows> rows_;
  const world::CertificateAuthority& authority_;
  HubProbe* const probe_;
  uint64_t faults_count_ = 0;
  std::set<std::string, std::less<>> refused_nodes_;  // told of already; at most kRefusedNodesMax
};

}  // namespace wb::cli
