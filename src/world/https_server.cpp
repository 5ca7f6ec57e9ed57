#include "world/https_server.h"

#include <openssl/ssl.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/ssl/context.hpp>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <list>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "world/https_session.h"
#include "world/openssl_guard.h"

namespace wb::world {

namespace asio = boost::asio;
using ErrorCode = boost::system::error_code;
using SessionPtr = std::shared_ptr<HttpsSession>;

namespace {
constexpr std::chrono::milliseconds kAcceptPause{100};
constexpr std::chrono::seconds kStopDeadline{5};
constexpr uint64_t kRefusalsToldMax = 1'000;  // from there on every thousandth

Instant now() { return Instant{std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count()}; }
}  // namespace

class HttpsServer::Impl final : public SessionHost {
 public:
  Impl(ServerOptions options, Service& service)
      : options_(std::move(options)),
        service_(service),
        tls_(asio::ssl::context::tls_server),
        acceptor_(io_),
        pause_(io_),
        signals_(io_),
        admission_(options_.admission) {}
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() override {
    stopping_ = stop_finished_ = true;
    parked_.clear();
    control_.clear();
    records_.clear();
  }

  Status set_up();
  void run();
  void stop() {
    asio::post(io_, [this] { begin_stop(); });
  }
  void stop_on_signals();
  uint16_t port() const { return port_; }
  ServerStats stats() const;

  // SessionHost
  const ServerOptions& options() const override { return options_; }
  const Service& service() const override { return service_; }
  bool stopping() const override { return stopping_; }
  bool reserve_body(size_t bytes, bool large) override;
  void release_body(size_t bytes) override { body_bytes_ -= bytes; }
  uint32_t submit(SessionPtr session) override;
  uint32_t retry_after_s() const override;
  bool proven(HttpsSession* session) override;
  bool count_refused_handshake() override {
    const uint64_t count = ++handshakes_refused_;
    return count <= kRefusalsToldMax || count % kRefusalsToldMax == 0;
  }
  void count_overload() override { ++overloaded_; }
  void count_timeout() override { ++timed_out_; }
  void opened(HttpsSession* session) override;
  void closed(HttpsSession* session) override;

 private:
  Status set_up_tls();
  Status set_up_socket();
  void accept();
  void accepted(ErrorCode error, asio::ip::tcp::socket socket);
  bool make_room();
  void leave_unproven(HttpsSession* session);
  void accept_again_in(std::chrono::milliseconds pause);
  void begin_stop();
  void finish_stop();
  // io thread: what the database thread has done
  void batch_done(const std::vector<SessionPtr>& batch, const std::vector<std::string>& wakes);
  void park(const SessionPtr& session);
  void resume(const SessionPtr& session);
  void enqueue(SessionPtr session);
  // under queue_mutex_
  Admission::Queue records_ahead() const { return {control_.size() + records_.size(), records_.size()}; }
  void take(std::deque<SessionPtr>& queue, size_t count_max, std::vector<SessionPtr>& batch);
  // database thread
  void work();
  std::vector<SessionPtr> take_batch(std::chrono::steady_clock::time_point tick_at, uint32_t& load_permille,
                                     bool& ended);

  ServerOptions options_;
  Service& service_;
  // Above io_, because the sessions that die with it still sign off here.
  std::atomic<size_t> body_bytes_ = 0;
  std::unordered_set<HttpsSession*> sessions_;
  std::list<HttpsSession*> unproven_;                       // of them, the longest there first
  std::unordered_map<std::string, size_t> connections_of_;  // by peer
  std::unordered_map<std::string, SessionPtr> parked_;
  bool stopping_ = false;
  bool accepting_ = false;
  bool stop_finished_ = false;
  std::atomic<uint64_t> connections_{0}, connections_open_{0}, handshakes_refused_{0}, requests_{0}, overloaded_{0},
      timed_out_{0}, batches_{0}, parked_count_{0}, made_room_{0};

  asio::io_context io_{1};
  asio::ssl::context tls_;
  asio::ip::tcp::acceptor acceptor_;
  asio::steady_timer pause_;
  asio::signal_set signals_;
  uint16_t port_ = 0;

