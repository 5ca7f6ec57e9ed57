#include "base/evidence.h"

#include "base/json_text.h"

namespace wb {
namespace {

template <class Pairs>
std::string object_of(const Pairs& pairs) {
  std::string out = "{";
  for (const auto& [name, value] : pairs) {
    if (out.size() > 1) out += ", ";
    append_json_text(name, out);
    out += ": " + std::to_string(value);
  }
  return out + "}";
}

}  // namespace

std::vector<std::pair<std::string, uint64_t>> Evidence::counts() const {
  std::vector<std::pair<std::string, uint64_t>> out;
  for (size_t i = 0; i < kPlaces; ++i)
    if (counts_[i] > 0)
      out.emplace_back(std::string{static_cast<char>('A' + i / 10), static_cast<char>('0' + i % 10)}, counts_[i]);
  return out;
}

std::string evidence_json(const EvidenceRun& run) {
  std::string out = "{\"program\": ";
  append_json_text(run.program, out);
  out += ",\n \"what\": ";
  append_json_text(run.what, out);
  out += ",\n \"finished_unix_s\": " + std::to_string(run.finished_unix_s);
  out += ",\n \"seconds\": " + std::to_string(run.seconds);
  out += ",\n \"violations\": " + std::to_string(run.violations);
  out += ",\n \"sizes\": " + object_of(run.sizes);
  return out + ",\n \"decided\": " + object_of(run.decided.counts()) + "}\n";
}

}  // namespace wb
