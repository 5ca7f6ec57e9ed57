// Actions against real files, a real HTTP listener and a real broker.
#include "world/actions.h"

#include <gtest/gtest.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "world/files.h"
#include "world/local_server.h"
#include "world/mqtt_client.h"
#include "world/test_broker.h"

namespace wb::world {
namespace {

namespace asio = boost::asio;

class ActionsTest : public testing::Test {
 protected:
  template <class Condition>
  bool until(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      io_.restart();
      io_.run_one_for(std::chrono::milliseconds(20));
    }
    return true;
  }
  TestFolder folder_;
  asio::io_context io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};  // waits for posts
  std::vector<std::string> told_;
  Actions actions_{io_, "node-1", [this](bool, const std::string& text) { told_.push_back(text); }};
};

TEST_F(ActionsTest, LinesGoToTheEndOfAFile) {
  ASSERT_TRUE(write_file_atomic(folder_.path("alarms"), "{\"old\":1}\n", kPublicMode).ok());
  actions_.to_file(folder_.path("alarms"), "{\"a\":1}");
  actions_.to_file(folder_.path("alarms"), "{\"a\":2}");
  EXPECT_EQ(read_file(folder_.path("alarms"), 1'000).value(), "{\"old\":1}\n{\"a\":1}\n{\"a\":2}\n");
  EXPECT_EQ(actions_.counts().done, 2U);
}

TEST_F(ActionsTest, WhatCannotBeDoneIsCountedAndDropped) {
  actions_.to_file(folder_.path("none/alarms"), "{}");
  EXPECT_EQ(actions_.counts().dropped, 1U);
  actions_.to_http("https://127.0.0.1/x", "{}");
  EXPECT_EQ(actions_.counts().dropped, 2U);
  actions_.to_http("http://127.0.0.1:1/x", "{}");  // nobody listens
  ASSERT_TRUE(until([&] { return actions_.counts().dropped == 3; }));
  actions_.to_mqtt({.url = "nonsense", .topic = "t"}, "{}");
  EXPECT_EQ(actions_.counts().dropped, 4U);
  EXPECT_EQ(actions_.counts().done, 0U);
}

TEST_F(ActionsTest, SaysOnceThatAPlaceFailsAndOnceThatItWorksAgain) {
  const std::string path = folder_.path("later/alarms");
  for (int i = 0; i < 3; ++i) actions_.to_file(path, "{}");
  ASSERT_EQ(told_.size(), 1U);
  EXPECT_NE(told_[0].find(path + " fails: cannot open it: No such file"), std::string::npos) << told_[0];
  ASSERT_TRUE(make_folders(folder_.path("later")).ok());
  for (int i = 0; i < 3; ++i) actions_.to_file(path, "{}");
  ASSERT_EQ(told_.size(), 2U);
  EXPECT_EQ(told_[1], "action to " + path + " works again");
  EXPECT_EQ(actions_.counts().done, 3U);
  EXPECT_EQ(actions_.counts().dropped, 3U);
}

TEST_F(ActionsTest, StdoutGetsALine) {
  testing::internal::CaptureStdout();
  actions_.to_stdout("{\"a\":1}");
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "{\"a\":1}\n");
}

TEST_F(ActionsTest, PostsJson) {
  std::vector<std::string> bodies;
  int status = 200;
  LocalServerConfig config;
  config.token = "unused";
  const auto server =
      LocalServer::listen(io_, std::move(config), [&](LocalRequest&& request, const LocalServer::Respond& respond) {
        bodies.push_back(request.method + " " + request.content_type + " " + request.body);
        respond({status, "text/plain", ""});
      }).value();
  const std::string url = "http://127.0.0.1:" + std::to_string(server->port()) + "/ping";  // the path without a token
  actions_.to_http(url, "{\"a\":1}");
  ASSERT_TRUE(until([&] { return actions_.counts().done == 1; }));
  EXPECT_EQ(bodies, std::vector<std::string>{"POST application/json {\"a\":1}"});
  status = 500;
  actions_.to_http(url, "{}");
  ASSERT_TRUE(until([&] { return actions_.counts().dropped == 1; }));
}

TEST_F(ActionsTest, HttpIsBounded) {  // a receiver that never answers
  asio::ip::tcp::acceptor silent(io_, {asio::ip::address_v4::loopback(), 0});
  const std::string url = "http://127.0.0.1:" + std::to_string(silent.local_endpoint().port()) + "/";
  for (int i = 0; i < 70; ++i) actions_.to_http(url, "{}");
  EXPECT_EQ(actions_.counts().dropped, 6U);
}

TEST_F(ActionsTest, PublishesOverMqtt) {
  TestBroker broker;
  ASSERT_TRUE(broker.start()) << "mosquitto is missing: script/setup installs it";
  std::vector<std::string> seen;
  bool connected = false;
  MqttConfig config;
  config.url = broker.url();
  config.client_id = "reader";
  config.topic = "alarms";
  const auto reader = MqttClient::start(
                          io_, std::move(config),
                          [&](std::string payload, const MqttClient::Done& done) {
                            seen.push_back(std::move(payload));
                            done();
                          },
                          [&](bool now, const std::string&) { connected = now; })
                          .value();
  ASSERT_TRUE(until([&] { return connected; }));
  // The first may come before the connection stands: it is queued, not lost.
  for (int i = 0; i < 200 && seen.empty(); ++i) {
    actions_.to_mqtt({.url = broker.url(), .topic = "alarms"}, "{\"a\":1}");
    io_.restart();
    io_.run_for(std::chrono::milliseconds(50));
  }
  ASSERT_FALSE(seen.empty());
  EXPECT_EQ(seen[0], "{\"a\":1}");
}

TEST_F(ActionsTest, PublishesWithItsUserAndPassword) {
  TestBroker broker;
  ASSERT_TRUE(broker.start_with_user("pump", "secret")) << "mosquitto is missing: script/setup installs it";
  ASSERT_TRUE(write_file_atomic(folder_.path("good"), "secret\n", kSecretMode).ok());
  ASSERT_TRUE(write_file_atomic(folder_.path("bad"), "guess\n", kSecretMode).ok());
  MqttTarget target{.url = broker.url(), .topic = "alarms", .username = "pump"};
  target.password_file = folder_.path("none");
  actions_.to_mqtt(target, "{}");
  EXPECT_EQ(actions_.counts().dropped, 1U);
  ASSERT_EQ(told_.size(), 1U);
  EXPECT_NE(told_[0].find(folder_.path("none")), std::string::npos) << told_[0];
  target.password_file = folder_.path("good");
  actions_.to_mqtt(target, "{}");
  ASSERT_TRUE(until([&] { return actions_.counts().done == 1; }));
  ASSERT_EQ(told_.size(), 2U);  // works again
  target.password_file = folder_.path("bad");
  actions_.to_mqtt(target, "{}");
  // Before, a library that has no connection yet may have refused the message; the cause is told all the same, once.
  ASSERT_TRUE(
      until([&] { return told_.back().find("fails: Connection Refused: not authorised") != std::string::npos; }));
  EXPECT_LE(told_.size(), 4U);
  EXPECT_EQ(actions_.counts().done, 1U);
}

}  // namespace
}  // namespace wb::world
