#pragma once
// MqttClient: one connection to an MQTT broker (3.1.1 or 5) through libmosquitto, with its own network thread.
//
// Delivery: QoS 1 with a persistent session. The library acknowledges a message when the callback returns, so the
// callback waits until the agent has made the message durable (or has decided that it need not be kept). While the
// agent is busy the broker holds the rest: that is the back-pressure. A message that was taken but not acknowledged
// comes again.

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"

namespace wb::world {

struct MqttConfig {
  std::string url;         // mqtt://host[:1883] or mqtts://host[:8883]
  std::string client_id;   // names the persistent session; two clients with one id disconnect each other
  bool persistent = true;  // the broker keeps messages for this client while it is away
  std::string topic;       // subscribed; "" = publish only
  int qos = 1;
  int version = 4;  // 4 = 3.1.1, 5 = 5
  std::string username;
  std::string password;  // never logged
  std::string ca_file;   // of an mqtts:// broker; "" = the CAs that this system trusts
  int keep_alive_s = 30;
  int silent_ms = 5'000;  // a broker that has not answered this long after the start is reported once
};

class MqttClient {
 public:
  // One byte more than any parser takes (edge/source): a longer message is refused there whole. Cut to what fits, it
  // might read as another.
  static constexpr size_t kPayloadBytesMax = (4U << 20) + 1;
  using Done = std::function<void()>;  // call once the message may be acknowledged; from any thread
  using OnMessage = std::function<void(std::string payload, Done done)>;    // on the io_context's thread
  using OnState = std::function<void(bool connected, std::string detail)>;  // on the io_context's thread
  using OnPublished = std::function<void()>;                                // on the io_context's thread

  static Result<std::unique_ptr<MqttClient>> start(
      boost::asio::io_context& io, MqttConfig config, OnMessage on_message, OnState on_state,
      OnPublished on_published = [] {});
  ~MqttClient();  // disconnects; the broker keeps the session
  // False if the message was refused (queue full, or not connected with qos 0). on_published tells of each that the
  // broker has taken.
  bool publish(const std::string& topic, std::string_view payload);

 private:
  struct Impl;
  explicit MqttClient(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace wb::world
