// script/bench engine: our engine and its peers side by side in one process, on one core, on the same rows.
//
// For each model of the plan (prepare.py): every peer is loaded alone in a fresh process, which says how long that took
// and how much memory it grew by; then all are loaded here and say the margins of all rows, which are compared; then
// each peer is timed against us in blocks A B B A, so that a machine that grows slower or faster meets both alike. What
// is written is what was measured, block by block; page.py makes of it medians, intervals and claims.
//
// usage: wb_engine_peers PLAN.json OUT.json SECONDS_A_CELL [CORE]
//        wb_engine_peers --alone PLAN.json MODEL PEER     of the plan; PEER -1: our engine
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "bench/engine/peers.h"
#include "bench/processes.h"

namespace {

using namespace wb::bench;
using nlohmann::json;

constexpr size_t kOneByOne = 2'048;     // distinct rows that are asked one by one
constexpr double kBlockSeconds = 0.05;  // a block of one side takes about this at most, …
constexpr size_t kBlockRowsMin = 32;    // but never fewer rows than these
constexpr size_t kQuadsMin = 9, kQuadsMax = 41;
constexpr size_t kBatches[] = {1, 64, 1'024, 8'192};

json read_json(const std::string& path) {
  std::ifstream in(path);
  json out = json::parse(in, nullptr, false);
  if (out.is_discarded()) give_up(path + " is no JSON: did prepare.py end well?");
  return out;
}

Rows read_rows(const json& model) {
  Rows out;
  out.file = model.at("rows");
  out.features = model.at("features");
  out.count = model.at("rows_count");
  out.f32.resize(out.count * out.features);
  std::ifstream in(out.file, std::ios::binary);
  in.read(reinterpret_cast<char*>(out.f32.data()), static_cast<std::streamsize>(out.f32.size() * sizeof(float)));
  if (!in || in.peek() != EOF) give_up(out.file + " does not hold the rows that the plan says");
  out.f64.assign(out.f32.begin(), out.f32.end());
  return out;
}

PeerLine read_line(const json& peer) {
  const auto text = [&](const char* key) { return peer.value(key, std::string()); };
  PeerLine out;
  out.title = text("title"), out.kind = text("kind"), out.file = text("file"), out.library = text("library");
  out.input = text("input"), out.output = text("output"), out.program = text("program"), out.script = text("script");
  out.width = peer.value("width", size_t{1});
  out.entry_f64 = peer.value("entry_f64", false), out.result_f64 = peer.value("result_f64", false);
  return out;
}

std::unique_ptr<Peer> open(const json& model, int peer, const Rows& rows) {
  if (peer < 0) return open_engine(model.at("package"), rows);
  return open_peer(read_line(model.at("peers").at(peer)), rows);
}

// ---- alone

double rss_kib() {
  std::ifstream in("/proc/self/status");
  std::string word;
  while (in >> word)
    if (word == "VmRSS:") {
      double out = 0;
      in >> out;
      return out;
    }
  give_up("/proc/self/status has no VmRSS");
}

int alone(const std::string& plan, size_t at, int peer) {
  const json model = read_json(plan).at("models").at(at);
  const Rows rows = read_rows(model);
  const double before = rss_kib();
  const double start = wall_s();
  const std::unique_ptr<Peer> loaded = open(model, peer, rows);
  double load_ms = (wall_s() - start) * 1e3;
  for (size_t i = 0; i < std::min(rows.count, kOneByOne); ++i)
    if (peer < 0 || model.at("peers").at(peer).at("kind") != "python") loaded->ask(i, 1);
  double grown = rss_kib() - before;
  (void)loaded->tells_load(&load_ms, &grown);
  std::printf("%.6g %.6g\n", load_ms, grown);
  return 0;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

json load_alone(const std::string& plan, size_t model, int peer, bool in_python = false) {
  std::vector<double> load, grown;
  const int times = in_python ? 1 : 5;  // starting Python is slow, and is not what is measured
  for (int i = 0; i < times; ++i) {
    const std::string command = "/proc/" + std::to_string(::getpid()) + "/exe --alone '" + plan + "' " +
                                std::to_string(model) + " " + std::to_string(peer);
    FILE* said = ::popen(command.c_str(), "r");
    double load_ms = 0, rss = 0;
    if (said == nullptr || std::fscanf(said, "%lg %lg", &load_ms, &rss) != 2 || ::pclose(said) != 0)
      give_up("failed: " + command);
    load.push_back(load_ms);
    grown.push_back(rss);
  }
  return {{"load_ms", median(load)}, {"rss_kib", median(grown)}};
}

// ---- margins

// Ours for each of theirs: a library may answer for both classes where we answer for the second alone.
json compare(const std::vector<double>& ours, size_t our_width, const std::vector<double>& theirs, size_t width) {
  const bool second = our_width == 1 && width == 2;
  if (!second && our_width != width) give_up("a peer answers with " + std::to_string(width) + " numbers a row");
  size_t differ = 0;
  double largest = 0, scale = 0;
  for (size_t i = 0; i < ours.size(); ++i) {
    const double their = second ? theirs[2 * i + 1] : theirs[i];
    if (std::memcmp(&ours[i], &their, sizeof their) != 0) ++differ;
    largest = std::max(largest, std::fabs(ours[i] - their));
    scale = std::max(scale, std::fabs(their));
  }
  return {{"margins", ours.size()}, {"differ", differ}, {"largest", largest}, {"largest_margin", scale}};
}

json compare_all(Peer& ours, Peer& peer, const Rows& rows) {
  const size_t few = std::min(rows.count, size_t{1'024});
  const json batch =
      compare(ours.margins(rows.count, rows.count), ours.width(), peer.margins(rows.count, rows.count), peer.width());
  const json single = compare(ours.margins(few, 1), ours.width(), peer.margins(few, 1), peer.width());
  return {{"batch", batch}, {"one_row", single}};
}

// ---- time

Stretch stretch_for(Peer& peer, const Rows& rows, size_t at_once) {
  const size_t all = std::max(std::min(kOneByOne, rows.count), at_once);
  const size_t probe = std::max(at_once, kBlockRowsMin);
  (void)peer.cpu_seconds({0, probe, at_once});
  const double each = peer.cpu_seconds({0, probe, at_once}) / static_cast<double>(probe);
  const auto fits = static_cast<size_t>(kBlockSeconds / std::max(each, 1e-9));
  const size_t wanted = std::clamp(fits, probe, std::max(all, probe));
  return {0, std::max(wanted / at_once, size_t{1}) * at_once, at_once};
}

// Blocks A B B A: seconds a row of ours and of theirs, a pair for each four blocks.
json pairs(Peer& ours, Peer& theirs, const Rows& rows, size_t at_once, double seconds) {
  Stretch mine = stretch_for(ours, rows, at_once), other = stretch_for(theirs, rows, at_once);
  const auto us_a_row = [](double first, double second, const Stretch& stretch) {
    return (first + second) / 2 / static_cast<double>(stretch.rows) * 1e6;
  };
  json out = json::array();
  const double start = wall_s();
  while (out.size() < kQuadsMin || (out.size() < kQuadsMax && wall_s() - start < seconds)) {
    const double a = ours.cpu_seconds(mine), b = theirs.cpu_seconds(other);
    const double b2 = theirs.cpu_seconds(other), a2 = ours.cpu_seconds(mine);
    out.push_back({us_a_row(a, a2, mine), us_a_row(b, b2, other)});
    // The window of rows moves on; a batch stays within the rows.
    const auto next = [&](Stretch& stretch) {
      stretch.first += stretch.rows;
      if (stretch.first + std::max(stretch.rows, at_once) > rows.count) stretch.first = 0;
    };
    next(mine);
    next(other);
  }
  return out;
}

json latencies(Peer& peer, const Rows& rows) {
  const Stretch stretch{0, std::min(kOneByOne, rows.count), 1};
  (void)peer.latencies_us({0, kBlockRowsMin, 1});
  std::vector<double> all = peer.latencies_us(stretch);
  std::sort(all.begin(), all.end());
  return {{"rows", all.size()}, {"p50_us", all[all.size() / 2]}, {"p99_us", all[all.size() * 99 / 100]}};
}

json measure(const json& model, size_t at, const std::string& plan, double seconds) {
  const Rows rows = read_rows(model);
  std::fprintf(stderr, "engine: %s\n", model.at("title").get<std::string>().c_str());
  const std::unique_ptr<Peer> ours = open(model, -1, rows);
  json out = {{"ours", load_alone(plan, at, -1)}, {"peers", json::array()}};
  out["ours"]["latency"] = latencies(*ours, rows);
  for (size_t i = 0; i < model.at("peers").size(); ++i) {
    const int peer_at = static_cast<int>(i);
    json result = load_alone(plan, at, peer_at, model.at("peers")[i].at("kind") == "python");
    const std::unique_ptr<Peer> peer = open(model, peer_at, rows);
    result["compared"] = compare_all(*ours, *peer, rows);
    result["latency"] = latencies(*peer, rows);
    for (const size_t at_once : kBatches) {
      if (at_once > rows.count) continue;
      result["pairs"][std::to_string(at_once)] = pairs(*ours, *peer, rows, at_once, seconds);
    }
    out["peers"].push_back(std::move(result));
  }
  return out;
}

double clock_cost_us() {
  std::vector<double> all;
  for (int i = 0; i < 1'001; ++i) {
    const double start = wall_s();
    all.push_back((wall_s() - start) * 1e6);
  }
  return median(all);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 5 && std::string(argv[1]) == "--alone")
    return alone(argv[2], static_cast<size_t>(std::atoi(argv[3])), std::atoi(argv[4]));
  if (argc != 4 && argc != 5) give_up("usage: wb_engine_peers PLAN.json OUT.json SECONDS_A_CELL [CORE]");
  ::setenv("OMP_NUM_THREADS", "1", 1);
  pin_to_core(argc == 5 ? std::atoi(argv[4]) : 0);
  const json plan = read_json(argv[1]);
  json out = {{"clock_us", clock_cost_us()}, {"models", json::array()}};
  for (size_t i = 0; i < plan.at("models").size(); ++i)
    out["models"].push_back(measure(plan.at("models")[i], i, argv[1], std::atof(argv[3])));
  std::ofstream file(argv[2]);
  file << out.dump(1) << "\n";
  file.close();
  if (!file) give_up(std::string("could not write ") + argv[2]);
  return 0;
}
