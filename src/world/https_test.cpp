// Server and client against each other over loopback. What hostile and slow clients get is in https_hostile_test.cpp.

#include "world/test_https.h"

namespace wb::world {
namespace {

TEST_F(Https, KnowsWhoCalls) {
  start();
  const auto answer = call(node("gw-017"), "POST", "/v1/x?a=b", "hello");
  ASSERT_TRUE(answer.ok()) << answer.error().text;
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body, "POST /v1/x?a=b hello");
  EXPECT_EQ(find_header(answer->headers, "x-peer"), "gw-017");
}

TEST_F(Https, AnonymousReachesOnlyWhatIsOpen) {
  start();
  EXPECT_EQ(call(anonymous(), "GET", "/ping")->status, 200);
  EXPECT_EQ(call(anonymous(), "GET", "/v1/nodes")->status, 401);
  EXPECT_EQ(call(anonymous(), "POST", "/v1/exchange", "body")->status, 401);
  EXPECT_EQ(call(node("n"), "GET", "/none")->status, 404);
  EXPECT_EQ(server_->stats().requests, 1U);  // the others never reached the database thread
}

TEST_F(Https, ForeignAndExpiredCertificatesAreRefused) {
  start();
  const auto other = CertificateAuthority::create("test hub", now_).value();
  TlsIdentity foreign = node("gw-1");
  foreign.certificate_pem = other.issue_node(make_csr_der(foreign.key_pem, "gw-1").value(), "gw-1", now_).value();
  const TlsIdentity expired = node("gw-2", now_ - kNodeLifetimeSeconds - 10);
  // A server's certificate is not a client's, although the same CA made it.
  const Credential server = ca_.issue_server({}, now_).value();
  for (const TlsIdentity& identity :
       {foreign, expired, TlsIdentity{ca_.certificate_pem(), server.certificate_pem, server.key_pem}}) {
    const auto answer = call(identity, "GET", "/ping");
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.error().code, Code::kDenied) << answer.error().text;
    EXPECT_NE(answer.error().text.find("refused our certificate"), std::string::npos) << answer.error().text;
  }
  while (server_->stats().handshakes_refused < 3) std::this_thread::yield();  // counted just after the alert went out
  EXPECT_EQ(server_->stats().requests, 0U);
}

TEST_F(Https, ClientRefusesAForeignHubAndAWrongName) {
  start({.address = "127.0.0.2"});  // also loopback, but not in the certificate
  const auto other = CertificateAuthority::create("test hub", now_).value();
  const auto foreign = call(TlsIdentity{other.certificate_pem(), "", ""}, "GET", "/ping");
  ASSERT_FALSE(foreign.ok());
  EXPECT_EQ(foreign.error().code, Code::kDenied) << foreign.error().text;
  endpoint_.host = "127.0.0.2";
  const auto named = call(anonymous(), "GET", "/ping");
  ASSERT_FALSE(named.ok());
  EXPECT_EQ(named.error().code, Code::kDenied) << named.error().text;
}

