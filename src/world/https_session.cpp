#include "world/https_session.h"

#include <openssl/ssl.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/write.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <chrono>
#include <utility>

#include "world/openssl_guard.h"
#include "world/pki.h"

namespace wb::world {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

namespace {

constexpr size_t kFirstReadBytes = 2'048;
constexpr size_t kBufferBytesMax = 128U << 10;
constexpr size_t kDrainBytesMax = 8U << 20;
constexpr uint32_t kDrainMs = 2'000;
constexpr size_t kLargeBodyBytes = 64U << 10;  // from here on a body is refused early under load, and must leave room

Peer peer_of(SSL* tls) {
  Peer peer;
  const CertificatePtr certificate(SSL_get1_peer_certificate(tls));
  if (!certificate) return peer;
  const auto pem = certificate_to_pem(certificate.get());
  const auto facts = pem.ok() ? read_certificate(*pem) : Result<CertificateFacts>(pem.error());
  if (!facts.ok()) return peer;
  if (facts->unit == "node") peer.kind = Peer::Kind::kNode;
  if (facts->unit == "admin") peer.kind = Peer::Kind::kAdmin;
  if (peer.kind == Peer::Kind::kAnonymous) return peer;
  peer.id = facts->common_name;
  peer.serial = facts->serial;
  return peer;
}

}  // namespace

std::string error_body(std::string_view code, std::string_view message, std::string_view next) {
  std::string body = R"({"error":{"code":")";
  body.append(code).append(R"(","message":")").append(message).append(R"(","next":")").append(next).append("\"}}\n");
  return body;
}

HttpsSession::HttpsSession(asio::ip::tcp::socket socket, SSL_CTX* tls, SessionHost& host)
    : park_timer(socket.get_executor()),
      host_(host),
      stream_(std::move(socket), tls, TlsStream::Side::kServer),
      buffer_(kBufferBytesMax) {
  ErrorCode ignored;
  const auto remote = stream_.socket().remote_endpoint(ignored);
  from_ = ignored ? "?" : remote.address().to_string() + ":" + std::to_string(remote.port());
  host_.opened(this);
}

HttpsSession::~HttpsSession() {
  host_.release_body(body_reserved_);
  host_.closed(this);
}

void HttpsSession::start() {
  expire_after(host_.options().handshake_ms);
  stream_.async_handshake([self = shared_from_this()](ErrorCode error, size_t) { self->handshaken(error); });
}

void HttpsSession::handshaken(ErrorCode error) {
  if (error) return refuse_handshake(error);
  call.peer = peer_of(stream_.native_handle());
  if (call.peer.kind != Peer::Kind::kAnonymous && !host_.proven(this)) {
    spdlog::warn("cut {}: '{}' has too many connections already", from_, call.peer.id);
    return close_now();
  }
  wait_first_byte();
}

// The alert that says why lies in the socket; closing now would destroy it on its way, so the other side closes first.
void HttpsSession::refuse_handshake(ErrorCode error) {
  const bool tell = host_.count_refused_handshake() && error != asio::error::operation_aborted;
  const long verdict = SSL_get_verify_result(stream_.native_handle());
  if (tell && verdict != X509_V_OK)
    spdlog::warn("refused {}: its certificate is not one of ours or not valid now ({})", from_,
                 X509_verify_cert_error_string(verdict));
  else if (tell && error == beast::error::timeout)
    spdlog::info("cut {}: no TLS handshake within {} ms", from_, host_.options().handshake_ms);
  else if (tell)
    spdlog::info("no TLS connection with {}: {}", from_, error.message());
  ErrorCode ignored;
  stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  if (ignored) return;
  expire_after(kDrainMs);
  drain_raw(kBufferBytesMax);
}

void HttpsSession::drain_raw(size_t bytes_left) {
  buffer_.clear();
  stream_.socket().async_read_some(buffer_.prepare(kFirstReadBytes),
                                   [self = shared_from_this(), bytes_left](ErrorCode error, size_t count) {
                                     if (!error && count < bytes_left) self->drain_raw(bytes_left - count);
                                   });
}

