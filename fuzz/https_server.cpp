// The hub's side of HTTPS: production's HttpsSession over a socketpair, behind a real TLS session, with a host of our
// own in place of the accepting socket and the database thread. The client says the input in pieces and then nothing
// more. Whatever the bytes: the connection ends and gives back all it took; only what a route allows is handed on,
// within its limits; every request gets one answer that a client can read; and it makes no difference how the bytes
// were cut.
//
// The first byte chooses the client: with a certificate or without, with TLS or without, polite at the end or not.
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <boost/asio/post.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "fuzz/tls_peer.h"
#include "world/https_session.h"

namespace asio = boost::asio;
namespace http = boost::beast::http;
using namespace wb;
using world::HttpsSession;
using world::TlsStream;

namespace {

constexpr uint8_t kWithCertificate = 1;
constexpr uint8_t kWithoutTls = 2;
constexpr uint8_t kRudeEnd = 4;
constexpr uint32_t kNeverMs = 3'600'000;  // a connection that waits for its time limit is one that does not end
constexpr size_t kBodyBytesMax = 2'000;
constexpr size_t kLargeAnswerBytes = 100'000;
constexpr size_t kHeaderBytesMax = 4'096;

struct Handed {
  std::string method, target, body;
  world::HttpHeaders headers;
  bool operator==(const Handed&) const = default;
};

// Routes that reach every refusal; "/v1/park" is answered later, after its memory was given back.
class Host final : public world::SessionHost, public world::Service {
 public:
  explicit Host(asio::io_context& io) : io_(io) {
    options_.header_bytes_max = kHeaderBytesMax;
    for (uint32_t* limit : {&options_.handshake_ms, &options_.header_ms, &options_.body_ms, &options_.body_total_ms,
                            &options_.write_ms, &options_.idle_ms})
      *limit = kNeverMs;
  }

  world::RoutePolicy policy(std::string_view method, std::string_view path) const override {
    methods.emplace_back(method);
    path_ = path;
    if (path == "/open") return {.anonymous = true, .body_bytes_max = kBodyBytesMax};
    if (path == "/v1/full" || path == "/v1/huge") return {.body_bytes_max = 1U << 20};
    if (path.starts_with("/v1/")) return {.body_bytes_max = kBodyBytesMax};
    return {.anonymous = true, .known = false};
  }
  std::vector<std::string> serve(const std::vector<world::ServerCall*>&, world::ServerLoad) override { return {}; }
  void answered(const world::ServerCall&) const override { ++answered_count; }

  const world::ServerOptions& options() const override { return options_; }
  const world::Service& service() const override { return *this; }
  bool stopping() const override { return false; }
  bool reserve_body(size_t bytes, bool) override {
    if (path_ == "/v1/full") return !(no_room = true);
    reserved_bytes += bytes;
    return true;
  }
  void release_body(size_t bytes) override { reserved_bytes -= bytes; }
  uint32_t submit(std::shared_ptr<HttpsSession> session) override {
    const world::HttpRequest& request = session->call.request;
    const bool anonymous = session->call.peer.kind == world::Peer::Kind::kAnonymous;
    const bool large = request.target.starts_with("/v1/full") || request.target.starts_with("/v1/huge");
    WB_HOLDS(!anonymous || request.target.substr(0, request.target.find('?')) == "/open", request.target);
    WB_HOLDS(large || request.body.size() <= kBodyBytesMax, "an over-long body");
    handed.push_back({request.method, request.target, request.body, request.headers});
    if (request.target == "/v1/busy") return 2;
    ++submitted_count;
    asio::post(io_, [session] {
      const std::string target = session->call.request.target;
      if (target == "/v1/park") session->release_memory();
      session->call.response = {200, {{"X-Peer", session->call.peer.id}}, "served"};
      if (target == "/v1/large") session->call.response.body = std::string(kLargeAnswerBytes, 'L');
      session->answer();
    });
    return 0;
  }
  uint32_t retry_after_s() const override { return 3; }
  bool proven(HttpsSession*) override { return true; }
  bool count_refused_handshake() override { return true; }
  void count_overload() override {}
  void count_timeout() override { WB_HOLDS(false, "a time limit of an hour"); }
  void opened(HttpsSession*) override { ++open_count; }
  void closed(HttpsSession*) override { --open_count; }

  mutable std::vector<std::string> methods;  // of every request whose header was read
  mutable int answered_count = 0;
  int submitted_count = 0;
  int open_count = 0;
  size_t reserved_bytes = 0;
  bool no_room = false;  // was said to a body: when, depends on how it came
  std::vector<Handed> handed;

