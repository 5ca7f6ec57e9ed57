// The HTTP surface: who may do what, the shape of every error, retries, ranges, exports.
#include "hub/api/http.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/memory_rows.h"
#include "base/signature.h"
#include "hub/api/audit.h"
#include "hub/api/dataset.h"

namespace wb::hub {
namespace {

using nlohmann::json;
const std::string kSeed(32, 'k');

class Http : public testing::Test {
 protected:
  Response send(const Caller& caller, const std::string& method, const std::string& target,
                const std::string& body = "", std::map<std::string, std::string, std::less<>> headers = {}) {
    const size_t mark = std::min(target.find('?'), target.size());
    Request request{
        method, target.substr(0, mark), mark == target.size() ? "" : target.substr(mark + 1), std::move(headers), body,
        entropy};
    for (char& c : entropy) ++c;
    return handle(hub, rows, now, caller, request);
  }
  Response admin(const std::string& method, const std::string& target, const std::string& body = "",
                 std::map<std::string, std::string, std::less<>> headers = {}) {
    return send({Caller::Kind::kAdmin, "ada", "01"}, method, target, body, std::move(headers));
  }
  json get(const std::string& target) {
    const Response response = admin("GET", target);
    EXPECT_EQ(response.status, 200) << target << ": " << response.body;
    return json::parse(response.body);
  }
  Caller node(const std::string& id) { return {Caller::Kind::kNode, id, "serial-" + id}; }
  void enrol(const std::string& name) {
    const Response token = admin("POST", "/v1/tokens", R"({"lifetime": "5m", "labels": {"site": "lyon"}})");
    ASSERT_EQ(token.status, 201) << token.body;
    wire::EnrolRequest request;
    request.set_token(json::parse(token.body)["secret"].get<std::string>());
    request.set_csr_der("csr-" + name);
    request.set_node_name(name);
    const Response asked = send({}, "POST", "/v1/enrol", wire::encode(request));
    ASSERT_TRUE(asked.issue) << asked.body;
    const Response done = finish_enrol(hub, rows, now, *asked.issue, "serial-" + name, "cert", "ca");
    ASSERT_EQ(done.status, 200);
    EXPECT_EQ(send({}, "POST", "/v1/enrol", wire::encode(request)).body, done.body);  // H2
  }
  Bytes artifact(const std::string& version, size_t size = 10) {
    wire::ReleaseContent content;
    content.manifest.set_name("pump");
    content.manifest.set_version(version);
    content.contents = {{"pipeline.yaml", std::string(size, 'p')}};
    return *wire::build_release(content, kSeed);
  }
  void trust() {
    const std::string body = json{{"public_key", hex_encode(*ed25519_public_key(kSeed))}, {"name", "ci"}}.dump();
    ASSERT_EQ(admin("POST", "/v1/keys", body).status, 200);
  }
  wire::ExchangeResponse exchange(const std::string& id, const wire::ExchangeRequest& request) {
    now.unix_ms += 1'000;
    const Response response = send(node(id), "POST", "/v1/exchange", wire::encode(request));
    EXPECT_EQ(response.status, 200) << response.body;
    return *wire::decode_exchange_response(response.body);
  }
  static wire::ExchangeRequest contact_of() {
    wire::ExchangeRequest request;
    request.set_incarnation(std::string(16, 'i'));
    request.mutable_reported();
    return request;
  }
  void send_records(const std::string& id) {
    auto request = contact_of();
    const Schema schema{{{"temp", ColumnType::kNumber}, {"node", ColumnType::kText}}};
    *request.add_schemas() = wire::to_wire(schema);
    wire::StreamUp* live = request.add_streams();
    live->set_lane(2);
    live->set_through_seq(3);
    for (uint64_t seq = 1; seq <= 3; ++seq) {
      wire::RecordUp* record = live->add_records();
      record->set_seq(seq);
      record->set_pipeline("shuttle");
      record->set_release("d1");
      record->set_schema(schema.id());
      record->set_event_time_ms(1'700'000'000'000 + static_cast<int64_t>(seq) * 1'000);
      record->set_taken_unix_ms(1'700'000'000'500);
      record->set_rule(1);
      record->set_inclusion_probability(0.5);
      record->add_numbers(seq == 2 ? std::numeric_limits<double>::quiet_NaN() : 1.5 * static_cast<double>(seq));
      record->add_texts(seq == 3 ? "a,\"b\"" : "unit");
      record->mutable_verdict()->set_label("5");
      record->mutable_verdict()->set_confidence(0.75F);
    }
    wire::StreamUp* dead = request.add_streams();
    dead->set_lane(4);
    dead->set_through_seq(1);
    wire::RecordUp* record = dead->add_records();
    record->set_seq(1);
    record->set_pipeline("shuttle");
    record->set_rule(6);
    record->set_inclusion_probability(1);
    record->set_raw("{bro\nken\xff");
    record->set_reason("not JSON");
    const auto response = exchange(id, request);
    ASSERT_EQ(response.acks_size(), 2);
  }

  MemoryRows rows;
  Moment now{{0}, 1'700'000'100'000};
  std::string entropy = std::string(32, 'a');
  Hub hub{HubConfig{.ca_pin = "0123456789abcdef0123456789abcdef"}};
};

TEST_F(Http, EachCallerMayOnlyDoItsOwn) {
  enrol("n1");
  const Caller anonymous;
  EXPECT_EQ(send(anonymous, "GET", "/ping").status, 200);
  EXPECT_EQ(send(anonymous, "GET", "/ready").status, 200);
  for (const char* path : {"/v1/nodes", "/v1/exchange", "/v1/artifacts/x", "/v1/tokens"}) {
    EXPECT_EQ(send(anonymous, "GET", path).status, 401) << path;
  }
  for (const char* path : {"/v1/nodes", "/v1/fleet", "/v1/rollouts", "/v1/datasets", "/v1/audit", "/v1/tokens"}) {
    EXPECT_EQ(send(node("n1"), "GET", path).status, 403) << path;
  }
  EXPECT_EQ(admin("POST", "/v1/exchange", wire::encode(contact_of())).status, 403);
  EXPECT_EQ(send({Caller::Kind::kNode, "n1", "stolen"}, "POST", "/v1/exchange", wire::encode(contact_of())).status,
            403);
  EXPECT_EQ(send(node("n2"), "GET", "/v1/artifacts/x").status, 403);
}

TEST_F(Http, AnErrorSaysWhatAndWhatNext) {
  const auto error = [](const Response& response) { return json::parse(response.body)["error"]; };
  const Response misspelt = admin("POST", "/v1/rollouts", R"({"relaese": "pump@1"})");
  EXPECT_EQ(misspelt.status, 400);
  EXPECT_EQ(error(misspelt)["message"], "unknown key 'relaese'");
  EXPECT_EQ(error(misspelt)["next"], "did you mean 'release'?");
  EXPECT_EQ(error(admin("GET", "/v1/nodes/n9"))["next"], "`waybill node list` shows them");
  EXPECT_EQ(admin("GET", "/v1/nodes/n9").status, 404);
  EXPECT_EQ(admin("GET", "/v1/nothing").status, 404);
  EXPECT_EQ(admin("GET", "/").status, 404);
  EXPECT_EQ(admin("GET", "").status, 404);
  EXPECT_EQ(admin("DELETE", "/v1/nodes").status, 405);
  EXPECT_EQ(admin("POST", "/v1/rollouts", "[]").status, 400);
  EXPECT_EQ(admin("POST", "/v1/rollouts", "{\"release\": \"\xff\"}").status, 400);
  EXPECT_EQ(admin("POST", "/v1/rollouts", R"({"release": "pump@1", "waves": ["x"]})").status, 400);
  EXPECT_EQ(admin("POST", "/v1/rollouts", R"({"release": "pump@1", "probation_records": 18446744073709551615})").status,
            400);
  EXPECT_EQ(admin("GET", "/v1/nodes?selector=site%3D").status, 400);
  EXPECT_EQ(admin("GET", "/v1/nodes?limmit=3").status, 400);
  EXPECT_EQ(send({}, "POST", "/v1/enrol", "\xff\xff").status, 400);
  wire::EnrolRequest guess;
  guess.set_token("guess");
  EXPECT_EQ(send({}, "POST", "/v1/enrol", wire::encode(guess)).status, 403);
}

// What is refused leaves nothing behind, so that calls may share a transaction.
TEST_F(Http, ARefusedCallWritesNothing) {
  enrol("n1");
  trust();
  const uint64_t writes = rows.writes_count;
  (void)admin("POST", "/v1/releases", "junk");
  (void)admin("POST", "/v1/rollouts", R"({"release": "pump@9"})");
  (void)admin("PATCH", "/v1/nodes/n1/labels", R"({"a": "b", "node": "x"})");
  (void)admin("POST", "/v1/rollouts/r1/pause");
  (void)send({Caller::Kind::kNode, "n1", "stolen"}, "POST", "/v1/exchange", wire::encode(contact_of()));
  EXPECT_EQ(rows.writes_count, writes);
}

TEST_F(Http, AReleaseIsPushedShownAndFetchedByRange) {
  enrol("n1");
  const Bytes bytes = artifact("1", 600'000);
  EXPECT_EQ(admin("POST", "/v1/releases", bytes).status, 403);  // no key trusted yet
  trust();
  const Response pushed = admin("POST", "/v1/releases", bytes);
  ASSERT_EQ(pushed.status, 201) << pushed.body;
  EXPECT_EQ(admin("POST", "/v1/releases", bytes).status, 200);
  EXPECT_EQ(admin("POST", "/v1/releases", artifact("1", 11)).status, 409);
  const std::string digest = json::parse(pushed.body)["digest"];
  EXPECT_EQ(get("/v1/releases/pump@1")["digest"], digest);
  EXPECT_EQ(get("/v1/releases/pump%401")["digest"], digest);
  EXPECT_EQ(get("/v1/releases")["releases"].size(), 1U);
  const std::string path = "/v1/artifacts/" + digest;
  std::string got;
  while (got.size() < bytes.size()) {
    const Response part = send(node("n1"), "GET", path, "", {{"range", "bytes=" + std::to_string(got.size()) + "-"}});
    ASSERT_EQ(part.status, 206) << part.body;
    got += part.body;
  }
  EXPECT_EQ(got, bytes);
  EXPECT_EQ(send(node("n1"), "GET", path, "", {{"range", "bytes=3-5"}}).body, bytes.substr(3, 3));
  EXPECT_EQ(send(node("n1"), "GET", path, "", {{"range", "bytes=900000-"}}).status, 416);
  EXPECT_EQ(send(node("n1"), "GET", path, "", {{"range", "bytes=5-3"}}).status, 400);
  EXPECT_EQ(send(node("n1"), "GET", path).status, 400);
  EXPECT_EQ(send(node("n1"), "GET", "/v1/artifacts/abc", "", {{"range", "bytes=0-"}}).status, 404);
}

TEST_F(Http, ARolloutIsPlannedStartedFollowedAndStopped) {
  enrol("n1");
  enrol("n2");
  (void)exchange("n1", contact_of());
  trust();
  ASSERT_EQ(admin("POST", "/v1/releases", artifact("1")).status, 201);
  const json plan =
      json::parse(admin("POST", "/v1/rollouts/plan", R"({"release": "pump@1", "selector": "site=lyon"})").body);
  EXPECT_EQ(plan["matching"], 2);
  EXPECT_EQ(plan["reachable"], 1);
  EXPECT_EQ(plan["waves"][3]["nodes"], 2);
  // H2: the retry of a start is the same rollout.
  const std::string spec = R"({"release": "pump@1", "selector": "site=lyon", "waves": [50, 100], "dark_after": "10m"})";
  const Response started = admin("POST", "/v1/rollouts", spec, {{"idempotency-key", "k1"}});
  ASSERT_EQ(started.status, 201) << started.body;
  const Response again = admin("POST", "/v1/rollouts", spec, {{"idempotency-key", "k1"}});
  EXPECT_EQ(again.body, started.body);
  EXPECT_EQ(admin("POST", "/v1/rollouts", "{}", {{"idempotency-key", "k1"}}).status, 422);
  EXPECT_EQ(admin("POST", "/v1/rollouts", spec).status, 409);  // without the key it is another one
  EXPECT_EQ(get("/v1/rollouts")["rollouts"].size(), 1U);
  EXPECT_EQ(exchange("n1", contact_of()).desired().name(), "pump@1");
  const json shown = get("/v1/rollouts/r1");
  EXPECT_EQ(shown["state"], "running");
  EXPECT_EQ(shown["exposed"], 1);
  EXPECT_EQ(shown["nodes"][0]["state"], "exposed");
  EXPECT_EQ(json::parse(admin("POST", "/v1/rollouts/r1/pause").body)["state"], "paused");
  EXPECT_EQ(json::parse(admin("POST", "/v1/rollouts/r1/resume").body)["state"], "running");
  EXPECT_EQ(json::parse(admin("POST", "/v1/rollouts/r1/promote").body)["wave"], 2);
  EXPECT_EQ(json::parse(admin("POST", "/v1/rollouts/r1/abort", R"({"rollback": true})").body)["state"], "aborted");
  EXPECT_EQ(admin("POST", "/v1/rollouts/r1/explode").status, 404);
  EXPECT_EQ(get("/v1/track/release/pump@1")["rollouts"].size(), 1U);
  EXPECT_EQ(first_broken_audit(rows), std::nullopt);  // H4
}

TEST_F(Http, ANodeIsShownWithTheAgeOfEveryNumber) {
  enrol("n1");
  enrol("n2");
  auto request = contact_of();
  request.mutable_counters()->set_records_in(77);
  request.mutable_reported()->set_phase(wire::DEPLOY_PROBATION);
  (void)exchange("n1", request);
  now.unix_ms += 5'000;
  const json n1 = get("/v1/nodes/n1");
  EXPECT_EQ(n1["heard"], "now");
  EXPECT_EQ(n1["last_contact_age_ms"], 5'000);
  EXPECT_EQ(n1["counters"]["records_in"], 77);
  EXPECT_EQ(n1["phase"], "probation");
  EXPECT_EQ(get("/v1/nodes/n2")["heard"], "never");
  EXPECT_EQ(get("/v1/nodes/n2")["last_contact_age_ms"], nullptr);
  const Response labelled = admin("PATCH", "/v1/nodes/n1/labels", R"({"battery": "true", "site": null})");
  EXPECT_EQ(json::parse(labelled.body)["labels"], (json{{"battery", "true"}, {"node", "n1"}}));
  EXPECT_EQ(get("/v1/nodes?selector=battery")["nodes"].size(), 1U);
  const json page = get("/v1/nodes?limit=1");
  EXPECT_EQ(page["next_cursor"], "n1");
  EXPECT_EQ(get("/v1/nodes?limit=1&cursor=n1")["nodes"][0]["id"], "n2");
  const json fleet = get("/v1/fleet");
  EXPECT_EQ(fleet["heard"], (json{{"now", 1}, {"earlier", 0}, {"never", 1}}));
  EXPECT_EQ(fleet["counters"]["records_in"], 77);
  const std::string metrics = send({}, "GET", "/metrics").body;
  EXPECT_NE(metrics.find("waybill_nodes{heard=\"never\"} 1\n"), std::string::npos) << metrics;
  EXPECT_NE(metrics.find("waybill_node_records_in 77\n"), std::string::npos);
  EXPECT_EQ(get("/v1/track/node/n1")["events"][0]["kind"], "enrolled");
  EXPECT_EQ(admin("POST", "/v1/nodes/n1/revoke").status, 200);
  EXPECT_EQ(send(node("n1"), "POST", "/v1/exchange", wire::encode(request)).status, 403);  // I4
}

TEST_F(Http, ALabelThatNobodyHasIsRefusedWithTheNearest) {
  EXPECT_TRUE(get("/v1/nodes?selector=sit%3Dlyon")["nodes"].empty()) << "nobody has any label yet";
  enrol("n1");
  EXPECT_EQ(get("/v1/nodes?selector=site%3Doslo")["nodes"].size(), 0U);
  const Response refused = admin("GET", "/v1/nodes?selector=sit%3Dlyon");
  EXPECT_EQ(refused.status, 400);
  EXPECT_NE(refused.body.find("no node has a label 'sit'"), std::string::npos) << refused.body;
  EXPECT_NE(refused.body.find("did you mean 'site'?"), std::string::npos) << refused.body;
}

// Why nothing moves: what a node that was told waits for, and who is not told because it refused this release before.
TEST_F(Http, ARolloutShowsWhatItsNodesWaitForAndWhoRefuses) {
  enrol("n1");
  enrol("n2");
  trust();
  const Response pushed = admin("POST", "/v1/releases", artifact("1"));
  ASSERT_EQ(pushed.status, 201) << pushed.body;
  const std::string digest = json::parse(pushed.body)["digest"].get<std::string>();
  auto refusing = contact_of();
  auto* bad = refusing.mutable_reported()->add_quarantined();
  bad->set_digest(digest);
  bad->set_error_code("DEPLOY_REJECTED/SIGNATURE");
  bad->set_reason("no pinned key");
  (void)exchange("n2", refusing);
  (void)exchange("n1", contact_of());
  const std::string body = R"({"release": "pump@1", "selector": "site=lyon", "waves": [100]})";
  ASSERT_EQ(admin("POST", "/v1/rollouts", body).status, 201);
  now.unix_ms += 1'000;
  hub.tick(rows, now);
  auto waiting = contact_of();
  waiting.mutable_reported()->set_waiting_for("probation: no records scored yet");
  (void)exchange("n1", waiting);
  (void)exchange("n2", refusing);
  const json nodes = get("/v1/rollouts/r1")["nodes"];
  ASSERT_EQ(nodes.size(), 2U) << nodes.dump(2);
  EXPECT_EQ(nodes[0]["node"], "n1");
  EXPECT_EQ(nodes[0]["waiting_for"], "probation: no records scored yet");
  EXPECT_EQ(nodes[1]["node"], "n2");
  EXPECT_EQ(nodes[1]["state"], "refuses");
  EXPECT_EQ(nodes[1]["error_code"], "DEPLOY_REJECTED/SIGNATURE");
  EXPECT_EQ(get("/v1/rollouts/r1")["pending"], 1);
  ASSERT_EQ(admin("POST", "/v1/rollouts/r1/abort").status, 200);
  EXPECT_EQ(get("/v1/rollouts/r1")["pending"], 0) << "of one that is over, nobody goes on trying";
  const json track = get("/v1/track/release/pump@1");
  EXPECT_EQ(track["nodes"], 2);
  EXPECT_EQ(track["nodes_refusing"], 1);
}

TEST_F(Http, RecordsComeOutWithTheirWaybill) {  // B1
  enrol("n1");
  send_records("n1");
  const Response csv = admin("GET", "/v1/datasets/shuttle?format=csv");
  const std::string schema = Schema{{{"temp", ColumnType::kNumber}, {"node", ColumnType::kText}}}.id();
  EXPECT_EQ(csv.body,
            "node,pipeline,release,schema,event_time,rule,inclusion_probability,seq,lane,label,score,confidence,"
            "novelty,temp,value.node\n"
            "n1,shuttle,d1," +
                schema +
                ",2023-11-14T22:13:21.000Z,anomaly,0.5,1,live,5,0,0.75,0,1.5,unit\n"
                "n1,shuttle,d1," +
                schema +
                ",2023-11-14T22:13:22.000Z,anomaly,0.5,2,live,5,0,0.75,0,,unit\n"
                "n1,shuttle,d1," +
                schema + ",2023-11-14T22:13:23.000Z,anomaly,0.5,3,live,5,0,0.75,0,4.5,\"a,\"\"b\"\"\"\n");
  // In pages, and as JSON that always parses.
  std::string cursor;
  std::vector<json> lines;
  for (int pages = 0; pages < 10; ++pages) {
    const Response page = admin("GET", "/v1/datasets/shuttle?format=ndjson&limit=1&cursor=" + cursor);
    ASSERT_EQ(page.status, 200);
    std::istringstream text(page.body);
    for (std::string line; std::getline(text, line);) lines.push_back(json::parse(line));
    cursor = page.headers[0].second;
    if (cursor.empty()) break;
  }
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[1]["temp"], nullptr);
  EXPECT_EQ(lines[2]["value.node"], "a,\"b\"");
  const json dead = json::parse(admin("GET", "/v1/datasets/shuttle?lane=dead_letter").body);
  EXPECT_EQ(dead["raw"], "{bro\nken\xef\xbf\xbd");
  EXPECT_EQ(dead["reason"], "not JSON");
  const auto count = [&](const std::string& query) {
    const std::string body = admin("GET", "/v1/datasets/shuttle?" + query).body;
    return std::count(body.begin(), body.end(), '\n');
  };
  EXPECT_EQ(count("since=2023-11-14T22:13:22Z"), 2);
  EXPECT_EQ(count("until=1700000002000"), 1);
  EXPECT_EQ(count("node=n2"), 0);
  EXPECT_EQ(get("/v1/datasets")["datasets"][0]["records"], 4);
  EXPECT_EQ(admin("GET", "/v1/datasets/shutle").status, 404);
  EXPECT_EQ(admin("GET", "/v1/datasets/shuttle?since=yesterday").status, 400);
  EXPECT_EQ(admin("GET", "/v1/datasets/shuttle?cursor=zz").status, 400);
  const json record = get("/v1/track/record/n1:live:3");
  EXPECT_EQ(record["rule"], "anomaly");
  EXPECT_EQ(record["stops"].size(), 4U);
  EXPECT_EQ(record["stops"][3]["time_ms"], now.unix_ms);
  EXPECT_EQ(admin("GET", "/v1/track/record/n1:live:99").status, 404);
  EXPECT_EQ(admin("GET", "/v1/track/record/n1-3").status, 400);
}

TEST(Times, AreReadAndWritten) {
  for (const int64_t ms :
       {INT64_C(0), INT64_C(951'827'696'789), INT64_C(1'700'000'000'123), INT64_C(4'102'444'799'999), INT64_C(-1)})
    EXPECT_EQ(*parse_time(format_time(ms), 0), ms) << format_time(ms);
  EXPECT_EQ(format_time(951'827'696'789), "2000-02-29T12:34:56.789Z");
  EXPECT_EQ(*parse_time("2023-11-14", 0), INT64_C(1'699'920'000'000));
  EXPECT_EQ(*parse_time("7d", 700'000'000), 700'000'000 - 604'800'000);
  EXPECT_FALSE(parse_time("2023-13-01", 0).ok());
  EXPECT_FALSE(parse_time("2023-11-14T25:00:00Z", 0).ok());
  EXPECT_FALSE(parse_time("2023-11-14T22:13:21.Z", 0).ok());
}

// The description names exactly the paths that there are.
TEST_F(Http, EveryPathOfTheDescriptionIsServed) {
  std::ifstream file(WB_SOURCE_DIR "/api/openapi.yaml");
  ASSERT_TRUE(file.good());
  std::string path;
  int operations = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("  /") && line.ends_with(":")) path = line.substr(2, line.size() - 3);
    for (const std::string method : {"get", "post", "patch"}) {
      if (path.empty() || line != "    " + method + ":") continue;
      std::string concrete;
      for (size_t i = 0; i < path.size(); ++i) {
        if (path[i] == '{')
          i = path.find('}', i), concrete += "x";
        else
          concrete += path[i];
      }
      std::string upper = method;
      for (char& c : upper) c = static_cast<char>(c - 'a' + 'A');
      const Caller caller = path == "/v1/exchange" ? node("n1") : Caller{Caller::Kind::kAdmin, "ada", "01"};
      const Response response = send(caller, upper, concrete);
      EXPECT_NE(response.status, 405) << method << ' ' << path;
      EXPECT_EQ(response.body.find("there is nothing at"), std::string::npos) << method << ' ' << path;
      ++operations;
    }
    if (!line.empty() && line[0] != ' ' && line != "paths:") path.clear();
  }
  EXPECT_GE(operations, 28);
}

}  // namespace
}  // namespace wb::hub