void HttpsSession::wait_first_byte() {
  if (host_.stopping()) return shut_down();
  call.request = {};
  call.response = {};
  call.resumed = false;
  call.park_ms = 0;
  parser_.reset();
  response_.reset();
  if (buffer_.size() > 0) return read_header();  // the next request came with the last one
  buffer_.shrink_to_fit();                       // an idle connection is a cheap one
  idle_ = true;
  const ServerOptions& options = host_.options();
  expire_after(call.peer.kind == Peer::Kind::kAnonymous ? options.header_ms : options.idle_ms);
  stream_.async_wait_readable([self = shared_from_this()](ErrorCode error, size_t) {
    self->idle_ = false;
    if (error) return self->failed(error);
    self->read_header();
  });
}

void HttpsSession::read_header() {
  parser_.emplace();
  parser_->header_limit(static_cast<uint32_t>(host_.options().header_bytes_max));
  parser_->body_limit(boost::none);  // the route decides, once it is known
  expire_after(host_.options().header_ms);
  http::async_read_header(stream_, buffer_, *parser_,
                          [self = shared_from_this()](ErrorCode error, size_t) { self->header_read(error); });
}

void HttpsSession::header_read(ErrorCode error) {
  if (error == http::error::header_limit)
    return reject(431, "headers_too_large", "the request header is too long", "send fewer or shorter headers");
  if (error && error.category() == http::make_error_code(http::error::bad_method).category() &&
      error != http::error::end_of_stream && error != http::error::partial_message)
    return reject(400, "not_http", "this is not an HTTP/1.1 request", "see api/openapi.yaml");
  if (error) return failed(error);
  auto& message = parser_->get();
  call.request.method = std::string(message.method_string());
  call.request.target = std::string(message.target());
  for (const auto& field : message)
    call.request.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
  keep_alive_ = parser_->keep_alive();
  if (!refused_by_policy()) read_body();
}

bool HttpsSession::refused_by_policy() {
  const std::string path = call.request.target.substr(0, call.request.target.find('?'));
  const RoutePolicy policy = host_.service().policy(call.request.method, path);
  if (!policy.anonymous && call.peer.kind == Peer::Kind::kAnonymous) {
    reject(401, "no_certificate", "this path needs a client certificate",
           "use the admin credential of the hub, or enrol this node");
    return true;
  }
  if (!policy.known) {
    reject(404, "not_found", "there is no such path", "see api/openapi.yaml");
    return true;
  }
  const auto length = parser_->content_length();
  size_t expected = 0;
  if (parser_->chunked()) expected = policy.body_bytes_max;
  if (length.has_value()) expected = static_cast<size_t>(*length);
  if (expected > policy.body_bytes_max) {
    reject(413, "too_large",
           "the body is longer than the " + std::to_string(policy.body_bytes_max) + " bytes allowed here",
           "send less at once");
    return true;
  }
  // A small body is read in any case, so that the connection can stay: a handshake costs more than to throw it away.
  const uint32_t retry_after_s = expected >= kLargeBodyBytes ? host_.retry_after_s() : 0;
  if (retry_after_s > 0) {
    reject_overload(retry_after_s, "this hub has more to do than it can take in");
    return true;
  }
  parser_->body_limit(policy.body_bytes_max);
  return false;
}

void HttpsSession::read_body() {
  // A slow link may take its time, but who has shown no certificate sends only a small enrolment: a drop of it at a
  // time would hold a connection for free.
  const ServerOptions& options = host_.options();
  const bool anonymous = call.peer.kind == Peer::Kind::kAnonymous;
  body_deadline_ =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(anonymous ? options.body_ms : options.body_total_ms);
  if (!beast::iequals(find_header(call.request.headers, "expect"), "100-continue")) return read_body_part();
  static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  asio::async_write(stream_, asio::buffer(kContinue), [self = shared_from_this()](ErrorCode error, size_t) {
    if (error) return self->failed(error);
    self->read_body_part();
  });
}

