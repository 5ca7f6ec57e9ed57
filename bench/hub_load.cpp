// The real hub under load, from outside: nodes enrolled through its own API, each on a kept-alive connection with
// mutual TLS. Figures: exchanges/s with records (every exchange brings ten), exchanges/s with reports only, connections
// that lie in a long poll at once, and the hub's memory for each. usage: wb_hub_load WAYBILL FOLDER IDLE_NODES
// ACTIVE_NODES SECONDS The hub runs on core 0, this program on core 1. The hub's CPU time is counted as well, so that a
// busy machine still tells what one core can do.
#include <sys/resource.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>

#include "base/bytes.h"
#include "bench/processes.h"
#include "wire/wire.h"
#include "world/https_client.h"
#include "world/pki.h"

namespace {

using namespace wb;
using namespace wb::bench;
namespace asio = boost::asio;

constexpr uint32_t kIdlePollMs = 600'000;
constexpr size_t kEnrolmentsAtOnce = 8;
constexpr size_t kConnectsAtOnce = 32;
constexpr int kRecordsPerExchange = 10;

template <class T>
T must(Result<T> result, const char* doing) {
  if (!result.ok()) give_up(std::string(doing) + ": " + result.error().text);
  return std::move(result).value();
}

world::HttpResponse must_200(Result<world::HttpResponse> result, const char* doing) {
  world::HttpResponse response = must(std::move(result), doing);
  if (response.status != 200 && response.status != 201)
    give_up(std::string(doing) + ": HTTP " + std::to_string(response.status) + " " + response.body.substr(0, 200));
  return response;
}

std::string between(const std::string& text, const std::string& before, const std::string& after) {
  const size_t from = text.find(before);
  if (from == std::string::npos) give_up("unexpected answer: " + text.substr(0, 200));
  return text.substr(from + before.size(), text.find(after, from + before.size()) - from - before.size());
}

struct Node {
  std::string id;
  world::TlsIdentity identity;
  std::unique_ptr<world::HttpsClient> client;
  uint64_t seq = 0;
  uint64_t boot = 1;
};

class Fleet {
 public:
  Fleet(world::Endpoint endpoint, const std::string& admin_folder) : endpoint_(std::move(endpoint)) {
    admin_.ca_pem = read_text(admin_folder + "/ca.pem");
    admin_.certificate_pem = read_text(admin_folder + "/cert.pem");
    admin_.key_pem = read_text(admin_folder + "/key.pem");
  }

  // A token and an enrolment for each, over a few kept-alive connections.
  void enrol(size_t count) {
    nodes_.resize(count);
    size_t next = 0;
    size_t done = 0;
    struct Desk {
      std::unique_ptr<world::HttpsClient> admin, anonymous;
      std::string key;
    };
    std::deque<Desk> desks(kEnrolmentsAtOnce);
    std::function<void(Desk&)> serve = [&](Desk& desk) {
      if (next == count) return;
      Node& node = nodes_[next++];
      desk.admin->request({"POST", "/v1/tokens", {{"content-type", "application/json"}}, "{}"}, {}, [&](auto token) {
        const std::string text = between(must_200(std::move(token), "make a token").body, "\"token\":\"wb1-", "-");
        node.identity.key_pem = must(world::make_p256_key_pem(), "make a key");
        wire::EnrolRequest request;
        request.set_token(text);
        request.set_csr_der(must(world::make_csr_der(node.identity.key_pem, "bench"), "make a request"));
        request.set_node_name("bench-" + std::to_string(&node - nodes_.data()));
        desk.anonymous->request({"POST", "/v1/enrol", {}, wire::encode(request)}, {}, [&](auto answer) {
          const auto response =
              must(wire::decode_enrol_response(must_200(std::move(answer), "enrol").body), "read the enrolment");
          node.id = response.node_id();
          node.identity.certificate_pem = response.certificate_pem();
          node.identity.ca_pem = response.ca_pem();
          ++done;
          serve(desk);
        });
      });
    };
    for (Desk& desk : desks) {
      desk.admin = std::make_unique<world::HttpsClient>(io_, endpoint_, admin_);
      desk.anonymous = std::make_unique<world::HttpsClient>(io_, endpoint_, world::TlsIdentity{admin_.ca_pem, "", ""});
      serve(desk);
    }
    io_.restart();
    io_.run();
    if (done != count) give_up("not all nodes were enrolled");
  }

