#include "tests/crash/crash_points.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "tests/crash/recording_vfs.h"

namespace wb::crash {

// The disks of one moment: nothing unsynced arrived, all of it, a few mixtures with one kind of harm each, then all
// kinds.
Cut cut_of(uint32_t variant, uint64_t seed) {
  constexpr std::array<Cut, 8> kCuts = {{{512, 1, 0, 0, 0, 0, 0},     // old
                                         {512, 0, 1, 0, 0, 1, 0},     // new
                                         {4096, 1, 1, 0, 0, 2, 0},    // reordered pages
                                         {512, 1, 3, 0, 0, 3, 0},     // reordered sectors
                                         {512, 0, 3, 1, 0, 1, 0},     // torn
                                         {4096, 0, 4, 0, 1, 2, 0},    // zeroed pages
                                         {512, 2, 8, 1, 1, 3, 0},     // all kinds, mostly arrived
                                         {4096, 6, 2, 1, 1, 3, 0}}};  // all kinds, mostly lost
  Cut cut = kCuts[variant < 2 ? variant : 2 + (variant - 2) % 6];
  cut.seed = Prng(seed + variant).next();
  return cut;
}

namespace {

constexpr uint64_t kVfsSeed = 0x5A17;
constexpr uint64_t kRecoveryMomentsMax = 24;  // of one nested sample

struct Moment {
  uint64_t index = 0;
  Bounds bounds;
};

// One disk of one moment, and what the promises say of it. Its recovery's log stays in the medium.
std::string try_point(Subject& subject, Medium& after, const Bounds& bounds, bool go_on) {
  const UseMedium use(after);
  seed_vfs(kVfsSeed ^ after.disk.bytes_total());
  return subject.check(after, bounds, go_on);
}

// Cuts within the recovery of `start`, at a sample of its operations (Q6).
void cut_recovery(Subject& subject, const MemoryDisk& start, const std::vector<std::shared_ptr<const Op>>& log,
                  const Bounds& bounds, uint64_t seed, const std::string& where, Tally& tally) {
  MemoryDisk walker = start.copy();
  const uint64_t step = std::max<uint64_t>(1, log.size() / kRecoveryMomentsMax);
  for (uint64_t i = 0; i < log.size(); ++i) {
    walker.apply(log[i]);
    if (i % step != seed % step) continue;
    const auto variant = static_cast<uint32_t>((seed + i) % 8);
    Medium after(walker.after_power_cut(cut_of(variant, seed + i)));
    ++tally.points;
    ++tally.nested_points;
    tally.evidence.decided(subject.promises());
    tally.evidence.decided("Q6");
    if (const std::string wrong = try_point(subject, after, bounds, false); !wrong.empty())
      tally.violate(where + ", cut again in its recovery after operation " + std::to_string(i) + ", variant " +
                    std::to_string(variant) + ": " + wrong);
  }
}

void cut_moment(Subject& subject, const Plan& plan, const MemoryDisk& walker, const Moment& moment, bool settled,
                Tally& tally, const Progress& progress) {
  std::set<uint64_t> drawn;
  for (uint32_t variant = 0; variant < plan.variants; ++variant) {
    if (settled && variant > 0) break;  // nothing is unsynced: all disks are the same
    const uint64_t seed = Prng(plan.seed * 1'000'003 + moment.index).next();
    uint64_t fates = 0;
    const std::string where =
        subject.name() + ", operation " + std::to_string(moment.index) + ", variant " + std::to_string(variant);
    progress(where, tally);
    Medium after(walker.after_power_cut(cut_of(variant, seed), &fates));
    if (variant > 1 && !drawn.insert(fates).second) continue;  // this disk was tried
    const bool nested = plan.nested_every != 0 && (tally.points + variant) % plan.nested_every == 0;
    MemoryDisk start;
    if (nested) start = after.disk.copy();
    ++tally.points;
    tally.evidence.decided(subject.promises());
    const std::string wrong = try_point(subject, after, moment.bounds, !nested && variant == 0);
    tally.calls_most = std::max(tally.calls_most, after.calls());
    if (!wrong.empty())
      tally.violate(where + ": " + wrong);
    else if (nested)
      cut_recovery(subject, start, after.disk.log(), moment.bounds, seed, where, tally);
  }
}

}  // namespace

void Tally::violate(std::string text) {
  ++violations;
  if (first.size() < kFirstMax) first.push_back(std::move(text));
}

void Tally::add(const Tally& other) {
  operations += other.operations;
  points += other.points;
  nested_points += other.nested_points;
  calls_most = std::max(calls_most, other.calls_most);
  violations += other.violations;
  evidence += other.evidence;
  for (const std::string& text : other.first)
    if (first.size() < kFirstMax) first.push_back(text);
}

Tally cut_power(Subject& subject, const Plan& plan, const Progress& progress) {
  Tally tally;
  Medium recorded;
  recorded.swallow_syncs = plan.swallow_syncs;
  MemoryDisk walker;
  {
    const UseMedium use(recorded);
    seed_vfs(kVfsSeed);
    // A prepared part ends with settle(), which drops the log: what is there then is where the walk begins.
    if (const std::string wrong = subject.run(recorded, &walker); !wrong.empty()) {
      tally.violate(subject.name() + ", without any fault: " + wrong);
      return tally;
    }
  }
  Moment moment;
  const auto& log = recorded.disk.log();
  tally.operations = log.size();
  const uint64_t stride = plan.stride * subject.stride;
  for (const auto& op : log) {
    ++moment.index;
    if (op->kind == Op::Kind::kAsked) moment.bounds.asked = op->at;
    if (op->kind == Op::Kind::kTold) moment.bounds.told = op->at;
    walker.apply(op);
    // Of the two marks only the second changes what is promised; the disk is that of the moment before.
    if (op->kind == Op::Kind::kAsked || moment.index % stride != plan.seed % stride) continue;
    if (moment.index / stride % plan.jobs != plan.job) continue;
    cut_moment(subject, plan, walker, moment, !walker.anything_unsynced(), tally, progress);
  }
  return tally;
}

namespace {

constexpr std::array<const char*, kCallsCount> kCallNames = {
    "read", "write", "truncation", "sync", "open", "change of a name", "allocation"};

// What a cut leaves that loses all that no sync made durable: after the first report that followed the fault, and at
// the end.
void check_after_fault(Subject& subject, const Medium& medium, size_t fault_at, const MemoryDisk& start,
                       const std::string& where, Tally& tally) {
  MemoryDisk walker = start.copy();
  Bounds bounds;
  const auto& log = medium.disk.log();
  bool first = true;
  for (size_t i = 0; i < log.size(); ++i) {
    walker.apply(log[i]);
    if (log[i]->kind == Op::Kind::kAsked) bounds.asked = log[i]->at;
    if (log[i]->kind == Op::Kind::kTold) bounds.told = log[i]->at;
    const bool told = first && i >= fault_at && log[i]->kind == Op::Kind::kTold;
    if (!told && i + 1 != log.size()) continue;
    first = first && !told;
    Medium after(walker.after_power_cut(cut_of(0, 0)));
    if (const std::string wrong = try_point(subject, after, bounds, false); !wrong.empty())
      return tally.violate(where + ", then a power cut: " + wrong);
  }
}

}  // namespace

Tally fail_calls(Subject& subject, const Plan& plan, const Progress& progress) {
  Tally tally;
  Medium clean;
  {
    const UseMedium use(clean);
    seed_vfs(kVfsSeed);
    if (const std::string wrong = subject.run(clean, nullptr); !wrong.empty()) {
      tally.violate(subject.name() + ", without any fault: " + wrong);
      return tally;
    }
  }
  for (size_t call = 0; call < kCallsCount; ++call) {
    const uint64_t count = clean.count(static_cast<Call>(call));
    tally.operations += count;
    for (uint64_t k = 1; k <= count; ++k) {
      if (k % plan.stride != plan.seed % plan.stride || k / plan.stride % plan.jobs != plan.job) continue;
      for (const bool forever : {false, true}) {
        // What can never be read again is damage, not a fault that heals.
        if (forever && static_cast<Call>(call) == Call::kRead) continue;
        const Fault fault{static_cast<Call>(call), k, forever, k % 2 == 0};
        const std::string where = subject.name() + ", " + kCallNames[call] + " " + std::to_string(k) + " of " +
                                  std::to_string(count) + " fails " + (forever ? "from then on" : "once");
        progress(where, tally);
        ++tally.points;
        tally.evidence.decided(subject.promises());
        tally.evidence.decided("Q7");
        Medium medium;
        MemoryDisk start;
        std::string wrong;
        {
          const UseMedium use(medium);
          seed_vfs(kVfsSeed);
          medium.arm(fault);
          wrong = subject.run(medium, &start);
          medium.heal();
        }
        if (!wrong.empty())
          tally.violate(where + ": " + wrong);
        else
          check_after_fault(subject, medium, medium.fired_at(), start, where, tally);
      }
    }
  }
  return tally;
}

}  // namespace wb::crash
