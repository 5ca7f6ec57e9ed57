#pragma once
// AdminClient: how the command line speaks to a hub. It finds the hub and the admin credential, makes the call, and
// turns every failure into an Exit whose text says what happened and what to do next.
//
// Where the hub is: --hub URL and --credentials DIR (cert.pem, key.pem, ca.pem, hub_url), or WAYBILL_HUB and
// WAYBILL_CREDENTIALS, or on the hub's own machine --data-dir D, which means D/admin. Flags win over the environment:
// a folder given as a flag is used whatever the environment says; --data-dir beside --hub or --credentials is an error.

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "world/https_client.h"

namespace CLI {
class App;
}

namespace wb::cli {

struct HubOptions {
  std::string hub;
  std::string credentials;
  std::string data_dir;
  std::string given() const;  // "" or " --data-dir DIR …": what a next command needs to find the same hub
};
// For a next command after one that needed no hub: "" if the environment names one, else " --data-dir HUB_FOLDER".
std::string hub_to_fill_in();
void add_hub_options(CLI::App& app, HubOptions& options);

class AdminClient {
 public:
  // Throws Exit (kBadConfiguration) if there is no hub or no usable credential; the text says how to give one.
  explicit AdminClient(const HubOptions& options);

  // Throws Exit (kFailed) for what went wrong on the way and for statuses from 400; the text carries the hub's own
  // message and next step.
  world::HttpResponse call(const world::HttpRequest& request, world::CallLimits limits = {});
  nlohmann::ordered_json get(const std::string& target);
  nlohmann::ordered_json post(const std::string& target, const nlohmann::ordered_json& body);
  nlohmann::ordered_json patch(const std::string& target, const nlohmann::ordered_json& body);

  const world::Endpoint& endpoint() const { return endpoint_; }
  const std::string& ca_pem() const { return identity_.ca_pem; }
  const world::TlsIdentity& identity() const { return identity_; }

 private:
  nlohmann::ordered_json json_call(const std::string& method, const std::string& target, std::string body);
  world::Endpoint endpoint_;
  world::TlsIdentity identity_;
};

// For one path segment or query value.
std::string url_encode(std::string_view text);

}  // namespace wb::cli