// Counted as it arrives: a promise of many bytes takes no room from those who send theirs.
bool HttpsSession::reserve(size_t body_bytes) {
  if (body_bytes <= body_reserved_) return true;
  if (!host_.reserve_body(body_bytes - body_reserved_, body_bytes >= kLargeBodyBytes)) return false;
  body_reserved_ = body_bytes;
  return true;
}

void HttpsSession::read_body_part() {
  if (!reserve(parser_->get().body().size()))
    return reject_overload(std::max(Admission::kRetryAfterMinS, host_.retry_after_s()),
                           "too many bytes are on their way to this hub");
  if (parser_->is_done()) return body_complete();
  if (std::chrono::steady_clock::now() > body_deadline_) return failed(beast::error::timeout);
  expire_after(host_.options().body_ms);
  http::async_read_some(stream_, buffer_, *parser_, [self = shared_from_this()](ErrorCode error, size_t) {
    if (error == http::error::body_limit)
      return self->reject(413, "too_large", "the body is longer than allowed here", "send less at once");
    if (error) return self->failed(error);
    self->read_body_part();
  });
}

void HttpsSession::body_complete() {
  call.request.body = std::move(parser_->get().body());
  parser_.reset();
  stream_.expires_never();
  if (const uint32_t retry_after_s = host_.submit(shared_from_this()); retry_after_s > 0)
    reject_overload(retry_after_s, "this hub has more to do than it can take in");
}

void HttpsSession::reject_overload(uint32_t retry_after_s, std::string_view message) {
  host_.count_overload();
  retry_after_s_ = retry_after_s;
  reject(503, "overloaded", message, "try again after Retry-After seconds");
}

void HttpsSession::reject(int status, std::string_view code, std::string_view message, std::string_view next) {
  // A body that was not read would be taken for the next request: unless there is none, the connection ends here.
  keep_alive_ = keep_alive_ && (!parser_.has_value() || parser_->is_done());
  call.response = HttpResponse{status, {{"Content-Type", "application/json"}}, error_body(code, message, next)};
  if (status == 503) call.response.headers.emplace_back("Retry-After", std::to_string(retry_after_s_));
  write();
}

void HttpsSession::answer() { write(); }

void HttpsSession::write() {
  host_.release_body(std::exchange(body_reserved_, 0));
  call.request.body = {};
  response_.emplace(static_cast<http::status>(call.response.status), 11);
  for (const auto& [name, value] : call.response.headers) response_->insert(name, value);
  response_->body() = std::move(call.response.body);
  response_->keep_alive(keep_alive_ && !host_.stopping());
  response_->prepare_payload();
  // Only its length is told: a body would be taken for the next answer.
  if (call.request.method == "HEAD") response_->body() = {};
  expire_after(host_.options().write_ms);
  http::async_write(stream_, *response_, [self = shared_from_this()](ErrorCode error, size_t) {
    if (error) return self->failed(error);
    self->host_.service().answered(self->call);
    if (!self->response_->keep_alive()) return self->shut_down();
    self->wait_first_byte();
  });
}

// Says goodbye, then reads what is still coming: closing on unread bytes resets the connection and loses our answer.
void HttpsSession::shut_down() {
  expire_after(kDrainMs);
  // Only our half: the close_notify goes out with the answer; waiting for theirs is what drain() does.
  SSL_set_shutdown(stream_.native_handle(), SSL_RECEIVED_SHUTDOWN);
  stream_.async_shutdown([self = shared_from_this()](ErrorCode, size_t) {
    ErrorCode error;
    self->stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_send, error);
    if (!error) self->drain_raw(kDrainBytesMax);
  });
}

void HttpsSession::failed(ErrorCode error) {
  if (error == beast::error::timeout) host_.count_timeout();
  close_now();
}

void HttpsSession::close_now() { stream_.close(); }

void HttpsSession::release_memory() {
  call.request.headers = {};
  call.request.body = {};
  call.response = {};
  buffer_.shrink_to_fit();
}

void HttpsSession::close_if_idle() {
  if (idle_) close_now();
}

}  // namespace wb::world