TEST_F(Https, OnlyAPinnedCaIsTakenAtFirstContact) {
  start();
  EXPECT_EQ(fetch_pinned_ca(endpoint_, ca_.pin(), 10'000).value(), ca_.certificate_pem());
  const auto other = CertificateAuthority::create("test hub", now_).value();
  const auto refused = fetch_pinned_ca(endpoint_, other.pin(), 10'000);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::kDenied);
}

// Somebody in the middle who shows our CA's certificate behind a leaf of their own is not believed.
TEST_F(Https, PinnedCaMustHaveIssuedTheLeaf) {
  const auto ours = CertificateAuthority::create("test hub", now_).value();
  ServerOptions options;
  const Credential theirs = ca_.issue_server({}, now_).value();
  options.port = 0;
  options.certificate_pem = theirs.certificate_pem;
  options.key_pem = theirs.key_pem;
  options.ca_pem = ours.certificate_pem();
  server_ = std::move(HttpsServer::listen(std::move(options), service_)).value();
  thread_ = std::thread([this] { server_->run(); });
  const auto refused = fetch_pinned_ca(Endpoint{"127.0.0.1", server_->port()}, ours.pin(), 10'000);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::kDenied);
}

// H6: what is too big is refused before it is read.
TEST_F(Https, OversizeIsRefused) {
  start();
  EXPECT_EQ(call(node("n"), "POST", "/v1/x", std::string(1'000, 'b'))->status, 200);
  EXPECT_EQ(call(node("n"), "POST", "/v1/x", std::string(1'001, 'b'))->status, 413);
  EXPECT_EQ(call(node("n"), "POST", "/v1/x", std::string(4'000'000, 'b'))->status, 413);
  const auto header =
      https_call(endpoint_, node("n"), {"GET", "/v1/x", {{"X-Long", std::string(20'000, 'h')}}, ""}, {});
  ASSERT_TRUE(header.ok()) << header.error().text;
  EXPECT_EQ(header->status, 431);
  EXPECT_EQ(server_->stats().requests, 1U);
}

TEST_F(Https, ChunkedOversizeIsRefused) {
  start();
  const std::string head = "POST /v1/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string chunk = "1f4\r\n" + std::string(500, 'c') + "\r\n";
  EXPECT_TRUE(raw_call(head + chunk + chunk + "0\r\n\r\nGET /stop HTTP/1.1\r\nConnection: close\r\n\r\n")
                  .starts_with("HTTP/1.1 200"));
  EXPECT_TRUE(raw_call(head + chunk + chunk + chunk).starts_with("HTTP/1.1 413"));
}

TEST_F(Https, WhatIsNotHttpIsToldSo) {
  start();
  EXPECT_TRUE(raw_call("\x01\x02 nonsense\r\n\r\n").starts_with("HTTP/1.1 400"));
}

TEST_F(Https, ClientBoundsTheAnswer) {
  start();
  const auto answer =
      https_call(endpoint_, node("n"), {"POST", "/v1/x", {}, std::string(900, 'b')}, {.response_bytes_max = 100});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, Code::kFull) << answer.error().text;
}

// A peer that never finishes its handshake is cut, and a plaintext one is not served.
TEST_F(Https, SlowAndPlaintextClientsAreCut) {
  start({.handshake_ms = 200});
  for (const char* sent : {"", "GET /ping HTTP/1.1\r\n\r\n"}) {
    const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(endpoint_.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    const std::string text(sent);
    ASSERT_EQ(::send(socket, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    EXPECT_LT(wait_for_close(socket), 100);  // at most an alert
    ::close(socket);
  }
  EXPECT_EQ(server_->stats().requests, 0U);
}

TEST_F(Https, SlowHeaderAndBodyAreCut) {
  start({.header_ms = 150, .body_ms = 150});
  EXPECT_EQ(raw_call("GET /v1/x HTT"), "");
  EXPECT_EQ(raw_call("POST /v1/x HTTP/1.1\r\nHost: h\r\nContent-Length: 500\r\n\r\nhalf"), "");
  EXPECT_EQ(server_->stats().requests, 0U);
  while (server_->stats().timed_out < 2) std::this_thread::yield();  // counted just after the socket is closed
}

TEST_F(Https, KeepsConnectionsAndReplacesLostOnes) {
  start({.idle_ms = 150});
  Awaiting awaiting(endpoint_, node("n"));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(awaiting.call({"GET", "/v1/" + std::to_string(i), {}, ""})->status, 200);
  EXPECT_EQ(server_->stats().connections, 1U);
  while (server_->stats().connections_open > 0) {
    awaiting.io.restart();
    awaiting.io.poll();
    std::this_thread::yield();  // until the server has cut the idle connection
  }
  EXPECT_EQ(awaiting.call({"GET", "/v1/again", {}, ""})->status, 200);
  EXPECT_EQ(server_->stats().connections, 2U);
}

TEST_F(Https, LongPollIsWokenByName) {
  start();
  Result<HttpResponse> polled = fail(Code::kInternal, "not yet");
  std::thread poller([&] { polled = call(node("gw-1"), "POST", "/v1/poll"); });
  service_.parked.acquire();
  EXPECT_EQ(call(node("n"), "POST", "/v1/wake/gw-2")->status, 200);
  EXPECT_EQ(server_->stats().parked, 1U);
  EXPECT_EQ(call(node("n"), "POST", "/v1/wake/gw-1")->status, 200);
  poller.join();
  ASSERT_TRUE(polled.ok()) << polled.error().text;
  EXPECT_EQ(polled->body, "woken");
  EXPECT_EQ(server_->stats().parked, 0U);
}

TEST_F(Https, AnEmptyNameWakesAll) {
  start();
  std::vector<std::thread> pollers;
  for (const char* name : {"gw-1", "gw-2"})
    pollers.emplace_back([this, name] { EXPECT_EQ(call(node(name), "POST", "/v1/poll")->body, "woken"); });
  service_.parked.acquire();
  service_.parked.acquire();
  EXPECT_EQ(call(node("n"), "POST", "/v1/wake/")->status, 200);
  for (std::thread& poller : pollers) poller.join();
}

TEST_F(Https, ANewerLongPollOfTheSameNodeEndsTheOlder) {
  start();
  const TlsIdentity identity = node("gw-1");
  Result<HttpResponse> older = fail(Code::kInternal, "not yet");
  Result<HttpResponse> newer = fail(Code::kInternal, "not yet");
  std::thread first([&] { older = call(identity, "POST", "/v1/poll"); });
  service_.parked.acquire();
  std::thread second([&] { newer = call(identity, "POST", "/v1/poll"); });
  first.join();
  ASSERT_TRUE(older.ok());
  server_->stop();  // and a stopping server lets nobody hang
  second.join();
  ASSERT_TRUE(newer.ok()) << newer.error().text;
  EXPECT_EQ(newer->body, "woken");
}

// Group commit: what arrives while a transaction is under way shares the next one.
TEST_F(Https, ConcurrentCallsShareABatch) {
  start();
  const TlsIdentity identity = node("n");
  std::thread blocker([&] { EXPECT_TRUE(call(identity, "GET", "/v1/block").ok()); });
  service_.blocked.acquire();
  std::atomic<int> served = 0;
  std::vector<std::thread> callers;
  for (int i = 0; i < 8; ++i) callers.emplace_back([&] { served += call(identity, "GET", "/v1/x").ok(); });
  while (server_->stats().requests < 9) std::this_thread::yield();
  service_.unblock.release();
  for (std::thread& caller : callers) caller.join();
  blocker.join();
  EXPECT_EQ(served, 8);
  EXPECT_EQ(service_.largest_batch, 8U);
}

// L3: what does not fit in the queue is told when to come back.
TEST_F(Https, FullQueueAnswersRetryAfter) {
  start({.admission = {.queue_max = 2}});
  const TlsIdentity identity = node("n");
  std::thread blocker([&] { EXPECT_TRUE(call(identity, "GET", "/v1/block").ok()); });
  service_.blocked.acquire();
  std::vector<std::thread> callers;
  for (int i = 0; i < 2; ++i) callers.emplace_back([&] { EXPECT_EQ(call(identity, "GET", "/v1/x")->status, 200); });
  while (server_->stats().requests < 3) std::this_thread::yield();
  const auto refused = call(identity, "GET", "/v1/x");
  ASSERT_TRUE(refused.ok());
  EXPECT_EQ(refused->status, 503);
  EXPECT_EQ(find_header(refused->headers, "Retry-After"), "2");
  service_.unblock.release();
  for (std::thread& caller : callers) caller.join();
  blocker.join();
}

TEST_F(Https, DeadlineAndCancelEndAPendingCall) {
  start();
  Awaiting awaiting(endpoint_, node("gw-1"));
  const auto late = awaiting.call({"POST", "/v1/poll", {}, ""}, {.deadline_ms = 200});
  ASSERT_FALSE(late.ok());
  EXPECT_EQ(late.error().code, Code::kUnavailable);
  int calls_count = 0;
  awaiting.client.request({"POST", "/v1/poll", {}, ""}, {},
                          [&](Result<HttpResponse> result) { calls_count += !result.ok(); });
  EXPECT_TRUE(awaiting.client.busy());
  awaiting.client.cancel();
  awaiting.io.restart();
  awaiting.io.run();  // ends: nothing may be left pending
  EXPECT_EQ(calls_count, 1);
  EXPECT_EQ(awaiting.call({"GET", "/v1/x", {}, ""})->status, 200);
}

TEST(HttpsEndpoint, ReadsAddresses) {
  EXPECT_EQ(parse_endpoint("https://hub.local:7000/")->port, 7000);
  EXPECT_EQ(parse_endpoint("hub.local")->url(), "https://hub.local:7443");
  EXPECT_EQ(parse_endpoint("https://[::1]:7000")->host, "::1");
  EXPECT_NE(parse_endpoint("http://hub.local").error().text.find("plaintext"), std::string::npos);
  for (const char* bad : {"", "https://", "https://h:0", "https://h:70000", "https://h:x", "https://h/path", "ftp://h",
                          "https://[::1", "https://u@h"})
    EXPECT_FALSE(parse_endpoint(bad).ok()) << bad;
}

TEST(HttpsEndpoint, NobodyThereSaysWhatToDo) {
  const auto answer =
      https_call(Endpoint{"127.0.0.1", 1},
                 {CertificateAuthority::create("x", std::time(nullptr))->certificate_pem(), "", ""}, {}, {});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, Code::kUnavailable);
  EXPECT_NE(answer.error().text.find("waybill hub"), std::string::npos) << answer.error().text;
}

}  // namespace
}  // namespace wb::world
