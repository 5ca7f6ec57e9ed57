#include "world/actions.h"

#include <fcntl.h>
#include <unistd.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <cstdio>

#include "world/mqtt_client.h"

namespace wb::world {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;

constexpr size_t kHttpInFlightMax = 64;
constexpr size_t kFilesMax = 16;
constexpr size_t kBrokersMax = 8;
constexpr auto kHttpTimeout = std::chrono::seconds(10);

// One POST on its own connection, ended by its deadline at the latest.
class Post : public std::enable_shared_from_this<Post> {
 public:
  using Finished = std::function<void(bool)>;
  Post(asio::io_context& io, Finished finished) : resolver_(io), stream_(io), finished_(std::move(finished)) {}

  void start(const std::string& host, const std::string& port, const std::string& path, const std::string& body) {
    request_.method(http::verb::post);
    request_.target(path);
    request_.version(11);
    request_.set(http::field::host, host);
    request_.set(http::field::content_type, "application/json");
    request_.body() = body;
    request_.prepare_payload();
    resolver_.async_resolve(
        host, port, [self = shared_from_this()](beast::error_code error, const tcp::resolver::results_type& found) {
          if (error) return self->finished_(false);
          self->stream_.expires_after(kHttpTimeout);
          self->stream_.async_connect(found, [self](beast::error_code connect_error, const tcp::endpoint&) {
            if (connect_error) return self->finished_(false);
            http::async_write(self->stream_, self->request_, [self](beast::error_code write_error, size_t) {
              if (write_error) return self->finished_(false);
              self->parser_.body_limit(64U << 10);
              http::async_read(self->stream_, self->buffer_, self->parser_,
                               [self](beast::error_code read_error, size_t) {
                                 self->finished_(!read_error && self->parser_.get().result_int() < 300);
                               });
            });
          });
        });
  }

 private:
  tcp::resolver resolver_;
  beast::tcp_stream stream_;
  http::request<http::string_body> request_;
  beast::flat_buffer buffer_;
  http::response_parser<http::string_body> parser_;
  Finished finished_;
};

}  // namespace

struct Actions::Impl {
  asio::io_context& io;
  std::string client_id;
  uint64_t done = 0;
  uint64_t dropped = 0;
  size_t http_in_flight = 0;
  std::map<std::string, int> files;  // path → descriptor, opened once
  std::map<std::string, std::unique_ptr<MqttClient>> brokers;
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);

  void count(bool ok) { ++(ok ? done : dropped); }
};

Actions::Actions(asio::io_context& io, std::string client_id)
    : impl_(new Impl{io, std::move(client_id), 0, 0, 0, {}, {}, std::make_shared<bool>(true)}) {}

Actions::~Actions() {
  *impl_->alive = false;
  for (const auto& [path, descriptor] : impl_->files) ::close(descriptor);
}

void Actions::to_stdout(const std::string& line) {
  const std::string text = line + "\n";
  impl_->count(std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0);
}

void Actions::to_file(const std::string& path, const std::string& line) {
  auto found = impl_->files.find(path);
  if (found == impl_->files.end()) {
    const int descriptor =
        impl_->files.size() < kFilesMax ? ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640) : -1;
    if (descriptor < 0) return impl_->count(false);
    found = impl_->files.emplace(path, descriptor).first;
  }
  const std::string text = line + "\n";
  impl_->count(::write(found->second, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

void Actions::to_http(const std::string& url, const std::string& json) {
  constexpr std::string_view kScheme = "http://";
  if (url.rfind(kScheme, 0) != 0 || impl_->http_in_flight >= kHttpInFlightMax) return impl_->count(false);
  const std::string rest = url.substr(kScheme.size());
  const size_t slash = rest.find('/');
  const std::string authority = rest.substr(0, slash);
  const size_t colon = authority.rfind(':');
  ++impl_->http_in_flight;
  std::make_shared<Post>(impl_->io,
                         [this, alive = impl_->alive](bool ok) {
                           if (!*alive) return;
                           --impl_->http_in_flight;
                           impl_->count(ok);
                         })
      ->start(authority.substr(0, colon), colon == std::string::npos ? "80" : authority.substr(colon + 1),
              slash == std::string::npos ? "/" : rest.substr(slash), json);
}

void Actions::to_mqtt(const std::string& url, const std::string& topic, const std::string& json) {
  auto found = impl_->brokers.find(url);
  if (found == impl_->brokers.end()) {
    if (impl_->brokers.size() >= kBrokersMax) return impl_->count(false);
    MqttConfig config;
    config.url = url;
    config.client_id = impl_->client_id + "-actions-" + std::to_string(impl_->brokers.size());
    auto client = MqttClient::start(
        impl_->io, std::move(config), [](const std::string&, const MqttClient::Done& done) { done(); },
        [](bool, const std::string&) {});
    if (!client.ok()) return impl_->count(false);
    found = impl_->brokers.emplace(url, std::move(client).value()).first;
  }
  impl_->count(found->second->publish(topic, json));
}

uint64_t Actions::done_count() const { return impl_->done; }
uint64_t Actions::dropped_count() const { return impl_->dropped; }

}  // namespace wb::world
