// MqttClient against a real mosquitto.
#include "world/mqtt_client.h"

#include <gtest/gtest.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <deque>

#include "world/test_broker.h"

namespace wb::world {
namespace {

class MqttClientTest : public testing::TestWithParam<bool> {  // over TLS?
 protected:
  struct Client {
    std::unique_ptr<MqttClient> mqtt;
    std::deque<std::pair<std::string, MqttClient::Done>> messages;
    int connects = 0;
    int disconnects = 0;
  };
  void SetUp() override {
    ASSERT_TRUE(GetParam() ? broker_.start_with_tls() : broker_.start())
        << "mosquitto is missing: script/setup installs it";
  }

  std::unique_ptr<Client> join(const std::string& id, const std::string& topic) {
    auto client = std::make_unique<Client>();
    MqttConfig config;
    config.url = (GetParam() ? "mqtts://127.0.0.1:" : "mqtt://127.0.0.1:") + std::to_string(broker_.port());
    if (GetParam()) config.ca_file = broker_.ca_file();
    config.client_id = id;
    config.topic = topic;
    Client* self = client.get();
    client->mqtt =
        MqttClient::start(
            io_, std::move(config),
            [self](std::string payload, MqttClient::Done done) {
              self->messages.emplace_back(std::move(payload), std::move(done));
            },
            [self](bool connected, const std::string&) { ++(connected ? self->connects : self->disconnects); })
            .value();
    return client;
  }
  // Runs what the network thread posts until `condition` holds.
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
  // Gives what is on its way a chance to arrive: for what must not happen.
  void linger() {
    io_.restart();
    io_.run_for(std::chrono::milliseconds(150));
  }

