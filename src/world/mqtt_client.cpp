#include "world/mqtt_client.h"

#include <mosquitto.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "base/bytes.h"

namespace wb::world {
namespace {

constexpr int kQueuedPublishMax = 1'000;
constexpr std::chrono::milliseconds kReconnectMin{1'000}, kReconnectMax{30'000};
constexpr int kLoopMs = 1'000;                        // what is to be sent wakes it
constexpr const char* kSystemCas = "/etc/ssl/certs";  // where Debian and its kin keep them

struct Broker {
  std::string host;
  int port = 0;
  bool tls = false;
};

Result<Broker> parse_url(const std::string& url) {
  Broker broker;
  std::string rest;
  if (url.rfind("mqtt://", 0) == 0)
    rest = url.substr(7);
  else if (url.rfind("mqtts://", 0) == 0) {
    rest = url.substr(8);
    broker.tls = true;
  } else {
    return fail(Code::kInvalid, "MQTT url '", url, "' must start with mqtt:// or mqtts://");
  }
  broker.port = broker.tls ? 8883 : 1883;
  if (!rest.empty() && rest.back() == '/') rest.pop_back();
  const size_t bracket = rest.rfind(']');  // [::1]:1883
  const size_t colon = bracket != std::string::npos ? rest.find(':', bracket) : rest.rfind(':');
  broker.host = rest.substr(0, colon);
  if (bracket != std::string::npos) broker.host = rest.substr(1, bracket - 1);
  if (colon != std::string::npos) {
    const auto port = parse_int(rest.substr(colon + 1));
    if (!port || *port < 1 || *port > 65'535) return fail(Code::kInvalid, "MQTT url '", url, "' has a bad port");
    broker.port = static_cast<int>(*port);
  }
  if (broker.host.empty()) return fail(Code::kInvalid, "MQTT url '", url, "' has no host");
  return broker;
}

}  // namespace

struct MqttClient::Impl {
  explicit Impl(boost::asio::io_context& context) : io(context), silence(context) {}
  boost::asio::io_context& io;
  MqttConfig config;
  OnMessage on_message;
  OnState on_state;
  OnPublished on_published;
  mosquitto* client = nullptr;
  std::atomic<bool> answered{false};  // the broker, once, with yes or no
  boost::asio::steady_timer silence;

  // One message is in the agent's hands at a time; shared with its Done, which may outlive this object.
  struct Gate {
    std::mutex mutex;
    std::condition_variable changed;
    bool open = false;
    bool closing = false;
  };
  std::shared_ptr<Gate> gate = std::make_shared<Gate>();
  std::atomic<int> publishing{0};

  // Not the library's own thread: that is ended by cancelling it, and until it is, it may still send.
  std::thread network;
  std::chrono::milliseconds reconnect_in = kReconnectMin;  // of the network thread
  bool is_connected = false;                               // of the network thread

  void run() {
    mosquitto_reconnect_async(client);
    while (true) {
      const bool last = wait_for_close(std::chrono::milliseconds(0));  // once more after it: what is queued goes out
      const int code = mosquitto_loop(client, last ? 0 : kLoopMs, 1);
      if (last) return;
      if (code == MOSQ_ERR_SUCCESS) continue;
      if (wait_for_close(reconnect_in)) return;
      reconnect_in = std::min(2 * reconnect_in, kReconnectMax);
      mosquitto_reconnect_async(client);
    }
  }
  bool wait_for_close(std::chrono::milliseconds at_most) {
    std::unique_lock lock(gate->mutex);
    return gate->changed.wait_for(lock, at_most, [&] { return gate->closing; });
  }

