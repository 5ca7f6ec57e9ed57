// wb_crash_points: cuts the power of the node's and the hub's store at every operation of many workloads, fails each of
// their calls, damages a node's file bit by bit, and prints one table. See docs/operations/crash-points.md.
//
// Workloads are shared out among --jobs processes by moment: an assertion or a crash of the product in one of them is a
// violation of the moment it stood at.
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "apps/evidence_file.h"
#include "base/planted.h"
#include "tests/crash/crash_points.h"
#include "tests/crash/recording_vfs.h"

namespace wb::crash {
namespace {

constexpr size_t kTextMax = 600;
constexpr uint32_t kJobsMax = 64;

struct Options {
  std::string only;  // part of a workload's name
  std::string parts = "cuts,faults,damage";
  uint64_t random = 0;  // so many random workloads
  uint64_t seed = 1;
  uint32_t variants = 8;
  uint64_t stride = 1;  // of the cuts
  uint64_t fault_stride = 1;
  uint64_t damage_stride = 1;
  uint64_t nested_every = 64;
  uint32_t jobs = 2;
  bool list = false;
  std::string evidence;  // file
  std::string what;      // as on the command line, for the evidence
};

// What a job tells its parent, in memory that both see.
struct Report {
  uint64_t operations, points, nested_points, calls_most, violations;
  Evidence evidence;
  char where[kTextMax];
  char first[Tally::kFirstMax][kTextMax];
  uint32_t first_count;
  bool done;
};

void copy_text(char* out, const std::string& text) {
  const size_t size = std::min(text.size(), kTextMax - 1);
  std::memcpy(out, text.data(), size);
  out[size] = '\0';
}

void write_report(Report& report, const Tally& tally) {
  report.operations = tally.operations;
  report.points = tally.points;
  report.nested_points = tally.nested_points;
  report.calls_most = tally.calls_most;
  report.violations = tally.violations;
  report.evidence = tally.evidence;
  report.first_count = static_cast<uint32_t>(tally.first.size());
  for (size_t i = 0; i < tally.first.size(); ++i) copy_text(report.first[i], tally.first[i]);
}

Tally read_report(const Report& report) {
  Tally tally;
  tally.operations = report.operations;
  tally.points = report.points;
  tally.nested_points = report.nested_points;
  tally.calls_most = report.calls_most;
  tally.violations = report.violations;
  tally.evidence = report.evidence;
  for (uint32_t i = 0; i < report.first_count; ++i) tally.first.emplace_back(report.first[i]);
  return tally;
}

// A store and its caller take turns. On one core they hand over without waking another one, which in a virtual machine
// makes several times as many points a second. Jobs that begin together take cores one after the other.
void stay_on_one_core(uint32_t job) {
  cpu_set_t allowed;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  std::vector<int> cores;
  for (int core = 0; core < CPU_SETSIZE; ++core)
    if (CPU_ISSET(core, &allowed)) cores.push_back(core);
  if (cores.empty()) return;
  const auto here = std::find(cores.begin(), cores.end(), ::sched_getcpu());
  const size_t at = here == cores.end() ? 0 : static_cast<size_t>(here - cores.begin());
  cpu_set_t mine;
  CPU_ZERO(&mine);
  CPU_SET(cores[(at + job) % cores.size()], &mine);
  (void)::sched_setaffinity(0, sizeof mine, &mine);
}

using Work = std::function<Tally(const Plan& plan, const Progress& progress)>;

// Runs the work in plan.jobs processes and adds up.
Tally share(const Plan& plan, const Work& work) {
  const size_t bytes = sizeof(Report) * plan.jobs;
  auto* reports =
      static_cast<Report*>(::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  std::vector<pid_t> children;
  std::fflush(stdout);
  for (uint32_t job = 0; job < plan.jobs; ++job) {
    const pid_t child = ::fork();
    if (child == 0) {
      stay_on_one_core(job);
      Plan mine = plan;
      mine.job = job;
      Report& report = reports[job];
      write_report(report, work(mine, [&report](const std::string& where, const Tally& tally) {
                     copy_text(report.where, where);
                     report.points = tally.points;
                   }));
      report.done = true;
      ::_exit(0);
    }
    children.push_back(child);
  }
  Tally sum;
  for (uint32_t job = 0; job < plan.jobs; ++job) {
    int status = 0;
    (void)::waitpid(children[job], &status, 0);
    const uint64_t operations = sum.operations;
    sum.add(read_report(reports[job]));
    sum.operations = std::max(operations, reports[job].operations);  // every job ran the same ones
    if (!reports[job].done)
      sum.violate(std::string(reports[job].where) + ": the process died (" +
                  (WIFSIGNALED(status) ? ::strsignal(WTERMSIG(status)) : "exit") + ")");
  }
  ::munmap(reports, bytes);
  return sum;
}

double seconds_since(std::chrono::steady_clock::time_point then) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - then).count();
}

class Table {
 public:
  explicit Table(const Options& options) : options_(options) {
    std::printf("%-66s %10s %10s %9s %10s\n", "workload", "operations", "points", "points/s", "violations");
  }
  void row(const std::string& name, const char* part, const Plan& plan, const Work& work) {
    const bool terminal = ::isatty(STDERR_FILENO) != 0;
    if (terminal) std::fprintf(stderr, "\r\033[K%llu points so far · %s", count(sum_.points), name.c_str());
    const auto began = std::chrono::steady_clock::now();
    const Tally tally = share(plan, work);
    const double took = seconds_since(began);
    if (terminal) std::fprintf(stderr, "\r\033[K");
    std::printf("%-66s %10llu %10llu %9.0f %10llu\n", name.c_str(), count(tally.operations), count(tally.points),
                took > 0 ? static_cast<double>(tally.points) / took : 0, count(tally.violations));
    for (const std::string& text : tally.first) std::printf("    %s\n", text.c_str());
    if (tally.violations > 0 && repeat_.empty()) {
      repeat_ = "wb_crash_points --parts " + std::string(part) + " --only '" + name + "' --seed " +
                std::to_string(options_.seed) + " --variants " + std::to_string(options_.variants) + " --jobs 1";
      const std::string random_prefix = " of seed ";
      if (const size_t at = name.find(random_prefix); at != std::string::npos)
        repeat_ = "wb_crash_points --parts " + std::string(part) + " --random-seed " +
                  name.substr(at + random_prefix.size()) + " --jobs 1";
    }
    std::fflush(stdout);
    sum_.add(tally);
    ++rows_;
    leave_evidence();
  }
  int close(double took) const {
    std::printf("crash points: %llu points (%llu within a recovery) of %llu rows in %.0f s, %llu violations\n",
                count(sum_.points), count(sum_.nested_points), count(rows_), took, count(sum_.violations));
    if (!repeat_.empty()) std::printf("the first one again: %s\n", repeat_.c_str());
    return sum_.violations > 0 || sum_.points == 0 ? 1 : 0;
  }