  // Nodes [0, count) connect and stay in a long poll.
  void idle(size_t count) {
    size_t next = 0;
    size_t greeted = 0;
    std::function<void()> connect = [&] {
      if (next == count) return;
      Node& node = nodes_[next++];
      node.client = std::make_unique<world::HttpsClient>(io_, endpoint_, node.identity);
      node.client->request(exchange(node, 0, 0), {}, [&](auto answer) {
        must_200(std::move(answer), "connect");
        ++greeted;
        poll(node);
        connect();
      });
    };
    for (size_t i = 0; i < kConnectsAtOnce; ++i) connect();
    const double until = wall_s() + 300;
    while (greeted < count && wall_s() < until) turn(0.1);
    turn(2.0);
    if (greeted < count) give_up("not all nodes connected");
  }
  uint64_t cut() const { return cut_; }

  // Nodes [first, first + count) exchange as fast as they are answered. Returns how many were.
  uint64_t storm(size_t first, size_t count, int records, double seconds) {
    uint64_t done = 0;
    bool ended = false;
    std::function<void(Node&)> next = [&](Node& node) {
      node.client->request(exchange(node, records, 0), {}, [&](auto answer) {
        const auto response = must_200(std::move(answer), "exchange");
        if (records > 0) {
          const auto decoded = must(wire::decode_exchange_response(response.body), "read the answer");
          if (decoded.drained() || decoded.acks_size() == 0) give_up("records were not taken");
          node.seq = decoded.acks(0).through_seq();
        }
        ++done;
        if (!ended) next(node);
      });
    };
    for (size_t i = first; i < first + count; ++i) {
      if (!nodes_[i].client)
        nodes_[i].client = std::make_unique<world::HttpsClient>(io_, endpoint_, nodes_[i].identity);
      next(nodes_[i]);
    }
    turn(seconds);
    ended = true;
    const uint64_t counted = done;
    turn(2.0);  // what is on the air comes back
    return counted;
  }
  // Handshakes done before anything is measured.
  void warm(size_t first, size_t count) { (void)storm(first, count, 0, 1.0); }

  void turn(double seconds) {
    io_.restart();
    io_.run_for(std::chrono::microseconds(static_cast<int64_t>(seconds * 1e6)));
  }