  TestBroker broker_;
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{
      io_.get_executor()};  // waits for posts
};

TEST_P(MqttClientTest, TakesOneMessageAtATime) {  // back-pressure
  const auto reader = join("reader", "sensors/#");
  const auto writer = join("writer", "");
  ASSERT_TRUE(until([&] { return reader->connects == 1 && writer->connects == 1; }));
  linger();  // the subscription is on its way
  for (const char* text : {"1", "2", "3"}) EXPECT_TRUE(writer->mqtt->publish("sensors/a", text));
  for (const char* text : {"1", "2", "3"}) {
    ASSERT_TRUE(until([&] { return !reader->messages.empty(); }));
    if (*text == '1') linger();
    ASSERT_EQ(reader->messages.size(), 1U);
    EXPECT_EQ(reader->messages[0].first, text);
    const MqttClient::Done done = std::move(reader->messages[0].second);
    reader->messages.clear();
    done();
  }
  linger();
  EXPECT_TRUE(reader->messages.empty());
}

// Whole, or longer than any parser takes: a message that is cut reads as another.
TEST_P(MqttClientTest, AMessageIsNotCutToSomethingThatReads) {
  const auto reader = join("reader", "sensors/#");
  const auto writer = join("writer", "");
  ASSERT_TRUE(until([&] { return reader->connects == 1 && writer->connects == 1; }));
  linger();
  for (const size_t size : {MqttClient::kPayloadBytesMax - 1, MqttClient::kPayloadBytesMax + 1}) {
    EXPECT_TRUE(writer->mqtt->publish("sensors/a", std::string(size, '1')));
    ASSERT_TRUE(until([&] { return !reader->messages.empty(); }));
    EXPECT_EQ(reader->messages[0].first.size(), std::min(size, MqttClient::kPayloadBytesMax));
    reader->messages[0].second();
    reader->messages.clear();
  }
}

TEST_P(MqttClientTest, WhatWasNotAcknowledgedComesAgain) {  // Q1
  auto reader = join("reader", "sensors/#");
  const auto writer = join("writer", "");
  ASSERT_TRUE(until([&] { return reader->connects == 1 && writer->connects == 1; }));
  linger();
  EXPECT_TRUE(writer->mqtt->publish("sensors/a", "lost on the way"));
  ASSERT_TRUE(until([&] { return !reader->messages.empty(); }));
  const MqttClient::Done never = std::move(reader->messages[0].second);
  reader->mqtt.reset();  // it dies before the message is durable
  never();               // too late: must do nothing
  reader->messages.clear();

  reader = join("reader", "sensors/#");
  ASSERT_TRUE(until([&] { return !reader->messages.empty(); }));
  EXPECT_EQ(reader->messages[0].first, "lost on the way");
  reader->messages[0].second();
  reader->messages.clear();
  linger();
  EXPECT_TRUE(reader->messages.empty());
}

TEST_P(MqttClientTest, TheBrokerKeepsWhatComesWhileTheClientIsAway) {
  auto reader = join("reader", "sensors/#");
  const auto writer = join("writer", "");
  ASSERT_TRUE(until([&] { return reader->connects == 1 && writer->connects == 1; }));
  linger();
  reader->mqtt.reset();
  EXPECT_TRUE(writer->mqtt->publish("sensors/a", "meanwhile"));
  linger();
  reader = join("reader", "sensors/#");
  ASSERT_TRUE(until([&] { return !reader->messages.empty(); }));
  EXPECT_EQ(reader->messages[0].first, "meanwhile");
  reader->messages[0].second();
}

TEST_P(MqttClientTest, ComesBackWhenTheBrokerDoes) {
  const auto reader = join("reader", "sensors/#");
  ASSERT_TRUE(until([&] { return reader->connects == 1; }));
  linger();
  broker_.stop();
  ASSERT_TRUE(until([&] { return reader->disconnects >= 1; }));
  ASSERT_TRUE(broker_.run());
  ASSERT_TRUE(until([&] { return reader->connects == 2; }));
  const auto writer = join("writer", "");
  ASSERT_TRUE(until([&] { return writer->connects == 1; }));
  linger();
  EXPECT_TRUE(writer->mqtt->publish("sensors/a", "again"));
  ASSERT_TRUE(until([&] { return !reader->messages.empty(); }));
  reader->messages[0].second();
}

// Version 3.1.1. Not yet 5: the client asks for no session expiry, so that broker forgets its session when it leaves.
// leaves.
INSTANTIATE_TEST_SUITE_P(PlainAndTls, MqttClientTest, testing::Values(false, true));

TEST(MqttUrlTest, IsRefusedByName) {
  boost::asio::io_context io;
  for (const char* url : {"http://x", "mqtt://", "mqtt://x:0", "mqtt://x:70000", "mqtt://x:y", "mqtt://[]"}) {
    MqttConfig config;
    config.url = url;
    const auto started = MqttClient::start(
        io, std::move(config), [](const std::string&, const MqttClient::Done&) {}, [](bool, const std::string&) {});
    ASSERT_FALSE(started.ok()) << url;
    EXPECT_EQ(started.error().code, Code::kInvalid);
  }
}

TEST(MqttStartTest, ABrokerThatCannotBeReachedIsReported) {
  boost::asio::io_context io;
  MqttConfig config;
  config.url = "mqtt://127.0.0.1:1/";  // nobody listens there
  config.client_id = "x";
  config.silent_ms = 1;
  std::vector<std::string> said;
  const auto client = MqttClient::start(
      io, std::move(config), [](const std::string&, const MqttClient::Done&) {},
      [&](bool connected, const std::string& detail) { said.push_back((connected ? "yes " : "no ") + detail); });
  ASSERT_TRUE(client.ok()) << client.error().text;
  io.run();  // ends once the silence is told
  EXPECT_EQ(said, std::vector<std::string>{"no no broker answers at 127.0.0.1:1; trying on"});
}

TEST(MqttStartTest, WithoutACaFileTheSystemsAreTrusted) {
  boost::asio::io_context io;
  MqttConfig config;
  config.url = "mqtts://[::1]:1";
  config.client_id = "x";
  const auto with_system = MqttClient::start(
      io, config, [](const std::string&, const MqttClient::Done&) {}, [](bool, const std::string&) {});
  EXPECT_TRUE(with_system.ok()) << with_system.error().text;
  config.ca_file = "/nonexistent/ca.pem";
  const auto without = MqttClient::start(
      io, config, [](const std::string&, const MqttClient::Done&) {}, [](bool, const std::string&) {});
  ASSERT_FALSE(without.ok());
  EXPECT_NE(without.error().text.find("/nonexistent/ca.pem"), std::string::npos);
}

}  // namespace
}  // namespace wb::world
