#pragma once
// Evidence: how often each promise (docs/operations/promises.md) was decided by a check that really ran. A checker says
// which promises it decides at the place where it decides them; the program writes the sums to a file, and
// `tools/evidence add` puts that into the ledger of the page. Counting costs a few nanoseconds.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace wb {

class Evidence {
 public:
  // Ids, a letter and a digit each, one space between: "Q2 Q3". What is no id counts for nothing.
  void decided(std::string_view ids, uint64_t times = 1) {
    for (size_t at = 0; at + 1 < ids.size(); at += 3)
      if (const size_t place = place_of(ids[at], ids[at + 1]); place < kPlaces) counts_[place] += times;
  }
  uint64_t count(std::string_view id) const {
    const size_t place = id.size() == 2 ? place_of(id[0], id[1]) : kPlaces;
    return place < kPlaces ? counts_[place] : 0;
  }
  Evidence& operator+=(const Evidence& other) {
    for (size_t i = 0; i < kPlaces; ++i) counts_[i] += other.counts_[i];
    return *this;
  }
  std::vector<std::pair<std::string, uint64_t>> counts() const;  // of those above 0, in order of id

 private:
  static constexpr size_t kPlaces = 26 * size_t{10};
  static size_t place_of(char letter, char digit) {
    if (letter < 'A' || letter > 'Z' || digit < '0' || digit > '9') return kPlaces;
    return static_cast<size_t>(letter - 'A') * 10 + static_cast<size_t>(digit - '0');
  }
  std::array<uint64_t, kPlaces> counts_{};
};

// One run of a checking program, as it goes into the ledger.
struct EvidenceRun {
  std::string program;                                       // "waybill sim"
  std::string what;                                          // what was run, so that it can be run again
  std::vector<std::pair<std::string_view, uint64_t>> sizes;  // {"device_hours", 4000000}
  int64_t finished_unix_s = 0;
  uint64_t seconds = 0;
  uint64_t violations = 0;
  Evidence decided;
};
std::string evidence_json(const EvidenceRun& run);

}  // namespace wb
