#pragma once
// Shuttle's rows (build/data/shuttle.csv) as NDJSON bodies of 1,000 rows: nine sensors, one of eight units, and an
// event time that advances 1 ms a row. The time is patched in place, so that the same bodies go on for ever without
// being made anew.

#include <cstdint>
#include <string>
#include <vector>

#include "bench/processes.h"

namespace wb::bench {

inline constexpr size_t kRowsPerBody = 1'000;
inline constexpr int64_t kFirstTimeMs = 1'700'000'000'000;  // 13 digits, and so are all that follow

class ShuttleBodies {
 public:
  explicit ShuttleBodies(const std::string& csv_path) {
    std::ifstream in(csv_path);
    std::string line;
    if (!std::getline(in, line) || line.rfind("V1,V2,", 0) != 0) give_up(csv_path + " is not Shuttle: run script/data");
    while (std::getline(in, line)) add(line);
    if (bodies_.size() < 2) give_up(csv_path + " is too short");
    bodies_.pop_back();  // the last one is not full
  }
  size_t count() const { return bodies_.size(); }
  // The n-th body of an endless stream.
  const std::string& body(uint64_t n) {
    Body& out = bodies_[n % bodies_.size()];
    for (size_t row = 0; row < out.times_at.size(); ++row) {
      const std::string time = std::to_string(kFirstTimeMs + static_cast<int64_t>(n * kRowsPerBody + row));
      out.text.replace(out.times_at[row], time.size(), time);
    }
    return out.text;
  }

 private:
  struct Body {
    std::string text;
    std::vector<size_t> times_at;
  };
  void add(const std::string& line) {
    if (bodies_.empty() || bodies_.back().times_at.size() == kRowsPerBody) bodies_.emplace_back();
    Body& out = bodies_.back();
    out.text += "{\"ts\":";
    out.times_at.push_back(out.text.size());
    out.text += std::to_string(kFirstTimeMs) + ",\"unit\":\"u" + std::to_string(rows_++ % 8) + "\"";
    size_t from = 0;
    for (int i = 1; i <= 9; ++i) {
      const size_t comma = line.find(',', from);
      out.text += ",\"V" + std::to_string(i) + "\":" + line.substr(from, comma - from);
      from = comma + 1;
    }
    out.text += "}\n";
  }
  std::vector<Body> bodies_;
  uint64_t rows_ = 0;
};

}  // namespace wb::bench
