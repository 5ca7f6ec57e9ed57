#include "world/https_client.h"

#include <openssl/ssl.h>

#include <algorithm>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <chrono>
#include <optional>
#include <utility>

#include "base/bytes.h"
#include "world/openssl_guard.h"
#include "world/pki.h"
#include "world/tls_stream.h"

namespace wb::world {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using ErrorCode = boost::system::error_code;
using Tcp = asio::ip::tcp;

namespace {

constexpr size_t kHeaderBytesMax = 32U << 10;
constexpr size_t kBufferBytesMax = 128U << 10;
constexpr int kTlsAlertFirst = 1'000;  // SSL_AD_REASON_OFFSET: reasons above it are alerts that the other side sent

bool is_address(const std::string& host) {
  ErrorCode error;
  asio::ip::make_address(host, error);
  return !error;
}

// What a failed handshake or read means to a person.
Error connection_error(const Endpoint& endpoint, std::string_view doing, const ErrorCode& error, SSL* tls) {
  const long verdict = tls == nullptr ? X509_V_OK : SSL_get_verify_result(tls);
  if (verdict == X509_V_ERR_HOSTNAME_MISMATCH || verdict == X509_V_ERR_IP_ADDRESS_MISMATCH)
    return fail(Code::kDenied, "the certificate of ", endpoint.url(), " is not for the name '", endpoint.host,
                "'; use a name it was made for, or start the hub with --host ", endpoint.host);
  if (verdict != X509_V_OK)
    return fail(Code::kDenied, endpoint.url(), " is not the hub we trust: ", X509_verify_cert_error_string(verdict),
                "; check the address, or take the credentials (ca.pem) of that hub");
  const int reason = ERR_GET_REASON(static_cast<unsigned long>(error.value()));
  const bool from_tls = error.category() == asio::error::get_ssl_category();
  if (from_tls && reason > kTlsAlertFirst) {
    const char* text = ERR_reason_error_string(static_cast<unsigned long>(error.value()));
    return fail(Code::kDenied, "the hub ", endpoint.url(), " refused our certificate (",
                text == nullptr ? "TLS alert" : text,
                "); it is not one of that hub's, or has expired: take its admin credential, or enrol again");
  }
  std::string advice = "; is the hub running there? start it with: waybill hub --data-dir DIR";
  if (doing != "connect to") advice = "; try again";
  return fail(Code::kUnavailable, "cannot ", doing, " ", endpoint.url(), ": ", error.message(), advice);
}

Result<std::shared_ptr<asio::ssl::context>> make_context(const TlsIdentity& identity) {
  auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_client);
  ErrorCode error;
  context->set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_sslv2 |
                       asio::ssl::context::no_sslv3 | asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1);
  keep_connections_small(context->native_handle());
  context->set_verify_mode(asio::ssl::verify_peer, error);
  context->add_certificate_authority(asio::buffer(identity.ca_pem), error);
  if (error) return fail(Code::kInvalid, "the hub's CA (ca.pem) is not a PEM certificate");
  if (identity.certificate_pem.empty()) return context;
  context->use_certificate_chain(asio::buffer(identity.certificate_pem), error);
  if (error) return fail(Code::kInvalid, "our certificate (cert.pem) is not a PEM certificate");
  context->use_private_key(asio::buffer(identity.key_pem), asio::ssl::context::pem, error);
  if (error)
    return fail(Code::kInvalid, "our private key (key.pem) is not a PEM key or does not belong to the certificate");
  return context;
}

// The hub must show a certificate for the name or address by which we call it.
void expect_host(SSL* tls, const std::string& host) {
  if (is_address(host)) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls), host.c_str());
  } else {
    SSL_set1_host(tls, host.c_str());
    SSL_set_tlsext_host_name(tls, host.c_str());
  }
}

}  // namespace

