#include "world/local_server.h"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <optional>

#include "base/checksum.h"

namespace wb::world {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;

constexpr uint32_t kHeaderBytesMax = 8U << 10;
constexpr std::chrono::milliseconds kAcceptPause{100};
constexpr std::chrono::seconds kDrainLimit{2};
constexpr size_t kDrainBytes = 16U << 10;
// What may wait to be parsed. It also bounds what the parser bounds not: a chunk's extension, and trailers.
constexpr size_t kBufferBytesMax = 128U << 10;

}  // namespace

struct LocalServer::Impl : std::enable_shared_from_this<LocalServer::Impl> {
  Impl(asio::io_context& context, LocalServerConfig settings, Handler on_request)
      : io(context), acceptor(context), pause(context), config(std::move(settings)), handler(std::move(on_request)) {}

  asio::io_context& io;
  tcp::acceptor acceptor;
  asio::steady_timer pause;
  LocalServerConfig config;
  Handler handler;
  size_t connections_count = 0;
  bool stopped = false;

  void accept();
};

namespace {

// Compares digests, so the time taken says nothing about how much of the token was right.
bool token_matches(std::string_view header, const std::string& token) {
  constexpr std::string_view kBearer = "Bearer ";
  if (header.substr(0, kBearer.size()) != kBearer) return false;
  return sha256(header.substr(kBearer.size())) == sha256(token);
}

}  // namespace

// One connection: read, hand over, answer, repeat while the client keeps it alive.
class LocalSession : public std::enable_shared_from_this<LocalSession> {
 public:
  LocalSession(tcp::socket socket, std::function<void()> closed, const LocalServerConfig& config,
               const LocalServer::Handler& handler)
      : stream_(std::move(socket)), closed_(std::move(closed)), config_(config), handler_(handler) {}
  ~LocalSession() { closed_(); }
  LocalSession(const LocalSession&) = delete;
  LocalSession& operator=(const LocalSession&) = delete;

  void read() {
    parser_.emplace();
    parser_->header_limit(kHeaderBytesMax);
    parser_->body_limit(config_.body_bytes_max);
    stream_.expires_after(std::chrono::milliseconds(config_.idle_timeout_ms));
    http::async_read_header(stream_, buffer_, *parser_, [self = shared_from_this()](beast::error_code error, size_t) {
      if (error) return self->read_failed(error);
      self->only_head_ = self->parser_->get().method() == http::verb::head;
      if (!self->allowed()) return;
      self->stream_.expires_after(std::chrono::milliseconds(self->config_.request_timeout_ms));
      http::async_read(self->stream_, self->buffer_, *self->parser_, [self](beast::error_code body_error, size_t) {
        if (body_error) return self->read_failed(body_error);
        self->handle();
      });
    });
  }

