// Damage to what was synced: every bit flipped, the file cut off at every byte. The start must end, take new tickets,
// yield no altered row, and account for every row that is gone (Q4, Q5), also if power is cut within the repair (Q6).
#include "tests/crash/damage.h"

#include <algorithm>
#include <set>
#include <utility>

#include "edge/outbox/outbox.h"
#include "tests/crash/recording_vfs.h"
#include "tests/crash/workloads.h"

namespace wb::crash {
namespace {

constexpr uint64_t kPageBytes = 4'096;
constexpr uint64_t kFileBytes = 64U << 10;
constexpr uint64_t kRepairMomentsMax = 24;  // of one repair

// An outbox's store of 64 KiB, all in its file, closed in peace.
class FileSpecimen final : public Specimen {
 public:
  FileSpecimen() {
    file = std::string(kRoot) + "/node/outbox.db";
    Medium medium;
    const UseMedium use(medium);
    seed_vfs(7);
    StoreSession session(store_options(1U << 20), medium, 0);
    for (const NodeStep& step : full_file_workload(kFileBytes).steps) {
      for (const auto& ticket : step.tickets) apply_to(rows_, ticket);
      (void)session.write(step.tickets, 0);
      if (session.store->stats().file_bytes >= kFileBytes) break;
    }
    const uint64_t size = session.store->stats().file_bytes;
    session.store.reset();
    medium.disk.settle();
    bytes = medium.disk.bytes(*medium.disk.find(file)).substr(0, size);
    for (const auto& [key, value] : rows_)
      for (size_t at = 0; (at = bytes.find(value.substr(0, 200), at)) != std::string::npos; ++at)
        pages_of_[key].insert(at / kPageBytes);
    disk = medium.disk.copy();
  }

  std::string judge(StoreSession& session, const Damage& damage) const override {
    const auto found = rows_of(session);
    uint64_t records_gone = 0, gone = 0, elsewhere = 0;
    for (const auto& [key, value] : rows_) {
      const auto row = found.find(key);
      if (row != found.end()) {
        if (row->second != value) return "Q2: a row is altered";
        continue;
      }
      ++gone;
      records_gone += key.first == NodeTable::kRecords ? 1 : 0;
      const auto pages = pages_of_.find(key);
      const bool hit = pages == pages_of_.end() || pages->second.contains(damage.byte / kPageBytes) ||
                       *pages->second.rbegin() + 1 >= damage.cut_at / kPageBytes;
      elsewhere += hit ? 0 : 1;
    }
    if (found.size() + gone != rows_.size()) return "Q2: a row that was never there";
    if (gone > 0 && session.found.damaged_rows_count == 0) return "Q4: rows are gone and nothing is called damaged";
    if (elsewhere > 0) return "Q5: " + std::to_string(elsewhere) + " rows on undamaged pages are gone";
    return check_sums(session, records_gone, false);
  }

