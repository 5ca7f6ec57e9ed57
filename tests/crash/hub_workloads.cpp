// What is written to the hub's file while power fails. Where the hub's own code can write it, that code does:
// enrolment, releases, exchanges with records, rollouts; each transaction's calls depend on its number alone.
#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/prng.h"
#include "base/signature.h"
#include "hub/api/hub.h"
#include "hub/ingest/ingest.h"
#include "tests/crash/workloads.h"

namespace wb::crash {
namespace {

const std::string kPublisher(32, 'k');

std::string noise(uint64_t seed, size_t bytes) {
  Prng prng(seed);
  std::string out(bytes, '\0');
  for (char& c : out) c = static_cast<char>(prng.next());
  return out;
}
Moment at(uint64_t n) {
  return {Instant{static_cast<int64_t>(n) * kNsPerSecond}, 1'700'000'000'000 + static_cast<int64_t>(n) * 1'000};
}
std::string node_name(uint64_t n) { return "node-" + std::to_string(n); }

wire::ExchangeRequest records(uint64_t after_seq, uint64_t count, size_t bytes, uint64_t seed) {
  wire::ExchangeRequest request;
  request.set_incarnation(std::string(16, 'i'));
  request.mutable_reported();
  wire::StreamUp* stream = request.add_streams();
  stream->set_lane(2);
  stream->set_after_seq(after_seq);
  stream->set_through_seq(after_seq + count);
  for (uint64_t i = 1; i <= count; ++i) {
    wire::RecordUp* record = stream->add_records();
    record->set_seq(after_seq + i);
    record->set_inclusion_probability(1);
    record->set_rule(1);
    record->set_raw(noise(seed + i, bytes));
  }
  return request;
}

void ingest(Rows& rows, uint64_t n, const wire::ExchangeRequest& request) {
  (void)hub::ingest(rows, at(n), node_name(n % 3), request);
}

// Trusts a key, enrols three nodes, pushes and rolls out releases, takes exchanges: an operator's week in `n` steps.
void fleet_step(Rows& rows, uint64_t n) {
  hub::Hub hub(hub::HubConfig{});
  if (n == 1) (void)hub.trust_key(rows, at(n), *ed25519_public_key(kPublisher), "ci", "ada");
  if (n >= 2 && n <= 4) {
    const std::string secret = "secret-of-node-0123456789-" + std::to_string(n);
    (void)hub.create_token(rows, at(n), {secret, 1'000'000, {{"site", "lyon"}}, "ada"});
    wire::EnrolRequest request;
    request.set_token(secret);
    request.set_csr_der("csr " + std::to_string(n));
    request.set_node_name(node_name(n));
    const auto decided = hub.enrol(rows, at(n), request, std::string(16, 'e'));
    if (decided.ok() && decided->issue)
      (void)hub.finish_enrolment(rows, at(n), *decided->issue, "serial", "certificate", "authority");
    return;
  }
  if (n == 5 || n == 12) {
    wire::ReleaseContent content;
    content.manifest.set_name("pump");
    content.manifest.set_version(std::to_string(n));
    content.contents = {{"pipeline.yaml", "name: pump"}, {"model/pump", noise(n, 9'000)}};
    (void)hub.push_release(rows, at(n), *wire::build_release(std::move(content), kPublisher), "ada");
    (void)hub.start_rollout(rows, at(n), {.release = "pump@" + std::to_string(n), .supersede = true, .actor = "ada"});
    return;
  }
  wire::ExchangeRequest request = records(n * 10, 6, 120, n);
  (void)hub.exchange(rows, at(n), node_name(2 + n % 3), request);
  if (n % 7 == 0) hub.tick(rows, at(n));
  if (n % 5 == 0) (void)hub.set_labels(rows, at(n), node_name(2), {{"rack", std::to_string(n)}}, "ada");
}

HubWorkload make(const char* name, uint64_t transactions, std::function<void(Rows&, uint64_t)> transact,
                 uint64_t restart_every = 0) {
  HubWorkload workload;
  workload.name = name;
  workload.transactions = transactions;
  workload.transact = std::move(transact);
  workload.restart_every = restart_every;
  return workload;
}

}  // namespace

std::vector<HubWorkload> hub_workloads() {
  std::vector<HubWorkload> all;
  all.push_back(make("hub: single values, rewritten", 16,
                     [](Rows& rows, uint64_t n) { rows.put(Table::kMeta, "id", std::to_string(n)); }));
  all.push_back(make("hub: batches of 5 records of three nodes", 16,
                     [](Rows& rows, uint64_t n) { ingest(rows, n, records(n / 3 * 5, 5, 150, n)); }));
  all.push_back(make("hub: batches of 200 records", 6,
                     [](Rows& rows, uint64_t n) { ingest(rows, n, records(n / 3 * 200, 200, 150, n)); }));
  all.push_back(make("hub: records of 8 to 30 KB", 8, [](Rows& rows, uint64_t n) {
    ingest(rows, n, records(n / 3 * 3, 3, 8'000 + static_cast<size_t>(n) * 2'700, n));
  }));
  all.push_back(make("hub: every batch comes twice", 16,
                     [](Rows& rows, uint64_t n) { ingest(rows, n / 2, records(n / 2 * 4, 4, 200, n / 2)); }));
  all.push_back(make("hub: one transaction for ten calls", 8, [](Rows& rows, uint64_t n) {
    for (uint64_t i = 0; i < 10; ++i) ingest(rows, n * 10 + i, records((n * 10 + i) / 3 * 2, 2, 120, n + i));
  }));
  all.push_back(make("hub: artifacts of 40 KB", 6, [](Rows& rows, uint64_t n) {
    rows.put(Table::kArtifacts, key_u64(n), noise(n, 40'000));
    rows.put(Table::kReleases, key_u64(n), noise(n, 300));
  }));
  all.push_back(make("hub: an artifact of a megabyte among small ones", 5, [](Rows& rows, uint64_t n) {
    rows.put(Table::kArtifacts, key_u64(n), noise(n, n == 3 ? 1U << 20 : 2'000));
  }));
  all.back().stride = 8;
  all.push_back(make("hub: an operator's week: enrolment, releases, rollouts, audit", 30, fleet_step));
  all.push_back(make("hub: the same with restarts", 24, fleet_step, 5));
  all.push_back(make("hub: telemetry of forty nodes, overwritten", 16, [](Rows& rows, uint64_t n) {
    for (uint64_t i = 0; i < 8; ++i) rows.put(Table::kTelemetry, node_name((n * 8 + i) % 40), noise(n + i, 600));
  }));
  all.push_back(make("hub: rows erased and written in one transaction", 16, [](Rows& rows, uint64_t n) {
    for (uint64_t i = 0; i < 10; ++i) rows.put(Table::kEvents, key_u64(n * 10 + i), noise(n + i, 180));
    if (n > 4)
      for (uint64_t i = 0; i < 10; ++i) rows.erase(Table::kEvents, key_u64((n - 4) * 10 + i));
  }));
  all.push_back(make(
      "hub: every table in one transaction", 10,
      [](Rows& rows, uint64_t n) {
        for (size_t table = 1; table <= static_cast<size_t>(Table::kSchemas); ++table)
          rows.put(static_cast<Table>(table), key_u64(n % 4), noise(n + table, 90));
      },
      4));
  {
    HubWorkload checkpoint = make("hub: the log reaches its checkpoint", 22, [](Rows& rows, uint64_t n) {
      rows.put(Table::kArtifacts, key_u64(n), noise(n, 1'000'000));
    });
    checkpoint.prepared = 15;
    checkpoint.stride = 331;
    all.push_back(std::move(checkpoint));
  }
  return all;
}

HubWorkload random_hub_workload(uint64_t seed) {
  Prng draw(seed ^ 0x6875);
  const size_t bytes = 20 + draw.below(draw.chance(200'000) ? 9'000 : 600);
  const uint64_t rows_max = 1 + draw.below(20);
  HubWorkload workload = make(
      "", 8 + draw.below(16),
      [seed, bytes, rows_max](Rows& rows, uint64_t n) {
        Prng prng(seed * 7'919 + n);
        for (uint64_t i = prng.below(rows_max) + 1; i > 0; --i) {
          const auto table = static_cast<Table>(1 + prng.below(13));
          const std::string key = key_u64(prng.below(60));
          if (prng.chance(250'000))
            rows.erase(table, key);
          else
            rows.put(table, key, noise(prng.next(), prng.below(bytes) + 1));
        }
      },
      draw.chance(300'000) ? 4 : 0);
  workload.name = "random hub workload of seed " + std::to_string(seed);
  return workload;
}

}  // namespace wb::crash
