#pragma once
// A whole hub in this process: data folder, CA, database, server on a port that the system chooses.

#include <gtest/gtest.h>

#include <ctime>
#include <memory>
#include <thread>

#include "apps/waybill/client.h"
#include "apps/waybill/hub_home.h"
#include "apps/waybill/hub_service.h"
#include "base/bytes.h"
#include "world/test_folder.h"

namespace wb::cli {

class RunningHub : public testing::Test {
 protected:
  void SetUp() override {
    home_ = std::make_unique<HubHome>(open_hub_home(folder_.path("d"), {"127.0.0.1"}, std::time(nullptr)).value());
    hub::HubConfig config;
    config.ca_pin = home_->authority.pin();
    service_ = std::make_unique<HubService>(config, world::SqliteRows::open(folder_.path("d/hub.db")).value(),
                                            home_->authority);
    world::ServerOptions options;
    options.port = 0;
    options.certificate_pem = home_->server.certificate_pem;
    options.key_pem = home_->server.key_pem;
    options.ca_pem = home_->authority.certificate_pem();
    server_ = world::HttpsServer::listen(std::move(options), *service_).value();
    endpoint_ = world::Endpoint{"127.0.0.1", server_->port()};
    ASSERT_TRUE(write_hub_url(*home_, endpoint_.url()).ok());
    thread_ = std::thread([this] { server_->run(); });
  }
  void TearDown() override {
    if (!server_) return;
    server_->stop();
    thread_.join();
  }
  AdminClient admin() { return AdminClient(HubOptions{"", "", folder_.path("d")}); }
  std::string new_secret() {
    const std::string token = admin().post("/v1/tokens", {{"lifetime", 60'000}}).value("token", std::string());
    const auto parts = split(token, '-');
    EXPECT_EQ(parts.size(), 3U) << token;
    EXPECT_EQ(parts[2], home_->authority.pin());
    return std::string(parts[1]);
  }
  // As the agent does: pin first, then the secret over a verified connection.
  Result<world::HttpResponse> enrol(const std::string& secret, const std::string& key_pem, const std::string& name) {
    const std::string ca = world::fetch_pinned_ca(endpoint_, home_->authority.pin(), 10'000).value();
    wire::EnrolRequest request;
    request.set_token(secret);
    request.set_csr_der(world::make_csr_der(key_pem, name).value());
    request.set_node_name(name);
    return world::https_call(endpoint_, {ca, "", ""}, {"POST", "/v1/enrol", {}, wire::encode(request)}, {});
  }
  world::TlsIdentity enrolled(const std::string& name) {
    const std::string key = world::make_p256_key_pem().value();
    const auto answer = enrol(new_secret(), key, name);
    EXPECT_EQ(answer->status, 200) << answer->body;
    const auto response = wire::decode_enrol_response(answer->body).value();
    return {response.ca_pem(), response.certificate_pem(), key};
  }
  world::HttpRequest exchange_request(uint32_t long_poll_ms) {
    wire::ExchangeRequest request;
    request.set_protocol(limits::kProtocol);
    request.set_incarnation(std::string(16, 'i'));
    request.set_boot(1);
    request.set_long_poll_ms(long_poll_ms);
    return {"POST", "/v1/exchange", {{"Content-Type", "application/x-protobuf"}}, wire::encode(request)};
  }

  world::TestFolder folder_;
  std::unique_ptr<HubHome> home_;
  std::unique_ptr<HubService> service_;
  std::unique_ptr<world::HttpsServer> server_;
  world::Endpoint endpoint_;
  std::thread thread_;
};

}  // namespace wb::cli