 private:
  // What was done so far: a long run may be ended at any time.
  void leave_evidence() const {
    if (options_.evidence.empty()) return;
    EvidenceRun run;
    run.program = "wb_crash_points";
    run.what = options_.what;
    run.sizes = {{"points", sum_.points}, {"points_in_a_recovery", sum_.nested_points}, {"rows", rows_}};
    run.seconds = static_cast<uint64_t>(seconds_since(began_));
    run.violations = sum_.violations;
    run.decided = sum_.evidence;
    if (!write_evidence(options_.evidence, run))
      std::fprintf(stderr, "%s: cannot be written\n", options_.evidence.c_str());
  }
  static unsigned long long count(uint64_t value) { return static_cast<unsigned long long>(value); }
  const Options& options_;
  Tally sum_;
  uint64_t rows_ = 0;
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  std::string repeat_;
};

int run(const Options& options, const std::vector<uint64_t>& random_seeds) {
  install_recording_vfs();
  const auto began = std::chrono::steady_clock::now();
  Table table(options);
  Plan plan;
  plan.variants = options.variants;
  plan.nested_every = options.nested_every;
  plan.jobs = options.jobs;
  plan.seed = options.seed;
  std::vector<std::unique_ptr<Subject>> subjects;
  if (random_seeds.empty()) subjects = named_subjects();
  for (const uint64_t seed : random_seeds) subjects.push_back(random_subject(seed));
  for (uint64_t i = 0; i < options.random; ++i) subjects.push_back(random_subject(options.seed * 1'000'000 + i));
  if (options.list) {
    for (const auto& subject : subjects) std::printf("%s\n", subject->name().c_str());
    return 0;
  }
  for (const auto& subject : subjects) {
    if (subject->name().find(options.only) == std::string::npos) continue;
    if (options.parts.find("cuts") != std::string::npos) {
      plan.stride = options.stride;
      table.row(subject->name(), "cuts", plan,
                [&subject](const Plan& mine, const Progress& progress) { return cut_power(*subject, mine, progress); });
    }
    if (options.parts.find("faults") != std::string::npos) {
      plan.stride = options.fault_stride;
      table.row(
          subject->name() + " (failing calls)", "faults", plan,
          [&subject](const Plan& mine, const Progress& progress) { return fail_calls(*subject, mine, progress); });
    }
  }
  plan.stride = options.damage_stride;
  using Damage = std::pair<const char*, Tally (*)(const Plan&, const Progress&)>;
  for (const auto& [name, damage] :
       {Damage{"file of a node, 64 KiB: every bit flipped, cut at every byte", damage_node_file},
        Damage{"log of a node after a crash: every bit flipped, cut at every byte", damage_node_log}})
    if (options.parts.find("damage") != std::string::npos &&
        std::string_view(name).find(options.only) != std::string::npos)
      table.row(name, "damage", plan, damage);
  return table.close(seconds_since(began));
}

}  // namespace
}  // namespace wb::crash

