// The client of what stays near the device (`waybill-agent status`, the HTTP action): a listener on loopback says the
// input. The call ends with one answer inside its limits or with one error; and a page for a person is made of whatever
// JSON is in it.
#include "world/plain_http.h"

#include <boost/asio/ip/tcp.hpp>
#include <optional>

#include "apps/agent/status.h"
#include "fuzz/tls_peer.h"

namespace asio = boost::asio;
using namespace wb;

namespace {

constexpr uint8_t kInPieces = 0x80;
constexpr uint32_t kNeverMs = 3'600'000;  // a call that waits for its deadline is one that does not end
constexpr size_t kAnswerBytesMax = 2'000;

void check(const Result<world::HttpResponse>& answer) {
  if (!answer.ok()) return WB_HOLDS(!answer.error().text.empty(), "an error without a reason");
  WB_HOLDS(answer->body.size() <= kAnswerBytesMax, "a body longer than allowed");
  const int64_t wait_ms = world::retry_after_ms(answer->headers);
  WB_HOLDS(wait_ms >= 0 && wait_ms <= world::kRetryAfterMaxS * 1'000, std::to_string(wait_ms));
  const auto status = nlohmann::ordered_json::parse(answer->body, nullptr, false);
  if (!status.is_discarded()) WB_HOLDS(agentapp::status_text(status).starts_with("node "), answer->body);
}

}  // namespace

WB_FUZZ_TARGET(plain_http) {
  static asio::io_context& io = *new asio::io_context(1);  // with the thread that its resolver keeps
  fuzz::Feed feed(bytes);
  const size_t piece_bytes = (feed.byte() & kInPieces) != 0 ? 5 : 16'000;
  const std::string said(feed.rest());
  asio::ip::tcp::acceptor acceptor(io, {asio::ip::make_address("127.0.0.1"), 0});
  acceptor.async_accept([&](boost::system::error_code error, fuzz::TlsPeer::Socket socket) {
    WB_HOLDS(!error, error.message());
    const auto peer = std::make_shared<fuzz::TlsPeer>(std::move(socket), nullptr, world::TlsStream::Side::kServer);
    peer->start([&, peer] { peer->say(said, piece_bytes, [peer] { peer->end(true); }); }, [] {});
  });
  int answers_count = 0;
  world::plain_http(io,
                    {.host = "127.0.0.1",
                     .port = std::to_string(acceptor.local_endpoint().port()),
                     .request = {"GET", "/v1/status", {{"Authorization", "Bearer token"}}, ""},
                     .deadline_ms = kNeverMs,
                     .response_bytes_max = kAnswerBytesMax},
                    [&](const Result<world::HttpResponse>& answer) {
                      ++answers_count;
                      check(answer);
                    });
  io.restart();
  io.run();  // until nothing is left to do
  WB_HOLDS(answers_count == 1, "answers");
}

WB_FUZZ_SEEDS(plain_http) {
  const auto seed = [&](uint8_t choice, std::string_view text) {
    put(fuzz::FeedWriter().byte(choice).rest(text).bytes());
  };
  const std::string head = "HTTP/1.1 200 OK\r\n\r\n";
  AgentView view;
  view.has_hub = true;
  view.deploy.quarantined.emplace_back();
  seed(0, head + agentapp::status_json(view, Moment{{1}, 1}, {}).substr(0, kAnswerBytesMax - 1));
  seed(0,
       head + R"({"node":"n1","deploy":{"running":7,"quarantined":[1,{}]},"records":[],"outbox":{"lanes":{"a":-1}}})");
  seed(kInPieces, head + R"({"node":"n1","hub":{"enrolled":true,"last_contact_ms_ago":-9223372036854775808}})");
  seed(0, "HTTP/1.1 503 Busy\r\nRetry-After: 9223372036854775807\r\nContent-Length: 2\r\n\r\n[]");
  seed(kInPieces, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n");
  seed(0, "HTTP/1.1 200 OK\r\nContent-Length: 2147483649\r\n\r\n{}");
  seed(0, "SSH-2.0-OpenSSH_9.2\r\n");
}