 private:
  void read_failed(beast::error_code error) {
    if (error == http::error::body_limit)
      return write({413, "application/json",
                    "{\"error\":\"body is larger than " + std::to_string(config_.body_bytes_max) +
                        " bytes: send it in smaller parts\"}"},
                   false);
    if (error == http::error::header_limit)
      return write({431, "application/json", "{\"error\":\"header is too large\"}"}, false);
    beast::error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_both, ignored);
  }

  // Before the body is read: nobody without the token makes the agent hold megabytes.
  bool allowed() {
    const auto& message = parser_->get();
    const std::string_view target(message.target().data(), message.target().size());
    if (target.substr(0, target.find('?')) == "/ping") return true;
    if (token_matches(std::string(message[http::field::authorization]), config_.token)) return true;
    // A body that was not read would be taken for the next request: unless there is none, the connection ends here.
    write({401, "application/json",
           "{\"error\":\"missing or wrong token: send 'Authorization: Bearer <contents of local_token in the data "
           "folder>'\"}"},
          message.keep_alive() && parser_->is_done());
    return false;
  }

  void handle() {
    auto message = parser_->release();
    const bool keep_alive = message.keep_alive();
    LocalRequest request;
    request.method = std::string(message.method_string());
    const std::string target(message.target());
    const size_t mark = target.find('?');
    request.path = target.substr(0, mark);
    if (mark != std::string::npos) request.query = target.substr(mark + 1);
    request.content_type = std::string(message[http::field::content_type]);
    request.body = std::move(message.body());
    stream_.expires_never();  // the handler answers after the commit; the agent bounds that wait
    auto answered = std::make_shared<bool>(false);
    handler_(std::move(request), [self = shared_from_this(), answered, keep_alive](LocalResponse response) {
      if (*answered) return;
      *answered = true;
      self->write(std::move(response), keep_alive);
    });
  }

  void write(LocalResponse response, bool keep_alive) {
    auto message = std::make_shared<http::response<http::string_body>>();
    message->version(11);
    message->result(static_cast<unsigned>(response.status));
    message->set(http::field::content_type, response.content_type);
    if (response.retry_after_s > 0) message->set(http::field::retry_after, std::to_string(response.retry_after_s));
    message->keep_alive(keep_alive);
    message->body() = std::move(response.body);
    message->prepare_payload();
    if (only_head_) message->body() = {};  // only its length is told: a body would be taken for the next answer
    stream_.expires_after(std::chrono::milliseconds(config_.request_timeout_ms));
    http::async_write(stream_, *message,
                      [self = shared_from_this(), message, keep_alive](beast::error_code error, size_t) {
                        if (error) return;
                        if (keep_alive) return self->read();
                        beast::error_code ignored;
                        self->stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
                        self->drain(self->config_.body_bytes_max);
                      });
  }

  // Reads what is still coming: closing on unread bytes would reset the connection, and our answer would be lost with
  // it.
  void drain(size_t bytes_left) {
    stream_.expires_after(kDrainLimit);
    buffer_.clear();
    stream_.async_read_some(buffer_.prepare(kDrainBytes),
                            [self = shared_from_this(), bytes_left](beast::error_code error, size_t count) {
                              if (!error && count < bytes_left) self->drain(bytes_left - count);
                            });
  }

  beast::tcp_stream stream_;
  beast::flat_buffer buffer_{kBufferBytesMax};
  std::optional<http::request_parser<http::string_body>> parser_;
  bool only_head_ = false;
  std::function<void()> closed_;
  const LocalServerConfig& config_;
  const LocalServer::Handler& handler_;
};

void LocalServer::Impl::accept() {
  acceptor.async_accept([self = shared_from_this()](beast::error_code error, tcp::socket socket) {
    if (self->stopped || error == asio::error::operation_aborted) return;
    if (error) {  // out of file descriptors, most likely: trying again at once would only keep a core busy
      self->pause.expires_after(kAcceptPause);
      return self->pause.async_wait([self](beast::error_code) {
        if (!self->stopped) self->accept();
      });
    }
    if (self->connections_count < self->config.connections_max) {
      ++self->connections_count;
      std::make_shared<LocalSession>(
          std::move(socket), [self] { --self->connections_count; }, self->config, self->handler)
          ->read();
    }
    self->accept();
  });
}

LocalServer::LocalServer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
LocalServer::~LocalServer() { stop(); }

Result<std::unique_ptr<LocalServer>> LocalServer::listen(asio::io_context& io, LocalServerConfig config,
                                                         Handler handler) {
  beast::error_code error;
  const auto address = asio::ip::make_address(config.address, error);
  if (error) return fail(Code::kInvalid, "local API address '", config.address, "' is not an IP address");
  if (!address.is_loopback())
    return fail(Code::kDenied, "local API address ", config.address,
                " is not loopback: the local API is plain HTTP and stays on this device");
  if (config.token.empty()) return fail(Code::kInvalid, "the local API needs a token");
  auto impl = std::make_shared<Impl>(io, std::move(config), std::move(handler));
  const tcp::endpoint endpoint(address, impl->config.port);
  impl->acceptor.open(endpoint.protocol(), error);
  if (!error) impl->acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) impl->acceptor.bind(endpoint, error);
  if (!error) impl->acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error)
    return fail(Code::kUnavailable, "local API cannot listen on ", impl->config.address, ":",
                std::to_string(impl->config.port), ": ", error.message());
  impl->accept();
  return std::unique_ptr<LocalServer>(new LocalServer(std::move(impl)));
}

uint16_t LocalServer::port() const { return impl_->acceptor.local_endpoint().port(); }

void LocalServer::stop() {
  if (impl_->stopped) return;
  impl_->stopped = true;
  beast::error_code ignored;
  impl_->acceptor.close(ignored);
  impl_->pause.cancel();
}

}  // namespace wb::world
