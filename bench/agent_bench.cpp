// The real agent, from outside, over its local HTTP API. Figures: time from start to the first scored row, memory while
// it scores 1,000 records/s, and how many records/s it scores when the producer never pauses. usage: wb_agent_bench
// NAME AGENT PIPELINE.yaml WORK_FOLDER SHUTTLE.csv SECONDS [start] [memory] [flood] The agent runs on core 0, this
// program on core 1.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <mutex>
#include <thread>

#include "base/bytes.h"
#include "bench/shuttle_rows.h"

namespace {

using namespace wb;
using namespace wb::bench;

// A keep-alive HTTP/1.1 connection that sends one request and waits for its answer.
class Connection {
 public:
  Connection(uint16_t port, std::string token) : token_(std::move(token)) {
    fd_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) give_up("cannot connect to the agent");
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() { ::close(fd_); }

  int post(const std::string& body) {
    std::string request = "POST /v1/records HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + token_ +
                          "\r\nContent-Type: application/x-ndjson\r\nContent-Length: " + std::to_string(body.size()) +
                          "\r\n\r\n";
    request += body;
    for (size_t sent = 0; sent < request.size();) {
      const ssize_t part = ::send(fd_, request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
      if (part <= 0) give_up("the agent closed the connection");
      sent += static_cast<size_t>(part);
    }
    std::string answer;
    while (true) {  // until the whole answer is there
      char buffer[4'096];
      const ssize_t got = ::recv(fd_, buffer, sizeof buffer, 0);
      if (got <= 0) give_up("the agent closed the connection");
      answer.append(buffer, static_cast<size_t>(got));
      const size_t head = answer.find("\r\n\r\n");
      const size_t length = answer.find("Content-Length: ");
      if (head == std::string::npos || length == std::string::npos) continue;
      if (answer.size() >= head + 4 + std::stoul(answer.substr(length + 16))) return std::stoi(answer.substr(9, 3));
    }
  }

 private:
  int fd_ = -1;
  std::string token_;
};

struct Place {
  std::string agent;
  std::string pipeline;
  std::string folder;
};

// The agent with its data folder, on a disk that bears whatever is written; connected as soon as it says where it
// listens.
struct Running {
  explicit Running(const Place& place)
      : process({place.agent, "run", "--data-dir", place.folder, "--pipeline", place.pipeline, "--listen-port", "0",
                 "--flash-per-day", "0"},
                0, place.folder + ".log") {}
  Process process;
  uint16_t port = 0;
  std::string token;

  void wait_until_it_listens(const std::string& folder) {
    const double until = wall_s() + 20;
    while (wall_s() < until && process.alive()) {
      const std::string url = read_text(folder + "/local_url");
      token = std::string(trim(read_text(folder + "/local_token")));
      if (url.ends_with('\n') && !token.empty()) {
        port = static_cast<uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
        return;
      }
      ::usleep(500);
    }
    give_up("the agent did not start: see " + folder + ".log");
  }
};

std::string one_row(const std::string& body) { return body.substr(0, body.find('\n') + 1); }

// A new data folder each time: the slowest way to start, for the store has to be made.
void start_to_first_score(const std::string& name, const Place& place, ShuttleBodies& bodies) {
  std::vector<double> took_ms;
  std::vector<double> cpu_ms;
  const std::string row = one_row(bodies.body(0));
  for (int i = 0; i < 9; ++i) {
    std::filesystem::remove_all(place.folder);
    const double start = wall_s();
    Running agent(place);
    agent.wait_until_it_listens(place.folder);
    Connection connection(agent.port, agent.token);
    while (connection.post(row) != 200) ::usleep(500);
    took_ms.push_back((wall_s() - start) * 1e3);
    cpu_ms.push_back(agent.process.cpu_s() * 1e3);
  }
  std::sort(took_ms.begin(), took_ms.end());
  std::sort(cpu_ms.begin(), cpu_ms.end());
  figure(name + ".start_ms_median", took_ms[took_ms.size() / 2]);
  figure(name + ".start_ms_worst", took_ms.back());
  figure(name + ".start_cpu_ms_median", cpu_ms[cpu_ms.size() / 2]);
}

void memory_at_1000_per_s(const std::string& name, Running& agent, ShuttleBodies& bodies, double seconds) {
  Connection connection(agent.port, agent.token);
  double most_kib = 0;
  const double cpu = agent.process.cpu_s();
  const double start = wall_s();
  uint64_t n = 0;
  for (; wall_s() - start < seconds; ++n) {
    if (connection.post(bodies.body(n)) != 200) give_up("the agent refused rows");
    most_kib = std::max(most_kib, agent.process.pss_kib());
    const double pause = start + static_cast<double>(n + 1) - wall_s();
    if (pause > 0) ::usleep(static_cast<useconds_t>(pause * 1e6));
  }
  figure(name + ".pss_mib", most_kib / 1'024);
  figure(name + ".rss_mib", agent.process.rss_kib() / 1'024);
  figure(name + ".cpu_percent_at_1000", (agent.process.cpu_s() - cpu) / (wall_s() - start) * 100);
}

void flood(const std::string& name, Running& agent, ShuttleBodies& bodies, uint64_t first, double seconds) {
  constexpr int kProducers = 2;
  std::mutex mutex;
  uint64_t next = first;
  std::atomic<uint64_t> done = 0;
  std::atomic<uint64_t> busy = 0;
  const double cpu = agent.process.cpu_s();
  const double start = wall_s();
  std::vector<std::thread> producers;
  for (int i = 0; i < kProducers; ++i)
    producers.emplace_back([&] {
      Connection connection(agent.port, agent.token);
      while (wall_s() - start < seconds) {
        std::string body;
        {
          const std::lock_guard lock(mutex);
          body = bodies.body(next++);
        }
        const int status = connection.post(body);
        if (status == 200) ++done;
        if (status == 503) ++busy, ::usleep(10'000);
        if (status != 200 && status != 503) give_up("the agent answered " + std::to_string(status));
      }
    });
  for (std::thread& producer : producers) producer.join();
  const double took_s = wall_s() - start;
  const double cpu_s = agent.process.cpu_s() - cpu;
  const double rows = static_cast<double>(done * kRowsPerBody);
  figure(name + ".http_records_per_s", rows / took_s);
  figure(name + ".http_records_per_cpu_s", rows / cpu_s);
  figure(name + ".http_busy", static_cast<double>(busy));
  figure(name + ".pss_mib_after_flood", agent.process.pss_kib() / 1'024);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 8)
    give_up("usage: wb_agent_bench NAME AGENT PIPELINE.yaml FOLDER SHUTTLE.csv SECONDS [start|memory|flood]…");
  const std::string name = argv[1];
  const Place place{argv[2], argv[3], argv[4]};
  const double seconds = std::atof(argv[6]);
  const std::vector<std::string> wanted(argv + 7, argv + argc);
  const auto wants = [&](const char* what) { return std::find(wanted.begin(), wanted.end(), what) != wanted.end(); };
  pin_to_core(1);
  ShuttleBodies bodies(argv[5]);
  if (wants("start")) start_to_first_score(name, place, bodies);
  if (!wants("memory") && !wants("flood")) return 0;
  std::filesystem::remove_all(place.folder);
  Running agent(place);
  agent.wait_until_it_listens(place.folder);
  if (wants("memory")) memory_at_1000_per_s(name, agent, bodies, seconds);
  if (wants("flood")) flood(name, agent, bodies, 1'000, seconds);
  return 0;
}