  mutable std::mutex queue_mutex_;
  std::condition_variable queue_filled_;
  std::deque<SessionPtr> control_;  // GUARDED_BY(queue_mutex_)
  std::deque<SessionPtr> records_;  // GUARDED_BY(queue_mutex_)
  size_t enrolments_ = 0;           // GUARDED_BY(queue_mutex_): among control_
  Admission admission_;             // GUARDED_BY(queue_mutex_)
  bool ended_ = false;              // GUARDED_BY(queue_mutex_)
};

Status HttpsServer::Impl::set_up() {
  try {
    WB_CHECK(set_up_tls());
    return set_up_socket();
  } catch (const std::exception& error) {
    return fail(Code::kInternal, "set up the HTTPS server: ", error.what());
  }
}

Status HttpsServer::Impl::set_up_tls() {
  tls_.set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_sslv2 |
                   asio::ssl::context::no_sslv3 | asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1);
  SSL_CTX* native = tls_.native_handle();
  // No resumption: every connection proves its certificate anew, so a revoked or expired one has no back door.
  SSL_CTX_set_options(native, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(native, 0);
  keep_connections_small(native);
  tls_.use_certificate_chain(asio::buffer(options_.certificate_pem + options_.ca_pem));
  tls_.use_private_key(asio::buffer(options_.key_pem), asio::ssl::context::pem);
  tls_.add_certificate_authority(asio::buffer(options_.ca_pem));
  WB_TRY(const CertificatePtr authority, parse_certificate(options_.ca_pem));
  SSL_CTX_add_client_CA(native, authority.get());
  tls_.set_verify_mode(asio::ssl::verify_peer);  // asked for, not required; what is given must be ours
  return ok_status();
}

Status HttpsServer::Impl::set_up_socket() {
  ErrorCode error;
  const auto address = asio::ip::make_address(options_.address, error);
  if (error)
    return fail(Code::kInvalid, "'", options_.address,
                "' is not an IP address to listen on; for example 127.0.0.1 or 0.0.0.0");
  const asio::ip::tcp::endpoint endpoint(address, options_.port);
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (error)
    return fail(Code::kUnavailable, "cannot listen on ", options_.address, " port ", std::to_string(options_.port),
                ": ", error.message(), "; stop what uses it, or choose another --listen address");
  port_ = acceptor_.local_endpoint().port();
  return ok_status();
}

void HttpsServer::Impl::run() {
  std::thread database([this] { work(); });
  accept();
  io_.run();
  database.join();
}

void HttpsServer::Impl::stop_on_signals() {
  signals_.add(SIGINT);
  signals_.add(SIGTERM);
  signals_.async_wait([this](ErrorCode error, int number) {
    if (error) return;
    spdlog::info("stopping on {}", number == SIGINT ? "SIGINT" : "SIGTERM");
    begin_stop();
  });
}

void HttpsServer::Impl::accept() {
  if (stopping_ || accepting_) return;
  const bool crowded = unproven_.size() >= options_.unproven_max;
  if ((crowded || sessions_.size() >= options_.connections_max) && !make_room()) {
    // closed() and proven() start it again; so does the clock, because a newcomer may become old enough to make room
    return accept_again_in(kAcceptPause);
  }
  accepting_ = true;
  acceptor_.async_accept([this](ErrorCode error, asio::ip::tcp::socket socket) { accepted(error, std::move(socket)); });
}

void HttpsServer::Impl::accepted(ErrorCode error, asio::ip::tcp::socket socket) {
  accepting_ = false;
  if (stopping_) return;
  if (error) {  // out of file descriptors, most likely: those that exist go on, new ones wait
    spdlog::warn("cannot accept a connection: {}; trying again", error.message());
    return accept_again_in(kAcceptPause);
  }
  ++connections_;
  std::make_shared<HttpsSession>(std::move(socket), tls_.native_handle(), *this)->start();
  accept();
}

void HttpsServer::Impl::accept_again_in(std::chrono::milliseconds pause) {
  pause_.expires_after(pause);
  pause_.async_wait([this](ErrorCode failed) {
    if (!failed) accept();
  });
}

// The connection that has been here longest without a certificate goes, if it has had its time.
bool HttpsServer::Impl::make_room() {
  if (unproven_.empty()) return false;
  HttpsSession* oldest = unproven_.front();
  const auto age = std::chrono::steady_clock::now() - oldest->unproven->since;
  if (age < std::chrono::milliseconds(options_.unproven_grace_ms)) return false;
  leave_unproven(oldest);  // its memory goes with its last handler
  oldest->close_now();
  ++made_room_;
  return true;
}

// One identity, however it got out of hand, does not take the places of all.
bool HttpsServer::Impl::proven(HttpsSession* session) {
  leave_unproven(session);
  size_t& count = connections_of_[session->call.peer.id];
  if (count >= options_.connections_per_peer_max) return false;
  ++count;
  session->counted = true;
  return true;
}

void HttpsServer::Impl::leave_unproven(HttpsSession* session) {
  if (!session->unproven) return;
  const bool was_crowded = unproven_.size() >= options_.unproven_max;
  unproven_.erase(session->unproven->place);
  session->unproven.reset();
  if (was_crowded && !stopping_) asio::post(io_, [this] { accept(); });
}

void HttpsServer::Impl::opened(HttpsSession* session) {
  sessions_.insert(session);
  connections_open_ = sessions_.size();
  session->unproven.emplace(unproven_.insert(unproven_.end(), session), std::chrono::steady_clock::now());
}

void HttpsServer::Impl::closed(HttpsSession* session) {
  const bool was_full = sessions_.size() >= options_.connections_max;
  leave_unproven(session);
  if (session->counted) {
    const auto count = connections_of_.find(session->call.peer.id);
    if (--count->second == 0) connections_of_.erase(count);
  }
  sessions_.erase(session);
  connections_open_ = sessions_.size();
  if (stopping_ && sessions_.empty()) finish_stop();
  if (was_full && !stopping_) asio::post(io_, [this] { accept(); });
}

// Large bodies leave a quarter to the small ones.
bool HttpsServer::Impl::reserve_body(size_t bytes, bool large) {
  const size_t total_max = options_.body_bytes_total_max;
  if (body_bytes_ + bytes > (large ? total_max / 4 * 3 : total_max)) return false;
  body_bytes_ += bytes;
  return true;
}

uint32_t HttpsServer::Impl::submit(SessionPtr session) {
  const Admission::Class kind = service_.class_of(session->call);
  session->call.kind = kind;
  const bool records = kind == Admission::Class::kRecords;
  {
    const std::lock_guard lock(queue_mutex_);
    Admission::Queue queue{control_.size(), control_.size()};
    if (records) queue = records_ahead();
    if (kind == Admission::Class::kEnrolment) queue.alike = enrolments_;
    const uint32_t retry_after_s = admission_.offer(now(), kind, queue);
    if (retry_after_s > 0) return retry_after_s;
    if (kind == Admission::Class::kEnrolment) ++enrolments_;
    (records ? records_ : control_).push_back(std::move(session));
  }
  ++requests_;
  queue_filled_.notify_one();
  return 0;
}

uint32_t HttpsServer::Impl::retry_after_s() const {
  const std::lock_guard lock(queue_mutex_);
  return admission_.full(Admission::Class::kRecords, records_ahead()) ? admission_.retry_after_s() : 0;
}

// A resumed call was admitted before: it is not refused for a full queue (there are at most parked_max of them).
void HttpsServer::Impl::enqueue(SessionPtr session) {
  {
    const std::lock_guard lock(queue_mutex_);
    control_.push_back(std::move(session));
  }
  queue_filled_.notify_one();
}

void HttpsServer::Impl::batch_done(const std::vector<SessionPtr>& batch, const std::vector<std::string>& wakes) {
  for (const SessionPtr& session : batch) {
    const bool wants_park = session->call.park_ms > 0 && !session->call.resumed;
    if (!wants_park)
      session->answer();
    else if (stopping_ || parked_.size() >= options_.parked_max)
      session->call.resumed = true, enqueue(session);
    else
      park(session);
  }
  for (const std::string& key : wakes) {
    while (key.empty() && !parked_.empty()) resume(parked_.begin()->second);
    const auto found = parked_.find(key);
    if (found != parked_.end()) resume(found->second);
  }
}

void HttpsServer::Impl::park(const SessionPtr& session) {
  const auto older = parked_.find(session->call.park_key);
  if (older != parked_.end()) resume(older->second);
  parked_[session->call.park_key] = session;
  parked_count_ = parked_.size();
  session->parked = true;
  session->release_memory();
  session->park_timer.expires_after(std::chrono::milliseconds(session->call.park_ms));
  session->park_timer.async_wait([this, session](ErrorCode error) {
    if (!error && session->parked) resume(session);
  });
}

void HttpsServer::Impl::resume(const SessionPtr& session) {
  const SessionPtr kept = session;  // `session` may live in the map
  kept->parked = false;
  kept->park_timer.cancel();
  kept->call.resumed = true;
  parked_.erase(kept->call.park_key);
  parked_count_ = parked_.size();
  enqueue(kept);
}

void HttpsServer::Impl::begin_stop() {
  if (stopping_) return;
  stopping_ = true;
  ErrorCode ignored;
  acceptor_.close(ignored);
  signals_.cancel(ignored);
  while (!parked_.empty()) resume(parked_.begin()->second);
  const std::vector<HttpsSession*> open(sessions_.begin(), sessions_.end());
  for (HttpsSession* session : open) session->close_if_idle();
  pause_.expires_after(kStopDeadline);
  pause_.async_wait([this](ErrorCode error) {
    if (error) return;
    spdlog::warn("{} connections did not end in time and are cut", sessions_.size());
    finish_stop();
  });
  if (sessions_.empty()) finish_stop();
}

void HttpsServer::Impl::finish_stop() {
  if (std::exchange(stop_finished_, true)) return;
  {
    const std::lock_guard lock(queue_mutex_);
    ended_ = true;
  }
  queue_filled_.notify_one();
  io_.stop();
}

std::vector<SessionPtr> HttpsServer::Impl::take_batch(std::chrono::steady_clock::time_point tick_at,
                                                      uint32_t& load_permille, bool& ended) {
  std::unique_lock lock(queue_mutex_);
  queue_filled_.wait_until(lock, tick_at, [this] { return ended_ || !control_.empty() || !records_.empty(); });
  ended = ended_;
  load_permille = admission_.load_permille(records_ahead());
  std::vector<SessionPtr> batch;
  if (ended) return batch;
  // What steers goes first, but a storm of it leaves a quarter of each batch to the records.
  const size_t for_records = std::min(records_.size(), options_.batch_max / 4);
  take(control_, options_.batch_max - for_records, batch);
  take(records_, options_.batch_max - batch.size(), batch);
  return batch;
}

void HttpsServer::Impl::take(std::deque<SessionPtr>& queue, size_t count_max, std::vector<SessionPtr>& batch) {
  for (; count_max > 0 && !queue.empty(); --count_max) {
    const ServerCall& call = queue.front()->call;
    if (call.kind == Admission::Class::kEnrolment && !call.resumed) --enrolments_;
    batch.push_back(std::move(queue.front()));
    queue.pop_front();
  }
}

void HttpsServer::Impl::work() {
  const std::chrono::milliseconds period(options_.tick_ms);
  auto tick_at = std::chrono::steady_clock::now();
  while (true) {  // until stop
    uint32_t load_permille = 0;
    bool ended = false;
    std::vector<SessionPtr> batch = take_batch(tick_at, load_permille, ended);
    if (ended) return;
    std::vector<std::string> wakes;
    if (!batch.empty()) {
      std::vector<ServerCall*> calls;
      calls.reserve(batch.size());
      for (const SessionPtr& session : batch) calls.push_back(&session->call);
      const Instant started = now();
      wakes = service_.serve(calls, {load_permille, connections_open_});
      ++batches_;
      const std::lock_guard lock(queue_mutex_);
      admission_.served(calls.size(), now().ns - started.ns);
    }
    if (std::chrono::steady_clock::now() >= tick_at) {
      for (std::string& key : service_.tick()) wakes.push_back(std::move(key));
      tick_at = std::chrono::steady_clock::now() + period;
    }
    if (!batch.empty() || !wakes.empty())
      asio::post(io_, [this, batch = std::move(batch), wakes = std::move(wakes)] { batch_done(batch, wakes); });
  }
}

ServerStats HttpsServer::Impl::stats() const {
  return ServerStats{connections_, connections_open_, handshakes_refused_, requests_,  overloaded_,
                     timed_out_,   batches_,          parked_count_,       made_room_, body_bytes_};
}

HttpsServer::HttpsServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpsServer::~HttpsServer() = default;

Result<std::unique_ptr<HttpsServer>> HttpsServer::listen(ServerOptions options, Service& service) {
  auto impl = std::make_unique<Impl>(std::move(options), service);
  WB_CHECK(impl->set_up());
  return std::unique_ptr<HttpsServer>(new HttpsServer(std::move(impl)));
}

uint16_t HttpsServer::port() const { return impl_->port(); }
void HttpsServer::run() { impl_->run(); }
void HttpsServer::stop() { impl_->stop(); }
void HttpsServer::stop_on_signals() { impl_->stop_on_signals(); }
ServerStats HttpsServer::stats() const { return impl_->stats(); }

}  // namespace wb::world