 private:
  asio::io_context& io_;
  mutable std::string path_;
  world::ServerOptions options_;
};

// The statuses of the answers, read as a client would that knows what it asked. Interim ones are skipped.
std::vector<int> statuses_of(std::string_view heard, const std::vector<std::string>& methods) {
  std::vector<int> out;
  while (!heard.empty()) {
    http::response_parser<http::string_body> parser;
    parser.eager(true);
    parser.body_limit(2 * kLargeAnswerBytes);
    parser.skip(out.size() < methods.size() && methods[out.size()] == "HEAD");
    boost::system::error_code error;
    heard.remove_prefix(parser.put(asio::buffer(heard), error));
    WB_HOLDS(!error && parser.is_done(), heard);
    if (parser.get().result_int() >= 200) out.push_back(static_cast<int>(parser.get().result_int()));
  }
  return out;
}

std::string text_of(const std::vector<int>& statuses) {
  std::string out;
  for (const int status : statuses) out += std::to_string(status) + " ";
  return out;
}

struct Outcome {
  std::vector<Handed> handed;
  std::vector<int> statuses;
  bool no_room = false;
};

Outcome talk(const std::string& bytes, uint8_t choice, size_t piece_bytes) {
  using Side = TlsStream::Side;
  using Method = asio::ssl::context::method;
  static const auto kHub = fuzz::make_tls(Method::tls_server, &fuzz::credentials().hub);
  static const auto kNode = fuzz::make_tls(Method::tls_client, &fuzz::credentials().node);
  static const auto kAnybody = fuzz::make_tls(Method::tls_client, nullptr);
  SSL_CTX* tls = ((choice & kWithCertificate) != 0 ? kNode : kAnybody)->native_handle();
  if ((choice & kWithoutTls) != 0) tls = nullptr;

  asio::io_context io{1};
  int ends[2];
  WB_HOLDS(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "socketpair");
  Host host(io);
  const auto client =
      std::make_shared<fuzz::TlsPeer>(fuzz::TlsPeer::Socket(io, asio::ip::tcp::v4(), ends[0]), tls, Side::kClient);
  std::make_shared<HttpsSession>(fuzz::TlsPeer::Socket(io, asio::ip::tcp::v4(), ends[1]), kHub->native_handle(), host)
      ->start();
  client->start([&] { client->say(bytes, piece_bytes, [&] { client->end((choice & kRudeEnd) == 0); }); }, [] {});
  io.run();
  WB_HOLDS(host.open_count == 0, "the session outlives its connection");
  WB_HOLDS(host.reserved_bytes == 0, "bytes of bodies are counted that nobody holds");
  if ((choice & kWithoutTls) != 0) {
    WB_HOLDS(host.methods.empty(), "served without TLS");
    return {};
  }
  Outcome outcome{std::move(host.handed), statuses_of(client->heard(), host.methods), host.no_room};
  WB_HOLDS(std::count(outcome.statuses.begin(), outcome.statuses.end(), 200) == host.submitted_count, client->heard());
  WB_HOLDS(outcome.statuses.size() <= host.methods.size() + 1, client->heard());
  // What is no request is told so at once, or only when the rest of its header does not come: by how it was cut.
  outcome.statuses.resize(std::min(outcome.statuses.size(), host.methods.size()));
  return outcome;
}

}  // namespace

WB_FUZZ_TARGET(https_server) {
  static const bool kQuiet = [] { return spdlog::set_level(spdlog::level::off), true; }();
  fuzz::Feed feed(bytes);
  const uint8_t choice = feed.byte() & (kQuiet ? 0xFF : 0);
  const std::string said(feed.rest());
  const Outcome whole = talk(said, choice, 16'000);
  if ((choice & 0x80U) == 0) return;
  const Outcome cut = talk(said, choice, 7);
  if (whole.no_room || cut.no_room) return;
  WB_HOLDS(whole.handed == cut.handed, "other requests when the bytes come in pieces");
  WB_HOLDS(whole.statuses == cut.statuses, text_of(whole.statuses) + "in one piece, in many " + text_of(cut.statuses));
}

WB_FUZZ_SEEDS(https_server) {
  const auto seed = [&](uint8_t choice, std::string_view text) {
    put(fuzz::FeedWriter().byte(choice).rest(text).bytes());
  };
  seed(0, "GET /open HTTP/1.1\r\nConnection: close\r\n\r\n");
  seed(0, "GET /v1/x HTTP/1.1\r\n\r\nGET /none HTTP/1.1\r\n\r\n");
  seed(1, "GET /v1/x?a=b HTTP/1.1\r\nHost: h\r\n\r\nGET /v1/large HTTP/1.0\r\n\r\n");
  seed(0x81,
       "POST /v1/park HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloHEAD /v1/x HTTP/1.1\r\n\r\nHEAD / HTTP/1.1\r\n\r\n");
  seed(0x81,
       "POST /v1/busy HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhelloPUT /open HTTP/1.1\r\n\r\n");
  seed(0x81, "POST /v1/x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nTrailer: x\r\n\r\nGET");
  seed(0x85, "POST /v1/huge HTTP/1.1\r\nContent-Length: 70000\r\n\r\nx");
  seed(0x85, "POST /v1/full HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nhello\r\n0\r\n\r\n");
  seed(1, "POST /v1/x HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n");
  seed(1, "POST /v1/x HTTP/1.1\r\nContent-Length: 2147483649\r\n\r\n");
  seed(1, "POST /v1/x HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\nhello");
  seed(kWithoutTls, std::string_view("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11));
  seed(kWithoutTls, "GET /open HTTP/1.1\r\n\r\n");
}