 private:
  RowMap rows_;
  // Of a row's first byte; more than one where a copy was left behind when its page was divided.
  std::map<RowMap::key_type, std::set<uint64_t>> pages_of_;
};

std::string check_damaged(const Specimen& specimen, Medium& medium, const Damage& damage, bool go_on) {
  const UseMedium use(medium);
  seed_vfs(8);
  medium.reset_counts();
  medium.calls_max = 20 * calls_max(medium);
  StoreSession session(store_options(1U << 20), medium, 0);
  if (session.error) return "Q5: no start: " + session.error->text;
  if (std::string wrong = specimen.judge(session, damage); !wrong.empty()) return wrong;
  medium.calls_max = UINT64_MAX;
  if (!go_on) return "";
  if (session.write({{StoreOp{NodeTable::kState, "after", "damage", false}}}, 0) != 1)
    return "Q5: takes no ticket after the start";
  return "";
}

// Power is cut within the repair, at a sample of its operations: the next start finishes it, or begins it anew (Q6).
void cut_repair(const Specimen& specimen, const MemoryDisk& found, const Damage& damage, const std::string& where,
                Tally& tally) {
  Medium repaired(found.copy());
  if (!check_damaged(specimen, repaired, damage, false).empty()) return;  // told already
  MemoryDisk walker = found.copy();
  const auto& log = repaired.disk.log();
  const uint64_t step = std::max<uint64_t>(1, (log.size() + kRepairMomentsMax - 1) / kRepairMomentsMax);
  const uint64_t first = tally.points % step;
  for (uint64_t i = 0; i < log.size(); ++i) {
    walker.apply(log[i]);
    if (i % step != first) continue;
    const auto variant = static_cast<uint32_t>((tally.points + i) % 8);
    Medium after(walker.after_power_cut(cut_of(variant, tally.points + i)));
    ++tally.points;
    ++tally.nested_points;
    tally.evidence.decided("Q2 Q4 Q5 Q6");
    if (const std::string wrong = check_damaged(specimen, after, damage, true); !wrong.empty())
      tally.violate(where + ", cut in its repair after operation " + std::to_string(i) + ", variant " +
                    std::to_string(variant) + ": Q6: " + wrong);
  }
}

}  // namespace

void apply_to(RowMap& rows, const std::vector<StoreOp>& ticket) {
  for (const StoreOp& op : ticket) {
    if (op.erase)
      rows.erase({op.table, op.key});
    else
      rows[{op.table, op.key}] = op.value;
  }
}

RowMap rows_of(StoreSession& session) {
  RowMap rows;
  std::vector<std::string> keys;
  for (const StoredRow& row : session.found.rows) {
    if (row.table == NodeTable::kRecords)
      keys.push_back(row.key);
    else
      rows[{row.table, row.key}] = row.value;
  }
  for (StoredRow& row : session.load(keys)) rows[{row.table, row.key}] = std::move(row.value);
  return rows;
}

std::string check_sums(const StoreSession& session, std::optional<uint64_t> records_gone, bool must_be_new) {
  outbox::Config config;
  config.bytes_max = 1U << 20;
  const auto opened = outbox::Outbox::open(config, session.found, {});
  if (!opened.ok()) return "Q5: the outbox does not open: " + opened.error().text;
  for (const outbox::LaneCounts& lane : opened->outbox.view({}).lanes)
    if (lane.produced != lane.effected + lane.waiting + lane.evicted + lane.lost) return "Q4: the sums do not match";
  if (must_be_new && !opened->new_incarnation_needed) return "Q2: numbers may be used again in the same incarnation";
  // With the counters gone nothing is known of what is missing beyond what is seen: a new incarnation says so.
  if (opened->new_incarnation_needed && !must_be_new) return "";
  if (records_gone && opened->lost_count != *records_gone)
    return "Q4: " + std::to_string(*records_gone) + " records are gone, " + std::to_string(opened->lost_count) +
           " are declared lost";
  return "";
}

Tally damage(const Specimen& specimen, const Plan& plan, const Progress& progress) {
  Tally tally;
  const uint64_t bits = specimen.bytes.size() * 8, cuts = specimen.bytes.size();
  tally.operations = bits + cuts;
  for (uint64_t n = 0; n < bits + cuts; ++n) {
    if (n % plan.stride != plan.seed % plan.stride || n / plan.stride % plan.jobs != plan.job) continue;
    Medium medium(specimen.disk.copy());
    std::string bytes = specimen.bytes;
    const bool flip = n < bits;
    if (flip)
      bytes[n / 8] = static_cast<char>(bytes[n / 8] ^ (1 << (n % 8)));
    else
      bytes.resize(n - bits);
    medium.disk.set_bytes(specimen.file, std::move(bytes));
    const bool nested = plan.nested_every != 0 && tally.points % plan.nested_every == 0;
    MemoryDisk found;
    if (nested) found = medium.disk.copy();
    const std::string where = flip ? "bit " + std::to_string(n % 8) + " of byte " + std::to_string(n / 8) + " flipped"
                                   : "cut off at byte " + std::to_string(n - bits);
    progress(where, tally);
    ++tally.points;
    tally.evidence.decided("Q2 Q4 Q5");
    Damage one;
    (flip ? one.byte : one.cut_at) = flip ? n / 8 : n - bits;
    const std::string wrong = check_damaged(specimen, medium, one, true);
    tally.calls_most = std::max(tally.calls_most, medium.calls());
    if (!wrong.empty())
      tally.violate(where + ": " + wrong);
    else if (nested)
      cut_repair(specimen, found, one, where, tally);
  }
  return tally;
}

Tally damage_node_file(const Plan& plan, const Progress& progress) {
  const FileSpecimen specimen;
  if (specimen.bytes.size() == kFileBytes) return damage(specimen, plan, progress);
  Tally tally;
  tally.violate("the file is " + std::to_string(specimen.bytes.size()) + " bytes, not 64 KiB");
  return tally;
}

}  // namespace wb::crash
