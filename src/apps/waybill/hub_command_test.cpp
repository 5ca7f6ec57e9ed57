// The hub as a person and a node meet it: data folder, token, enrolment, exchange, over real TLS on a free port.

#include <gtest/gtest.h>

#include <unistd.h>

#include <ctime>
#include <memory>
#include <thread>

#include "apps/agent/identity.h"
#include "apps/waybill/commands.h"
#include "apps/waybill/test_running_hub.h"

namespace wb::cli {
namespace {

using Json = nlohmann::ordered_json;
using world::HttpRequest;

TEST(HubHome, SecondStartFindsWhatTheFirstMade) {
  const world::TestFolder folder;
  const int64_t now = std::time(nullptr);
  std::string pin;
  std::string server;
  {
    const auto first = open_hub_home(folder.path("d"), {"hub.local"}, now).value();
    EXPECT_TRUE(first.first_start);
    pin = first.authority.pin();
    server = first.server.certificate_pem;
    const auto second_hub = open_hub_home(folder.path("d"), {"hub.local"}, now);
    ASSERT_FALSE(second_hub.ok());
    EXPECT_EQ(second_hub.error().code, Code::kExists);
    EXPECT_NE(second_hub.error().text.find("hub (process"), std::string::npos);
  }
  {
    const auto again = open_hub_home(folder.path("d"), {"hub.local"}, now).value();
    EXPECT_FALSE(again.first_start);
    EXPECT_EQ(again.authority.pin(), pin);
    EXPECT_EQ(again.server.certificate_pem, server);
  }
  const auto renamed = open_hub_home(folder.path("d"), {"hub.local", "10.0.0.5"}, now).value();
  EXPECT_NE(renamed.server.certificate_pem, server);
}

TEST(HubHome, RenewsBeforeItExpires) {
  const world::TestFolder folder;
  const int64_t now = std::time(nullptr);
  const auto admin = [&] { return world::read_file(folder.path("d/admin/cert.pem"), 1 << 16).value(); };
  std::string server = open_hub_home(folder.path("d"), {}, now)->server.certificate_pem;
  const std::string first_admin = admin();
  const int64_t later = now + world::kServerLifetimeSeconds - 10 * world::kDaySeconds;
  EXPECT_NE(open_hub_home(folder.path("d"), {}, later)->server.certificate_pem, server);
  EXPECT_NE(admin(), first_admin);
}

// I2 of the hub's own files: a pair that does not fit (a crash between two files) is made anew; the CA never is.
TEST(HubHome, BrokenFilesAreMendedOrNamed) {
  const world::TestFolder folder;
  const int64_t now = std::time(nullptr);
  { const auto home = open_hub_home(folder.path("d"), {}, now).value(); }
  ASSERT_TRUE(world::write_file_atomic(folder.path("d/admin/key.pem"), world::make_p256_key_pem().value(), 0600).ok());
  ASSERT_TRUE(world::write_file_atomic(folder.path("d/server.pem"), "rubbish", 0600).ok());
  { const auto home = open_hub_home(folder.path("d"), {}, now).value(); }
  const auto certificate = world::read_file(folder.path("d/admin/cert.pem"), 1 << 16).value();
  EXPECT_TRUE(world::check_pair(certificate, world::read_file(folder.path("d/admin/key.pem"), 1 << 16).value()).ok());
  ASSERT_TRUE(world::write_file_atomic(folder.path("d/ca.pem"), "rubbish", 0600).ok());
  const auto broken = open_hub_home(folder.path("d"), {}, now);
  ASSERT_FALSE(broken.ok());
  EXPECT_NE(broken.error().text.find("ca.pem"), std::string::npos);
  EXPECT_NE(broken.error().text.find("backup"), std::string::npos);
}

// I1, I6: the key stays here; a token works once.
TEST_F(RunningHub, EnrolsANodeOnceAndTalksToIt) {
  const std::string secret = new_secret();
  const std::string key = world::make_p256_key_pem().value();
  const auto answer = enrol(secret, key, "gw-1");
  ASSERT_TRUE(answer.ok()) << answer.error().text;
  ASSERT_EQ(answer->status, 200) << answer->body;
  const auto response = wire::decode_enrol_response(answer->body).value();
  EXPECT_TRUE(world::check_pair(response.certificate_pem(), key).ok());
  EXPECT_GE(enrol(secret, world::make_p256_key_pem().value(), "gw-2")->status, 400);  // the same token for another key
  const world::TlsIdentity identity{response.ca_pem(), response.certificate_pem(), key};
  const auto exchange = world::https_call(endpoint_, identity, exchange_request(0), {});
  ASSERT_TRUE(exchange.ok()) << exchange.error().text;
  EXPECT_EQ(exchange->status, 200) << exchange->body;
  EXPECT_TRUE(wire::decode_exchange_response(exchange->body).ok());
  const Json nodes = admin().get("/v1/nodes");
  ASSERT_EQ(nodes["nodes"].size(), 1U) << nodes.dump();
  EXPECT_EQ(nodes["nodes"][0]["id"], response.node_id());
  // A node's certificate opens no administrator's door.
  EXPECT_EQ(world::https_call(endpoint_, identity, {"GET", "/v1/nodes", {}, ""}, {})->status, 403);
}

// I4: a revoked node is refused although its certificate is still valid.
TEST_F(RunningHub, RevokedNodeIsRefused) {
  const world::TlsIdentity identity = enrolled("gw-1");
  EXPECT_EQ(world::https_call(endpoint_, identity, exchange_request(0), {})->status, 200);
  admin().post("/v1/nodes/gw-1/revoke", Json::object());
  EXPECT_EQ(world::https_call(endpoint_, identity, exchange_request(0), {})->status, 403);
}

// I1, I2: the agent's own enrolment and renewal against a real hub. The old certificate serves until the new one is
// used.
TEST_F(RunningHub, ANodeRenewsItsCertificateForTheSameKey) {
  const std::string data_dir = folder_.path("node");
  const std::string token = "wb1-" + new_secret() + "-" + home_->authority.pin();
  const auto before = agentapp::enrol({data_dir, endpoint_.url(), token, "gw-1", {}});
  ASSERT_TRUE(before.ok()) << before.error().text;
  const int64_t now = std::time(nullptr);
  EXPECT_FALSE(agentapp::renewal_due(*before, now));
  EXPECT_TRUE(agentapp::renewal_due(*before, now + world::kNodeLifetimeSeconds * 3 / 4));
  ASSERT_EQ(world::https_call(endpoint_, before->tls, exchange_request(0), {})->status, 200);

  const auto answer = world::https_call(endpoint_, before->tls, agentapp::renewal_request(*before).value(), {});
  ASSERT_TRUE(answer.ok()) << answer.error().text;
  ASSERT_EQ(answer->status, 200) << answer->body;
  EXPECT_EQ(world::https_call(endpoint_, before->tls, exchange_request(0), {})->status, 200);
  const auto after = agentapp::take_renewal(data_dir, *before, answer->body);
  ASSERT_TRUE(after.ok()) << after.error().text;
  EXPECT_NE(after->tls.certificate_pem, before->tls.certificate_pem);
  EXPECT_EQ(agentapp::load_identity(data_dir)->tls.certificate_pem, after->tls.certificate_pem);
  EXPECT_EQ(world::https_call(endpoint_, after->tls, exchange_request(0), {})->status, 200);
  EXPECT_EQ(world::https_call(endpoint_, before->tls, exchange_request(0), {})->status, 403);

  admin().post("/v1/nodes/gw-1/revoke", Json::object());
  EXPECT_EQ(world::https_call(endpoint_, after->tls, agentapp::renewal_request(*after).value(), {})->status,
            403);  // I4
}

// Labels given at enrolment are the node's own: kept with its identity, known to the hub before the first exchange, and
// the operator's win.
TEST_F(RunningHub, LabelsGivenAtEnrolmentAreKept) {
  const std::string data_dir = folder_.path("node");
  const std::string token = "wb1-" + new_secret() + "-" + home_->authority.pin();
  const std::map<std::string, std::string> labels = {{"site", "lyon"}, {"note", "two\nlines"}, {"empty", ""}};
  const auto made = agentapp::enrol({data_dir, endpoint_.url(), token, "gw-1", labels});
  ASSERT_TRUE(made.ok()) << made.error().text;
  EXPECT_EQ(made->labels, labels);
  EXPECT_EQ(agentapp::load_identity(data_dir)->labels, labels);
  const auto at_hub = [&] { return admin().get("/v1/nodes/gw-1")["labels"]; };
  EXPECT_EQ(at_hub()["site"], "lyon");
  EXPECT_EQ(at_hub()["note"], "two\nlines");
  admin().patch("/v1/nodes/gw-1/labels", {{"site", "oslo"}});
  EXPECT_EQ(at_hub()["site"], "oslo");
}

// Half an identity is not the same as none: with a pipeline of its own the agent would otherwise start as another node.
TEST_F(RunningHub, HalfAnIdentityIsAnErrorThatSaysWhatToDo) {
  const std::string data_dir = folder_.path("node");
  const std::string token = "wb1-" + new_secret() + "-" + home_->authority.pin();
  ASSERT_TRUE(agentapp::enrol({data_dir, endpoint_.url(), token, "gw-1", {}}).ok());
  ASSERT_EQ(::unlink((data_dir + "/identity/key.pem").c_str()), 0);
  const auto half = agentapp::load_identity(data_dir);
  ASSERT_FALSE(half.ok());
  EXPECT_EQ(half.error().code, Code::kCorrupt);
  EXPECT_NE(half.error().text.find("enrol this node again with a new token"), std::string::npos) << half.error().text;
}

TEST_F(RunningHub, ARefusedEnrolmentSaysWhyInWords) {
  const std::string token = "wb1-" + std::string(32, 'a') + "-" + home_->authority.pin();
  const auto refused = agentapp::enrol({folder_.path("node"), endpoint_.url(), token, "gw-1", {}});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().text.find('{'), std::string::npos) << refused.error().text;
  EXPECT_NE(refused.error().text.find("not known here; create a new one with `waybill node token create`"),
            std::string::npos)
      << refused.error().text;
}

TEST_F(RunningHub, ADataFolderOnTheCommandLineBeatsTheEnvironment) {
  ::setenv("WAYBILL_CREDENTIALS", "/nonexistent/admin", 1);
  ::setenv("WAYBILL_HUB", "https://127.0.0.1:1", 1);
  EXPECT_TRUE(admin().get("/v1/nodes")["nodes"].empty());
  ::unsetenv("WAYBILL_CREDENTIALS");
  ::unsetenv("WAYBILL_HUB");
}

TEST_F(RunningHub, HoldsALongPollUntilItStops) {
  const world::TlsIdentity identity = enrolled("gw-1");
  ASSERT_EQ(world::https_call(endpoint_, identity, exchange_request(0), {})->status, 200);
  Result<world::HttpResponse> held = fail(Code::kInternal, "not yet");
  std::thread poller(
      [&] { held = world::https_call(endpoint_, identity, exchange_request(50'000), {.deadline_ms = 60'000}); });
  while (server_->stats().parked == 0) std::this_thread::yield();
  server_->stop();
  poller.join();
  ASSERT_TRUE(held.ok()) << held.error().text;
  EXPECT_EQ(held->status, 200) << held->body;
}

TEST_F(RunningHub, ErrorsCarryTheHubsOwnNextStep) {
  try {
    admin().get("/v1/nodes/nobody");
    FAIL();
  } catch (const Exit& exit) {
    EXPECT_EQ(exit.code, kFailed);
    EXPECT_NE(exit.message.find("nobody"), std::string::npos) << exit.message;
    EXPECT_NE(exit.message.find("waybill node list"), std::string::npos) << exit.message;
  }
}

TEST_F(RunningHub, BadSigningRequestIsRefusedByName) {
  wire::EnrolRequest request;
  request.set_token(new_secret());
  request.set_csr_der("rubbish");
  request.set_node_name("gw-1");
  const auto answer = world::https_call(endpoint_, {home_->authority.certificate_pem(), "", ""},
                                        {"POST", "/v1/enrol", {}, wire::encode(request)}, {});
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->status, 400) << answer->body;
}

}  // namespace
}  // namespace wb::cli