int main(int argc, char** argv) {
#ifdef WB_PLANTED
  if (const char* bug = std::getenv("WAYBILL_PLANT"); bug != nullptr && !wb::plant(bug)) return 2;
#endif
  CLI::App app{"Cuts the power of the node's and the hub's store at every operation of many workloads, and more."};
  wb::crash::Options options;
  std::vector<uint64_t> random_seeds;
  app.add_option("--only", options.only, "workloads whose name contains this");
  app.add_option("--parts", options.parts, "of: cuts,faults,damage");
  app.add_option("--random", options.random, "how many random workloads beside the named ones");
  app.add_option("--random-seed", random_seeds, "only the random workloads of these seeds");
  app.add_option("--seed", options.seed, "of the disks that the cuts leave, and of the random workloads");
  app.add_option("--variants", options.variants, "disks per moment")->check(CLI::Range(1U, 1'000U));
  app.add_option("--stride", options.stride, "cut at every n-th moment")->check(CLI::Range(1U, 1'000'000U));
  app.add_option("--fault-stride", options.fault_stride, "fail every n-th call")->check(CLI::Range(1U, 1'000'000U));
  app.add_option("--damage-stride", options.damage_stride, "flip every n-th bit")->check(CLI::Range(1U, 1'000'000U));
  app.add_option("--nested-every", options.nested_every, "cut again in the recovery of every n-th point; 0 = never");
  app.add_option("--jobs", options.jobs, "processes")->check(CLI::Range(1U, wb::crash::kJobsMax));
  app.add_flag("--list", options.list, "print the names of the workloads");
  app.add_option("--evidence", options.evidence,
                 "write how often each promise was decided to this file, after every row");
  CLI11_PARSE(app, argc, argv);
  for (const CLI::Option* option : app.get_options())
    if (option->count() > 0 && option->get_name() != "--evidence" && option->get_name() != "--jobs")
      options.what += (options.what.empty() ? "" : " ") + option->get_name() + " " + option->as<std::string>();
  if (options.what.empty()) options.what = "everything, as by default";
  return wb::crash::run(options, random_seeds);
}
