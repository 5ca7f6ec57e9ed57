#pragma once
// A server over a service that echoes, and clients of every kind, on loopback and a port that the system chooses.

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>
#include <condition_variable>
#include <ctime>
#include <mutex>
#include <thread>

#include "world/https_client.h"
#include "world/https_server.h"
#include "world/pki.h"

namespace wb::world {

// Echoes; "/v1/poll" parks under the peer's name until POST /v1/wake/NAME; "/v1/large" answers with kLargeBytes;
// "/v1/records" counts as records under load.
class EchoService final : public Service {
 public:
  RoutePolicy policy(std::string_view, std::string_view path) const override {
    return {.anonymous = path == "/ping", .body_bytes_max = 1'000, .known = !path.starts_with("/none")};
  }
  static constexpr size_t kLargeBytes = 24U << 20;  // more than the buffers of the system take
  Admission::Class class_of(const ServerCall& call) const override {
    return call.request.target == "/v1/records" ? Admission::Class::kRecords : Admission::Class::kControl;
  }
  std::vector<std::string> serve(const std::vector<ServerCall*>& calls, ServerLoad) override {
    std::vector<std::string> wakes;
    for (ServerCall* call : calls) {
      const std::string& target = call->request.target;
      call->response = HttpResponse{
          200, {{"X-Peer", call->peer.id}}, call->request.method + " " + target + " " + call->request.body};
      if (target == "/v1/poll" && !call->resumed) {
        call->park_ms = 20'000;
        call->park_key = call->peer.id;
        parked.release();
      }
      if (target == "/v1/poll" && call->resumed) call->response.body = "woken";
      if (target.starts_with("/v1/wake/")) wakes.push_back(target.substr(9));
      if (target == "/v1/large") call->response.body = std::string(kLargeBytes, 'L');
      if (target == "/v1/block") blocked.release(), unblock.acquire();
    }
    largest_batch = std::max(largest_batch.load(), calls.size());
    return wakes;
  }

  class Signal {
   public:
    void release() {
      const std::lock_guard lock(mutex_);
      ++count_;
      changed_.notify_all();
    }
    void acquire() {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return count_ > 0; });
      --count_;
    }

   private:
    std::mutex mutex_;
    std::condition_variable changed_;
    int count_ = 0;
  };
  Signal parked, blocked, unblock;
  std::atomic<size_t> largest_batch = 0;
};

class Https : public testing::Test {
 protected:
  void start(ServerOptions options = {}) {
    const Credential credential = ca_.issue_server({}, now_).value();
    options.port = 0;
    const std::string address = options.address;
    options.certificate_pem = credential.certificate_pem;
    options.key_pem = credential.key_pem;
    options.ca_pem = ca_.certificate_pem();
    server_ = std::move(HttpsServer::listen(std::move(options), service_)).value();
    thread_ = std::thread([this] { server_->run(); });
    endpoint_ = Endpoint{address, server_->port()};
  }
  void TearDown() override {
    if (!server_) return;
    server_->stop();
    thread_.join();
  }
  TlsIdentity node(const std::string& id, int64_t issued_at) {
    const std::string key = make_p256_key_pem().value();
    return {ca_.certificate_pem(), ca_.issue_node(make_csr_der(key, id).value(), id, issued_at).value(), key};
  }
  TlsIdentity node(const std::string& id) { return node(id, now_); }
  TlsIdentity anonymous() { return {ca_.certificate_pem(), "", ""}; }
  Result<HttpResponse> call(const TlsIdentity& identity, const std::string& method, const std::string& target,
                            std::string body = "") {
    return https_call(endpoint_, identity, {method, target, {}, std::move(body)}, {.deadline_ms = 10'000});
  }
  // Sends `text` over TLS as node "n" and returns all that comes until the server closes.
  std::string raw_call(const std::string& text) {
    namespace asio = boost::asio;
    const TlsIdentity identity = node("n");
    asio::io_context io;
    asio::ssl::context context(asio::ssl::context::tls_client);
    context.use_certificate_chain(asio::buffer(identity.certificate_pem));
    context.use_private_key(asio::buffer(identity.key_pem), asio::ssl::context::pem);
    asio::ssl::stream<asio::ip::tcp::socket> stream(io, context);
    stream.lowest_layer().connect({asio::ip::make_address(endpoint_.host), endpoint_.port});
    stream.handshake(asio::ssl::stream_base::client);
    asio::write(stream, asio::buffer(text));
    std::string answer;
    boost::system::error_code error;
    while (!error) {
      char buffer[1024];
      answer.append(buffer, stream.read_some(asio::buffer(buffer), error));
    }
    return answer;
  }
  // A TCP connection without TLS; returns how many bytes came before the server closed it.
  ssize_t wait_for_close(int socket) {
    char buffer[4096];
    ssize_t total = 0;
    while (true) {
      const ssize_t count = ::recv(socket, buffer, sizeof buffer, 0);
      if (count <= 0) return total;
      total += count;
    }
  }

  int64_t now_ = std::time(nullptr);
  CertificateAuthority ca_ = CertificateAuthority::create("test hub", now_).value();
  EchoService service_;
  std::unique_ptr<HttpsServer> server_;
  std::thread thread_;
  Endpoint endpoint_;
};

// Calls on `client` one after the other, each awaited.
class Awaiting {
 public:
  Awaiting(const Endpoint& endpoint, const TlsIdentity& identity) : client(io, endpoint, identity) {}
  Result<HttpResponse> call(HttpRequest request, CallLimits limits = {.deadline_ms = 10'000}) {
    std::optional<Result<HttpResponse>> answer;
    client.request(std::move(request), limits, [&](Result<HttpResponse> result) { answer = std::move(result); });
    io.restart();
    while (!answer.has_value() && io.run_one() > 0) {
    }
    return answer.has_value() ? std::move(*answer) : Result<HttpResponse>(fail(Code::kInternal, "no callback"));
  }
  boost::asio::io_context io;
  HttpsClient client;
};

}  // namespace wb::world