  static void connected(mosquitto* client, void* self_pointer, int code) {
    auto* self = static_cast<Impl*>(self_pointer);
    self->answered = true;
    self->is_connected = code == 0;
    if (code == 0) self->reconnect_in = kReconnectMin;
    if (code == 0 && !self->config.topic.empty())
      mosquitto_subscribe(client, nullptr, self->config.topic.c_str(), self->config.qos);
    const std::string detail = code == 0 ? "connected" : mosquitto_connack_string(code);
    boost::asio::post(self->io, [on_state = self->on_state, code, detail] { on_state(code == 0, detail); });
  }
  static void disconnected(mosquitto* /*client*/, void* self_pointer, int code) {
    auto* self = static_cast<Impl*>(self_pointer);
    if (!std::exchange(self->is_connected, false) || code == 0) return;  // only an attempt, or we asked for it
    boost::asio::post(
        self->io, [on_state = self->on_state, why = std::string(mosquitto_strerror(code))] { on_state(false, why); });
  }
  static void published(mosquitto* /*client*/, void* self_pointer, int /*id*/) {
    auto* self = static_cast<Impl*>(self_pointer);
    --self->publishing;
    boost::asio::post(self->io, self->on_published);
  }
  // The library tries for ever and says nothing of a broker that cannot be reached at all.
  void report_silence(const Broker& broker) {
    silence.expires_after(std::chrono::milliseconds(config.silent_ms));
    silence.async_wait([this, broker, kept = gate](const boost::system::error_code& error) {
      const std::lock_guard lock(kept->mutex);
      if (error || kept->closing || answered) return;
      on_state(false, "no broker answers at " + broker.host + ":" + std::to_string(broker.port) + "; trying on");
    });
  }
  // Runs on the network thread. The library has its acknowledgement ready and sends it after the return: who is closing
  // and does not hold the message cuts the connection first.
  static void message(mosquitto* /*client*/, void* self_pointer, const mosquitto_message* message) {
    auto* self = static_cast<Impl*>(self_pointer);
    const size_t size = message->payloadlen > 0 ? static_cast<size_t>(message->payloadlen) : 0;
    std::string payload(static_cast<const char*>(message->payload), size < kPayloadBytesMax ? size : kPayloadBytesMax);
    const auto gate = self->gate;
    {
      const std::lock_guard lock(gate->mutex);
      gate->open = false;
    }
    boost::asio::post(self->io, [on_message = self->on_message, gate, payload = std::move(payload)]() mutable {
      on_message(std::move(payload), [gate] {
        const std::lock_guard lock(gate->mutex);
        gate->open = true;
        gate->changed.notify_all();
      });
    });
    std::unique_lock lock(gate->mutex);
    gate->changed.wait(lock, [&] { return gate->open || gate->closing; });
    if (!gate->open) ::shutdown(mosquitto_socket(self->client), SHUT_RDWR);
  }
};

MqttClient::MqttClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

MqttClient::~MqttClient() {
  mosquitto_disconnect(impl_->client);
  {
    const std::lock_guard lock(impl_->gate->mutex);
    impl_->gate->closing = true;
    impl_->gate->changed.notify_all();
  }
  if (impl_->network.joinable()) impl_->network.join();
  mosquitto_destroy(impl_->client);
}

Result<std::unique_ptr<MqttClient>> MqttClient::start(boost::asio::io_context& io, MqttConfig config,
                                                      OnMessage on_message, OnState on_state,
                                                      OnPublished on_published) {
  WB_TRY(const Broker broker, parse_url(config.url));
  static const bool initialised = [] { return mosquitto_lib_init() == MOSQ_ERR_SUCCESS; }();
  if (!initialised) return fail(Code::kInternal, "libmosquitto could not start");
  auto impl = std::make_unique<Impl>(io);
  impl->config = std::move(config);
  impl->on_message = std::move(on_message);
  impl->on_state = std::move(on_state);
  impl->on_published = std::move(on_published);
  impl->client = mosquitto_new(impl->config.client_id.c_str(),
                               /*clean_session=*/!impl->config.persistent || impl->config.topic.empty(), impl.get());
  if (impl->client == nullptr)
    return fail(Code::kInvalid, "MQTT client id '", impl->config.client_id, "' was refused by libmosquitto");
  auto self = std::unique_ptr<MqttClient>(new MqttClient(std::move(impl)));
  Impl& state = *self->impl_;
  mosquitto_int_option(state.client, MOSQ_OPT_PROTOCOL_VERSION,
                       state.config.version == 5 ? MQTT_PROTOCOL_V5 : MQTT_PROTOCOL_V311);
  mosquitto_max_inflight_messages_set(state.client, 20);
  mosquitto_threaded_set(state.client, true);
  if (!state.config.username.empty())
    mosquitto_username_pw_set(state.client, state.config.username.c_str(), state.config.password.c_str());
  const bool own_ca = !state.config.ca_file.empty();
  if (broker.tls && mosquitto_tls_set(state.client, own_ca ? state.config.ca_file.c_str() : nullptr,
                                      own_ca ? nullptr : kSystemCas, nullptr, nullptr, nullptr) != MOSQ_ERR_SUCCESS)
    return fail(Code::kInvalid, "MQTT TLS: ca_file '", own_ca ? state.config.ca_file : kSystemCas, "' cannot be used");
  mosquitto_connect_callback_set(state.client, &Impl::connected);
  mosquitto_disconnect_callback_set(state.client, &Impl::disconnected);
  mosquitto_publish_callback_set(state.client, &Impl::published);
  mosquitto_message_callback_set(state.client, &Impl::message);
  // A broker that is down at start is not an error: the network thread keeps trying.
  mosquitto_connect_async(state.client, broker.host.c_str(), broker.port, state.config.keep_alive_s);
  state.network = std::thread([&state] { state.run(); });
  state.report_silence(broker);
  return self;
}

bool MqttClient::publish(const std::string& topic, std::string_view payload) {
  if (impl_->publishing >= kQueuedPublishMax) return false;
  ++impl_->publishing;
  const int code = mosquitto_publish(impl_->client, nullptr, topic.c_str(), static_cast<int>(payload.size()),
                                     payload.data(), impl_->config.qos, false);
  if (code != MOSQ_ERR_SUCCESS) --impl_->publishing;
  return code == MOSQ_ERR_SUCCESS;
}

}  // namespace wb::world