 private:
  // The hub answers a long poll in its own time, news or not; then the node asks again, as an agent does.
  void poll(Node& node) {
    node.client->request(exchange(node, 0, kIdlePollMs), {.deadline_ms = kIdlePollMs}, [this, &node](auto answer) {
      if (answer.ok() && answer->status == 200) return poll(node);
      ++cut_;
    });
  }
  world::HttpRequest exchange(Node& node, int records, uint32_t long_poll_ms) const {
    wire::ExchangeRequest request;
    request.set_protocol(limits::kProtocol);
    request.set_agent_version("bench");
    request.set_incarnation(std::string(16, 'i'));
    request.set_boot(node.boot);
    request.set_long_poll_ms(long_poll_ms);
    wire::Reported& reported = *request.mutable_reported();
    reported.set_running_digest(std::string(64, 'a'));
    reported.set_running_name("bench@1");
    wire::ScoreSketch& sketch = *reported.mutable_running_sketch();
    for (int i = 0; i < 20; ++i) sketch.add_confidence_bins(static_cast<uint64_t>(i));
    for (int i = 0; i < 20; ++i) sketch.add_novelty_bins(static_cast<uint64_t>(i));
    for (int i = 0; i < 7; ++i) sketch.add_labels("class-" + std::to_string(i)), sketch.add_label_counts(1'000);
    sketch.set_records(7'000);
    request.mutable_counters()->set_records_in(node.seq * 100);
    request.mutable_counters()->set_records_scored(node.seq * 100);
    if (records > 0) add_records(request, node, records);
    return {"POST", "/v1/exchange", {{"content-type", "application/x-protobuf"}}, wire::encode(request)};
  }
  static void add_records(wire::ExchangeRequest& request, const Node& node, int records) {
    Schema schema;
    for (int i = 1; i <= 9; ++i) schema.fields.push_back({"V" + std::to_string(i), ColumnType::kNumber});
    *request.add_schemas() = wire::to_wire(schema);
    wire::StreamUp& stream = *request.add_streams();
    stream.set_lane(static_cast<uint32_t>(Lane::kLive));
    stream.set_after_seq(node.seq);
    stream.set_through_seq(node.seq + static_cast<uint64_t>(records));
    for (int i = 1; i <= records; ++i) {
      wire::RecordUp& record = *stream.add_records();
      record.set_seq(node.seq + static_cast<uint64_t>(i));
      record.set_pipeline("bench");
      record.set_schema(schema.id());
      record.set_event_time_ms(1'700'000'000'000 + static_cast<int64_t>(record.seq()));
      record.set_rule(static_cast<uint32_t>(Rule::kLowConfidence));
      record.set_inclusion_probability(1);
      for (int k = 0; k < 9; ++k) record.add_numbers(k * 10.5);
      record.mutable_verdict()->set_label("class-1");
      record.mutable_verdict()->set_confidence(0.5F);
    }
  }

  world::Endpoint endpoint_;
  world::TlsIdentity admin_;
  asio::io_context io_{1};
  std::vector<Node> nodes_;
  uint64_t cut_ = 0;
};

std::string wait_for_hub(const Process& hub, const std::string& folder) {
  const double until = wall_s() + 20;
  while (wall_s() < until && hub.alive()) {
    const std::string url(trim(read_text(folder + "/hub_url")));
    if (!url.empty() && !read_text(folder + "/admin/key.pem").empty()) return url;
    ::usleep(10'000);
  }
  give_up("the hub did not start: see " + folder + ".log");
}

void measure(Fleet& fleet, const Process& hub, const std::string& name, size_t first, size_t count, int records,
             double seconds) {
  const double cpu = hub.cpu_s();
  const double own = own_cpu_s();
  const uint64_t done = fleet.storm(first, count, records, seconds);
  // storm() lets the last answers come back; they are few against what was counted.
  const double cpu_s = hub.cpu_s() - cpu;
  figure(name + ".per_s", static_cast<double>(done) / seconds);
  figure(name + ".per_cpu_s", static_cast<double>(done) / cpu_s);
  figure(name + ".load_generator_core_share", (own_cpu_s() - own) / seconds);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) give_up("usage: wb_hub_load WAYBILL FOLDER IDLE_NODES ACTIVE_NODES SECONDS");
  const std::string folder = argv[2];
  const auto idle = static_cast<size_t>(std::atoi(argv[3]));
  const auto active = static_cast<size_t>(std::atoi(argv[4]));
  const double seconds = std::atof(argv[5]);
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < idle + active + 100) give_up("ulimit -n allows too few connections");
  std::filesystem::remove_all(folder);
  pin_to_core(1);
  const Process hub({argv[1], "hub", "--data-dir", folder, "--listen", "127.0.0.1:0"}, 0, folder + ".log");
  Fleet fleet(must(world::parse_endpoint(wait_for_hub(hub, folder)), "read hub_url"), folder + "/admin");

  const double enrol_start = wall_s();
  fleet.enrol(idle + active);
  figure("hub.enrolments_per_s", static_cast<double>(idle + active) / (wall_s() - enrol_start));
  fleet.warm(idle, active);
  measure(fleet, hub, "hub.report", idle, active, 0, seconds);
  measure(fleet, hub, "hub.records", idle, active, kRecordsPerExchange, seconds);

  const double before_kib = hub.pss_kib();
  fleet.idle(idle);
  const double idle_cpu = hub.cpu_s();
  fleet.turn(5);
  figure("hub.idle_connections", static_cast<double>(idle - fleet.cut()));
  figure("hub.idle_core_share", (hub.cpu_s() - idle_cpu) / 5);
  figure("hub.pss_mib", hub.pss_kib() / 1'024);
  figure("hub.kib_per_connection", (hub.pss_kib() - before_kib) / static_cast<double>(idle));
  measure(fleet, hub, "hub.report_beside_idle", idle, active, 0, seconds);
  figure("hub.idle_connections_after", static_cast<double>(idle - fleet.cut()));
  return 0;
}