std::string Endpoint::url() const {
  const bool v6 = host.find(':') != std::string::npos;
  return "https://" + (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<Endpoint> parse_endpoint(std::string_view url) {
  const auto bad = [&](std::string_view why) {
    return fail(Code::kInvalid, "'", url, "' is not a hub address: ", why,
                "; write it as https://hub.example.com:7443");
  };
  std::string_view rest = url;
  if (rest.starts_with("http://")) return bad("there is no plaintext mode");
  if (rest.starts_with("https://"))
    rest.remove_prefix(8);
  else if (rest.find("://") != std::string_view::npos)
    return bad("only https is spoken");
  if (rest.ends_with('/')) rest.remove_suffix(1);
  Endpoint endpoint;
  std::string_view port;
  if (rest.starts_with('[')) {
    const size_t close = rest.find(']');
    if (close == std::string_view::npos) return bad("the ']' is missing");
    endpoint.host = rest.substr(1, close - 1);
    rest.remove_prefix(close + 1);
    if (!rest.empty() && rest[0] != ':') return bad("a port must follow the ']'");
    port = rest.empty() ? rest : rest.substr(1);
  } else {
    const size_t colon = rest.find(':');
    endpoint.host = rest.substr(0, colon);
    if (colon != std::string_view::npos) port = rest.substr(colon + 1);
  }
  if (endpoint.host.empty() || endpoint.host.find_first_of("/?#@ ") != std::string::npos)
    return bad("the host is missing or not a name");
  if (!port.empty()) {
    const auto number = parse_int(port);
    if (!number.has_value() || *number < 1 || *number > 65'535) return bad("the port must be 1 to 65535");
    endpoint.port = static_cast<uint16_t>(*number);
  }
  return endpoint;
}

// One call at a time; one connection, kept between calls. Every asynchronous step holds the Impl and remembers which
// connection it belongs to, so that what a closed one still says is not heard.
class HttpsClient::Impl : public std::enable_shared_from_this<HttpsClient::Impl> {
 public:
  Impl(asio::io_context& io, Endpoint endpoint, TlsIdentity identity)
      : io_(io), endpoint_(std::move(endpoint)), resolver_(io), deadline_(io) {
    set_identity(identity);
  }

  void request(HttpRequest request, CallLimits limits, Callback callback);
  bool busy() const { return static_cast<bool>(callback_); }
  Progress progress() const { return progress_; }
  void cancel();
  void abandon();  // the owner is gone
  void set_identity(const TlsIdentity& identity);

 private:
  struct Connection {
    Connection(asio::io_context& io, std::shared_ptr<asio::ssl::context> tls)
        : context(std::move(tls)), socket(io), buffer(kBufferBytesMax) {}
    SSL* tls() { return stream ? stream->native_handle() : nullptr; }
    void close() {
      ErrorCode ignored;
      socket.close(ignored);
      if (stream) stream->close();
    }
    std::shared_ptr<asio::ssl::context> context;
    Tcp::socket socket;               // until it is connected
    std::optional<TlsStream> stream;  // from then on
    beast::flat_buffer buffer;
    http::request<http::string_body> request;
    std::optional<http::response_parser<http::string_body>> parser;
    bool used = false;  // has served a call before: may have been closed by the hub meanwhile
  };
  using ConnectionPtr = std::shared_ptr<Connection>;

  void connect();
  void resolved(const ConnectionPtr& connection, ErrorCode error, const Tcp::resolver::results_type& results);
  void connected(const ConnectionPtr& connection, ErrorCode error);
  void send(const ConnectionPtr& connection);
  void receive(const ConnectionPtr& connection);
  void received(const ConnectionPtr& connection, ErrorCode error);
  void broken(const ConnectionPtr& connection, std::string_view doing, ErrorCode error);
  void finish(Result<HttpResponse> result);
  void drop();

  asio::io_context& io_;
  Endpoint endpoint_;
  Tcp::resolver resolver_;
  asio::steady_timer deadline_;
  std::shared_ptr<asio::ssl::context> context_;
  std::optional<Error> identity_error_;
  ConnectionPtr connection_;
  HttpRequest request_;
  CallLimits limits_;
  Callback callback_;
  Progress progress_ = Progress::kNowhere;
};

void HttpsClient::Impl::set_identity(const TlsIdentity& identity) {
  auto made = make_context(identity);
  identity_error_.reset();
  if (made.ok())
    context_ = *made;
  else
    identity_error_ = made.error();
  if (!busy()) drop();
}

void HttpsClient::Impl::request(HttpRequest request, CallLimits limits, Callback callback) {
  const auto refuse = [&](Error error) {
    asio::post(io_, [callback = std::move(callback), error = std::move(error)] { callback(error); });
  };
  if (busy()) return refuse(fail(Code::kFull, "a request to ", endpoint_.url(), " is pending already"));
  if (identity_error_.has_value()) return refuse(*identity_error_);
  request_ = std::move(request);
  limits_ = limits;
  progress_ = Progress::kNowhere;
  callback_ = std::move(callback);
  deadline_.expires_after(std::chrono::milliseconds(limits.deadline_ms));
  deadline_.async_wait([self = shared_from_this()](ErrorCode error) {
    if (error || self->deadline_.expiry() > std::chrono::steady_clock::now()) return;
    self->drop();
    self->finish(fail(Code::kUnavailable, "no answer from ", self->endpoint_.url(), " within ",
                      std::to_string(self->limits_.deadline_ms), " ms; try again"));
  });
  if (connection_)
    send(connection_);
  else
    connect();
}

void HttpsClient::Impl::connect() {
  connection_ = std::make_shared<Connection>(io_, context_);
  resolver_.async_resolve(
      endpoint_.host, std::to_string(endpoint_.port),
      [self = shared_from_this(), connection = connection_](
          ErrorCode error, const Tcp::resolver::results_type& results) { self->resolved(connection, error, results); });
}

void HttpsClient::Impl::resolved(const ConnectionPtr& connection, ErrorCode error,
                                 const Tcp::resolver::results_type& results) {
  if (connection != connection_) return;
  if (error) return broken(connection, "find the host of", error);
  asio::async_connect(connection->socket, results,
                      [self = shared_from_this(), connection](ErrorCode failed, const Tcp::endpoint&) {
                        self->connected(connection, failed);
                      });
}

void HttpsClient::Impl::connected(const ConnectionPtr& connection, ErrorCode error) {
  if (connection != connection_) return;
  if (error) return broken(connection, "connect to", error);
  progress_ = std::max(progress_, Progress::kConnected);
  connection->stream.emplace(std::move(connection->socket), connection->context->native_handle(),
                             TlsStream::Side::kClient);
  expect_host(connection->tls(), endpoint_.host);
  connection->stream->async_handshake([self = shared_from_this(), connection](ErrorCode failed, size_t) {
    if (connection != self->connection_) return;
    if (failed) return self->broken(connection, "make a TLS connection with", failed);
    self->send(connection);
  });
}

void HttpsClient::Impl::send(const ConnectionPtr& connection) {
  progress_ = Progress::kSent;
  http::request<http::string_body>& message = connection->request;
  message = {};
  message.version(11);
  message.method_string(request_.method);
  message.target(request_.target);
  const bool v6 = endpoint_.host.find(':') != std::string::npos;
  message.set(http::field::host,
              (v6 ? "[" + endpoint_.host + "]" : endpoint_.host) + ":" + std::to_string(endpoint_.port));
  message.set(http::field::user_agent, "waybill");
  for (const auto& [name, value] : request_.headers) message.set(name, value);
  message.body() = request_.body;
  message.prepare_payload();
  http::async_write(*connection->stream, message, [self = shared_from_this(), connection](ErrorCode error, size_t) {
    if (connection != self->connection_) return;
    // A hub that refuses our certificate closes while we write; its alert is what the read below finds.
    if (error && error != asio::error::broken_pipe && error != asio::error::connection_reset)
      return self->broken(connection, "send to", error);
    self->receive(connection);
  });
}

void HttpsClient::Impl::receive(const ConnectionPtr& connection) {
  connection->parser.emplace();
  connection->parser->header_limit(kHeaderBytesMax);
  connection->parser->body_limit(limits_.response_bytes_max);
  if (request_.method == "HEAD") connection->parser->skip(true);
  http::async_read(
      *connection->stream, connection->buffer, *connection->parser,
      [self = shared_from_this(), connection](ErrorCode error, size_t) { self->received(connection, error); });
}

void HttpsClient::Impl::received(const ConnectionPtr& connection, ErrorCode error) {
  if (connection != connection_) return;
  if (error == http::error::body_limit || error == http::error::header_limit) {
    drop();
    return finish(fail(Code::kFull, "the answer of ", endpoint_.url(), " to ", request_.method, " ", request_.target,
                       " is longer than the ", std::to_string(limits_.response_bytes_max),
                       " bytes allowed; ask for less at once"));
  }
  if (error) return broken(connection, "read the answer of", error);
  auto message = connection->parser->release();
  if (message.result_int() < 200) {
    drop();
    return finish(fail(Code::kInvalid, endpoint_.url(), " answered with the interim status ",
                       std::to_string(message.result_int()), ", which nobody asked for; is it a Waybill hub?"));
  }
  HttpResponse response;
  response.status = static_cast<int>(message.result_int());
  for (const auto& field : message)
    response.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
  response.body = std::move(message.body());
  connection->parser.reset();
  connection->request = {};
  connection->buffer.shrink_to_fit();
  connection->used = true;
  // What came behind the answer would be taken for the next one.
  if (!message.keep_alive() || connection->buffer.size() > 0) drop();
  finish(std::move(response));
}

void HttpsClient::Impl::broken(const ConnectionPtr& connection, std::string_view doing, ErrorCode error) {
  const bool nothing_heard = !connection->parser.has_value() || !connection->parser->got_some();
  const bool stale = connection->used && nothing_heard;
  Error text = connection_error(endpoint_, doing, error, connection->tls());
  drop();
  if (stale && text.code == Code::kUnavailable) return connect();
  finish(std::move(text));
}

void HttpsClient::Impl::drop() {
  resolver_.cancel();
  if (!connection_) return;
  connection_->close();
  connection_.reset();
}

void HttpsClient::Impl::finish(Result<HttpResponse> result) {
  deadline_.cancel();
  request_ = {};
  const Callback callback = std::exchange(callback_, nullptr);
  if (callback) callback(std::move(result));
}

void HttpsClient::Impl::cancel() {
  drop();
  if (!busy()) return;
  deadline_.cancel();
  asio::post(io_, [callback = std::exchange(callback_, nullptr), url = endpoint_.url()] {
    callback(fail(Code::kUnavailable, "the request to ", url, " was cancelled"));
  });
}

void HttpsClient::Impl::abandon() {
  callback_ = nullptr;
  deadline_.cancel();
  drop();
}

HttpsClient::HttpsClient(asio::io_context& io, Endpoint endpoint, TlsIdentity identity)
    : impl_(std::make_shared<Impl>(io, std::move(endpoint), std::move(identity))) {}
HttpsClient::~HttpsClient() { impl_->abandon(); }
void HttpsClient::request(HttpRequest request, CallLimits limits, Callback callback) {
  impl_->request(std::move(request), limits, std::move(callback));
}
bool HttpsClient::busy() const { return impl_->busy(); }
HttpsClient::Progress HttpsClient::progress() const { return impl_->progress(); }
void HttpsClient::cancel() { impl_->cancel(); }
void HttpsClient::set_identity(TlsIdentity identity) { impl_->set_identity(identity); }

Result<HttpResponse> https_call(const Endpoint& endpoint, const TlsIdentity& identity, HttpRequest request,
                                CallLimits limits) {
  asio::io_context io{1};
  HttpsClient client(io, endpoint, identity);
  std::optional<Result<HttpResponse>> answer;
  client.request(std::move(request), limits, [&](Result<HttpResponse> result) { answer = std::move(result); });
  while (!answer.has_value() && io.run_one() > 0) {
  }
  if (!answer.has_value()) return fail(Code::kInternal, "the request to ", endpoint.url(), " ended without an answer");
  return std::move(*answer);
}

namespace {

// The CA of the presented chain whose pin is `pin`, if the leaf was issued by it.
Result<std::string> check_chain(const Endpoint& endpoint, SSL* tls, std::string_view pin) {
  const CertificatePtr leaf(SSL_get1_peer_certificate(tls));
  const STACK_OF(X509)* chain = SSL_get_peer_cert_chain(tls);
  if (!leaf || chain == nullptr) return fail(Code::kDenied, endpoint.url(), " presented no certificate");
  for (int i = 0; i < sk_X509_num(chain); ++i) {
    X509* candidate = sk_X509_value(chain, i);
    WB_TRY(std::string pem, certificate_to_pem(candidate));
    WB_TRY(const std::string found, certificate_pin(pem));
    if (found != pin) continue;
    if (X509_check_ca(candidate) != 1 || X509_verify(leaf.get(), X509_get0_pubkey(candidate)) != 1) {
      ERR_clear_error();
      return fail(Code::kDenied, endpoint.url(),
                  " presented the right CA, but its own certificate was not issued by it");
    }
    return pem;
  }
  return fail(Code::kDenied, endpoint.url(),
              " is not the hub that made this token: its CA does not match the token's pin; check the address");
}

}  // namespace

Result<std::string> fetch_pinned_ca(const Endpoint& endpoint, std::string_view pin, uint32_t deadline_ms) {
  asio::io_context io{1};
  asio::ssl::context context(asio::ssl::context::tls_client);
  context.set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_tlsv1 |
                      asio::ssl::context::no_tlsv1_1);
  context.set_verify_mode(asio::ssl::verify_none);  // the pin is the check; nothing is sent on this connection
  Tcp::socket socket(io);
  std::optional<TlsStream> stream;
  Tcp::resolver resolver(io);
  Result<std::string> outcome = fail(Code::kUnavailable, "no TLS connection with ", endpoint.url(), " within ",
                                     std::to_string(deadline_ms), " ms; try again");
  const auto connected = [&](ErrorCode error, const Tcp::endpoint&) {
    if (error) return void(outcome = connection_error(endpoint, "connect to", error, nullptr));
    stream.emplace(std::move(socket), context.native_handle(), TlsStream::Side::kClient);
    if (!is_address(endpoint.host)) SSL_set_tlsext_host_name(stream->native_handle(), endpoint.host.c_str());
    stream->async_handshake([&](ErrorCode refused, size_t) {
      if (refused) return void(outcome = connection_error(endpoint, "make a TLS connection with", refused, nullptr));
      outcome = check_chain(endpoint, stream->native_handle(), pin);
    });
  };
  resolver.async_resolve(endpoint.host, std::to_string(endpoint.port),
                         [&](ErrorCode error, const Tcp::resolver::results_type& results) {
                           if (error)
                             return void(outcome = connection_error(endpoint, "find the host of", error, nullptr));
                           asio::async_connect(socket, results, connected);
                         });
  io.run_for(std::chrono::milliseconds(deadline_ms));
  ErrorCode ignored;
  resolver.cancel();
  socket.close(ignored);
  if (stream) stream->close();
  io.restart();
  io.poll();
  return outcome;
}

}  // namespace wb::world
