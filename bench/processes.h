#pragma once
// What the load generators share: real processes of the product on a chosen core, what they cost by the kernel's own
// books, and the one form in which a bench program hands a figure to script/bench: a line "figure NAME VALUE".

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

namespace wb::bench {

[[noreturn]] inline void give_up(const std::string& why) {
  std::fprintf(stderr, "bench: %s\n", why.c_str());
  std::exit(1);
}

inline void figure(const std::string& name, double value) {
  std::printf("figure %s %.6g\n", name.c_str(), value);
  std::fflush(stdout);
}

inline double seconds_of(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}
inline double wall_s() { return seconds_of(CLOCK_MONOTONIC); }
inline double own_cpu_s() { return seconds_of(CLOCK_PROCESS_CPUTIME_ID); }

// On a machine with one core this does nothing.
inline void pin_to_core(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  (void)::sched_setaffinity(0, sizeof set, &set);
}

// A child whose output goes to a file; ended by its id when the bench ends.
class Process {
 public:
  Process(std::vector<std::string> command, int core, const std::string& log_path) {
    std::vector<char*> argv;
    for (std::string& word : command) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ < 0) give_up("fork failed");
    if (pid_ > 0) return;
    pin_to_core(core);
    const int log = ::open(log_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ::dup2(log, STDOUT_FILENO);
    ::dup2(log, STDERR_FILENO);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process() {
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
  }
  bool alive() const { return ::waitpid(pid_, nullptr, WNOHANG) == 0; }
  // User and system time of all its threads.
  double cpu_s() const {
    clockid_t clock{};
    if (::clock_getcpuclockid(pid_, &clock) != 0) give_up("the process has ended; see its log");
    return seconds_of(clock);
  }
  // Proportional memory: shared pages divided by those who share them.
  double pss_kib() const { return rollup_kib("Pss:"); }
  // As if nobody shared anything: more than the process costs on any machine.
  double rss_kib() const { return rollup_kib("Rss:"); }

 private:
  double rollup_kib(const std::string& name) const {
    std::ifstream in("/proc/" + std::to_string(pid_) + "/smaps_rollup");
    std::string line;
    while (std::getline(in, line))
      if (line.rfind(name, 0) == 0) return std::atof(line.c_str() + name.size());
    give_up("cannot read smaps_rollup of the process");
  }
  pid_t pid_ = -1;
};

inline std::string read_text(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

}  // namespace wb::bench
