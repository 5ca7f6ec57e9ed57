#pragma once
// HttpsServer: the hub's one port. TLS 1.2/1.3 only; a client certificate is asked for and, if given, must be ours.
//
// Two threads. The io thread owns every connection and never waits for a disk. The database thread takes all requests
// that have come in so far and gives them to the Service as one batch, which is one transaction; the answers go out
// only after it was committed (group commit, promise H1). A call may ask to be parked (long poll): it is served again
// when its key is woken or its time is up; meanwhile only its method, target and peer are kept.
//
// Bounded everywhere (promise H6): connections, header and body bytes, bytes of bodies in flight, queued calls, parked
// calls, time to hand in a header or a body, to read an answer, to do nothing. What is over a limit gets 431, 413 or
// 503 with Retry-After (promise L3); who is too slow is cut. Under load what steers goes before records
// (base/admission.h).
//
// Who has shown no certificate takes no place from those who have: at most unproven_max such connections are open, and
// when all places are taken the one that has been there longest makes room. So clients that open connections and then
// do nothing, or do it slowly, delay others by at most the grace that each newcomer gets.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/admission.h"
#include "base/result.h"
#include "world/http_message.h"

namespace wb::world {

struct Peer {
  enum class Kind : uint8_t { kAnonymous, kNode, kAdmin };
  Kind kind = Kind::kAnonymous;
  std::string id;      // CN of the certificate: node id, or name of the admin
  std::string serial;  // of the certificate, hex
};

// What the io thread must know about a path before it reads a body.
struct RoutePolicy {
  bool anonymous = false;  // served without a certificate
  size_t body_bytes_max = 0;
  bool known = true;  // false: 404 without a look at the body
};

struct ServerCall {
  Peer peer;
  HttpRequest request;
  Admission::Class kind = Admission::Class::kControl;
  bool resumed = false;   // was parked; now woken, timed out, or the server is stopping
  HttpResponse response;  // filled in by the Service …
  uint32_t park_ms = 0;   // … or > 0: no answer yet, park under `park_key`
  std::string park_key;   // one parked call per key: a newer one resumes the older
};

struct ServerLoad {
  uint32_t permille = 0;  // how full the queue of records is, 0 … 1000
  size_t connected = 0;   // connections that are open
};

class Service {
 public:
  virtual ~Service() = default;
  // On the io thread, at once: no state.
  virtual RoutePolicy policy(std::string_view method, std::string_view path) const = 0;
  // On the io thread, at once, when the body is there: what the call is under load.
  virtual Admission::Class class_of(const ServerCall&) const { return Admission::Class::kControl; }
  // On the database thread. Must fill in every call.
  // Returns the keys whose parked calls should be resumed; "" = all.
  virtual std::vector<std::string> serve(const std::vector<ServerCall*>& calls, ServerLoad load) = 0;
  // On the io thread, when the last byte of the answer is with the kernel.
  virtual void answered(const ServerCall&) const {}
  // On the database thread, about every `ServerOptions::tick_ms`. Returns keys as serve() does.
  virtual std::vector<std::string> tick() { return {}; }
};

struct ServerOptions {
  std::string address = "127.0.0.1";
  uint16_t port = 7443;              // 0 = any free port; see HttpsServer::port()
  std::string certificate_pem = {};  // leaf
  std::string key_pem = {};
  std::string ca_pem = {};  // sent behind the leaf, and the only issuer of client certificates accepted
  size_t connections_max = 16'384;
  size_t connections_per_peer_max = 128;  // an agent needs three
  size_t unproven_max = 512;              // of them, without a certificate of ours (yet)
  uint32_t unproven_grace_ms = 1'000;     // a newcomer has at least this long before it may have to make room
  size_t header_bytes_max = 16U << 10;
  size_t body_bytes_total_max = 128U << 20;  // bodies being read or waiting for the database
  Admission::Limits admission = {};          // calls waiting for the database
  size_t batch_max = 512;                    // calls in one transaction
  size_t parked_max = 16'384;
  uint32_t handshake_ms = 10'000;
  uint32_t header_ms = 10'000;       // from its first byte
  uint32_t body_ms = 30'000;         // without any progress: a slow link may take its time …
  uint32_t body_total_ms = 900'000;  // … but not for ever; without a certificate body_ms is all it has
  uint32_t write_ms = 120'000;       // for the whole answer
  uint32_t idle_ms = 120'000;        // between requests; without a certificate only header_ms
  uint32_t tick_ms = 1'000;
};

struct ServerStats {
  uint64_t connections = 0, connections_open = 0, handshakes_refused = 0, requests = 0, overloaded = 0, timed_out = 0;
  uint64_t batches = 0, parked = 0;
  uint64_t made_room = 0;   // connections without a certificate that were cut for newcomers
  uint64_t body_bytes = 0;  // of bodies that are here now, whole or in part
};

class HttpsServer {
 public:
  // Binds and listens; nothing is served before run(). kUnavailable if the address is taken.
  static Result<std::unique_ptr<HttpsServer>> listen(ServerOptions options, Service& service);
  ~HttpsServer();
  uint16_t port() const;
  // Serves on the calling thread (and a database thread of its own) until stop(). In-flight calls are finished first.
  void run();
  // From any thread, and from a signal set: see stop_on_signals().
  void stop();
  void stop_on_signals();     // SIGINT, SIGTERM
  ServerStats stats() const;  // from any thread

 private:
  class Impl;
  explicit HttpsServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace wb::world
