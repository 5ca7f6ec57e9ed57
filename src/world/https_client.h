#pragma once
// HttpsClient: one kept-alive HTTPS connection to a hub. The agent uses it asynchronously on its io_context; the
// command line uses call(), which runs a private one. There is no plaintext mode and no way to skip verification.
//
// Error codes: kUnavailable (not reachable, timed out, connection lost: try again later), kDenied (a certificate was
// refused, by us or by the hub), kFull (the answer is longer than allowed), kInvalid (not HTTP, not a URL). An HTTP
// status of 400 and more is a response, not an error.

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "world/http_message.h"

namespace wb::world {

struct Endpoint {
  std::string host;
  uint16_t port = 7443;
  std::string url() const;  // "https://host:port"
};
// "https://host[:port][/]"; IPv6 in brackets. Refuses http:// by name: there is no plaintext mode.
Result<Endpoint> parse_endpoint(std::string_view url);

struct TlsIdentity {
  std::string ca_pem;           // the only issuer trusted for the hub
  std::string certificate_pem;  // ours; empty = anonymous (enrolment)
  std::string key_pem;
};

struct CallLimits {
  uint32_t deadline_ms = 30'000;  // connect, handshake, request and whole response together
  size_t response_bytes_max = 1U << 20;
};

class HttpsClient {
 public:
  using Callback = std::function<void(Result<HttpResponse>)>;

  HttpsClient(boost::asio::io_context& io, Endpoint endpoint, TlsIdentity identity);
  ~HttpsClient();  // cancels; a pending callback is not called any more
  HttpsClient(const HttpsClient&) = delete;
  HttpsClient& operator=(const HttpsClient&) = delete;

  // One request at a time: a second while one is pending fails with kFull. `callback` runs once on the io_context,
  // never inside request(). A kept-alive connection that the hub closed meanwhile is replaced once, unseen.
  void request(HttpRequest request, CallLimits limits, Callback callback);
  bool busy() const;
  // How far the latest request certainly got. Valid in its callback.
  enum class Progress : uint8_t { kNowhere, kConnected, kSent };  // kSent: bytes of it may have left this device
  Progress progress() const;
  // Ends the pending request with kUnavailable "cancelled" and closes the connection.
  void cancel();
  // Replaces the credentials from the next connection on (renewal); closes an idle connection.
  void set_identity(TlsIdentity identity);

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

// The same, synchronously, on a connection of its own.
Result<HttpResponse> https_call(const Endpoint& endpoint, const TlsIdentity& identity, HttpRequest request,
                                CallLimits limits);

// First contact of enrolment: connects without trust, takes the chain that the hub presents, and returns the CA's PEM
// only if its pin (world/pki.h, from the token) matches and the leaf was issued by it. Nothing is sent. The caller then
// makes an ordinary verified connection with that CA, so the token's secret never reaches anybody else.
Result<std::string> fetch_pinned_ca(const Endpoint& endpoint, std::string_view pin, uint32_t deadline_ms);

}  // namespace wb::world
