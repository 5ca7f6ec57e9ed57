#pragma once
// One small interface in front of everybody that script/bench engine measures: our engine, and the libraries, each by
// the C functions that it offers for this, found in its shared object at run time. Nothing here needs a header of
// theirs.
//
// A peer holds one loaded model and sees the rows of the plan. It answers with margins, on the calling thread; a
// library that has only a Python form is a process of its own that takes its own time (no pipe in what is timed).

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace wb::bench {

// What is asked: [count, features], row-major, none missing; the same numbers in both widths, each peer takes what it
// likes best.
struct Rows {
  std::string file;  // f32, as they lie there
  std::vector<float> f32;
  std::vector<double> f64;
  size_t features = 0;
  size_t count = 0;
};

struct PeerLine {  // of the plan that prepare.py writes
  std::string title, kind, file, library, input, output, program, script;
  size_t width = 1;         // margins a row
  bool entry_f64 = false;   // TL2cgen: what a row's numbers are
  bool result_f64 = false;  // and its answers
};

// `rows` rows from `first` (after the last comes the first), `at_once` in each call.
struct Stretch {
  size_t first = 0, rows = 0, at_once = 1;
};

class Peer {
 public:
  explicit Peer(const Rows& rows) : rows_(rows) {}
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  virtual ~Peer() = default;

  virtual void ask(size_t first, size_t count) = 0;
  virtual double said(size_t i) const = 0;  // of the last ask: [count, width]
  virtual size_t width() const = 0;

  virtual double cpu_seconds(const Stretch& stretch);                // of all its threads
  virtual std::vector<double> latencies_us(const Stretch& stretch);  // by the clock, of each call
  virtual std::vector<double> margins(size_t count, size_t at_once);
  // A process of its own says here what loading took; the others are measured from outside.
  virtual bool tells_load(double* /*load_ms*/, double* /*rss_kib*/) const { return false; }

 protected:
  const Rows& rows_;
};

std::unique_ptr<Peer> open_engine(const std::string& package, const Rows& rows);
std::unique_ptr<Peer> open_onnx(const PeerLine& line, const Rows& rows);
std::unique_ptr<Peer> open_peer(const PeerLine& line, const Rows& rows);  // gives up with the reason

}  // namespace wb::bench
