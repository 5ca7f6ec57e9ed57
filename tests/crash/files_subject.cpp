// Files that are replaced whole (S1) and slot files that are fetched piece by piece (U7), as subjects.
#include <optional>
#include <utility>

#include "base/checksum.h"
#include "base/prng.h"
#include "tests/crash/subject.h"
#include "world/files.h"
#include "world/slots.h"

namespace wb::crash {
namespace {

constexpr int kTries = 3;

std::string noise(uint64_t seed, size_t bytes) {
  Prng prng(seed);
  std::string out(bytes, '\0');
  for (char& c : out) c = static_cast<char>(prng.next());
  return out;
}

// Tries, heals, goes on: what a program does that wants its file written.
template <class Try>
std::string insist(Medium& medium, const Try& attempt_once) {
  for (int attempt = 0; attempt <= 2 * kTries; ++attempt) {
    if (attempt == kTries) medium.heal();
    if (attempt_once()) return "";
  }
  return "does not go on after the fault healed";
}

// Three files; version n of file n % 3 is written by ticket n.
class FilesSubject final : public Subject {
 public:
  FilesSubject() : Subject("files: identity, configuration and token replaced in turn") {}

  std::string_view promises() const override { return "S1"; }
  std::string run(Medium& medium, MemoryDisk* start) override {
    medium.begin(start);
    for (uint64_t n = 1; n <= kWrites; ++n) {
      medium.asked(n);
      if (std::string wrong = insist(medium, [&] { return world::write_file_atomic(path(n), content(n), 0600).ok(); });
          !wrong.empty())
        return wrong;
      medium.told(n);
    }
    return "";
  }
  std::string check(Medium& medium, const Bounds& bounds, bool go_on) override {
    medium.reset_counts();
    for (uint64_t which = 0; which < 3; ++which) {
      const auto found = world::read_file(path(which), 1U << 20);
      bool held = false;
      for (uint64_t n = which; n <= bounds.asked; n += 3) {
        const bool at_least_told = n + 3 > bounds.told;  // no newer one of this file was reported
        if (n == 0) {
          held = held || (at_least_told && !found.ok());
        } else if (at_least_told && found.ok() && *found == content(n)) {
          held = true;
        }
      }
      if (bounds.told < which && !found.ok()) held = true;  // it was never written
      if (!held) return "S1: file " + std::to_string(which) + " is neither old nor new";
    }
    if (go_on && !world::write_file_atomic(path(0), "after", 0600).ok()) return "S1: cannot be replaced again";
    return "";
  }

 private:
  static constexpr uint64_t kWrites = 24;
  static std::string path(uint64_t n) { return std::string(kRoot) + "/node/file" + std::to_string(n % 3); }
  static std::string content(uint64_t n) { return noise(n, 30 + static_cast<size_t>(n * 397 % 9'000)); }
};

// Two releases: pieces written, sealed, removed. Ticket n is the n-th step.
class SlotsSubject final : public Subject {
 public:
  SlotsSubject() : Subject("slots: two releases fetched in pieces, sealed, one removed") {
    for (uint64_t which = 0; which < 2; ++which) {
      contents_[which] = noise(100 + which, 40'000 + static_cast<size_t>(which) * 3'333);
      digests_[which] = sha256_hex(contents_[which]);
    }
  }

  std::string_view promises() const override { return "S1 U7"; }
  std::string run(Medium& medium, MemoryDisk* start) override {
    medium.begin(start);
    for (uint64_t n = 1; n <= kSteps; ++n) {
      medium.asked(n);
      if (std::string wrong = insist(medium, [&] { return step(n); }); !wrong.empty()) return wrong;
      medium.told(n);
    }
    return "";
  }
  std::string check(Medium& medium, const Bounds& bounds, bool) override {
    medium.reset_counts();
    auto slots = world::Slots::open(folder(), 1U << 20);
    if (!slots.ok()) return "S1: the folder does not open";
    const auto listed = slots->list();
    if (!listed.ok()) return "S1: the folder cannot be listed";
    for (uint64_t which = 0; which < 2; ++which) {
      std::optional<world::Slots::File> file;
      for (const auto& one : *listed)
        if (one.digest == digests_[which]) file = one;
      const uint64_t first = which * (kPieces + 1);
      const uint64_t pieces = std::min(kPieces, bounds.told - std::min(bounds.told, first));
      const uint64_t durable = piece_end(which, pieces);
      const bool removal_asked = which == 0 && bounds.asked >= kSteps;
      if (!file) {
        if (durable > 0 && !removal_asked) return "U7: a slot with durable bytes is gone";
        continue;
      }
      if (which == 0 && bounds.told >= kSteps) return "S1: a removed slot is back";
      if (file->bytes < durable) return "U7: durable bytes of a slot are gone";
      if (bounds.told >= first + kPieces + 1 && !file->sealed) return "S1: a sealed slot is open again";
      if (file->sealed && *slots->read(digests_[which]) != contents_[which])
        return "S1: a sealed slot is not what it was";
      if (!file->sealed && read_part(which).substr(0, durable) != contents_[which].substr(0, durable))
        return "U7: durable bytes of a slot are others";
    }
    return "";
  }

 private:
  static constexpr uint64_t kPieces = 5;
  static constexpr uint64_t kSteps = 2 * (kPieces + 1) + 1;
  static std::string folder() { return std::string(kRoot) + "/node/slots"; }
  // A piece begins a sector, as the ranges that deploy asks for do: what shares a sector with an unsynced write may go.
  uint64_t piece_end(uint64_t which, uint64_t pieces) const {
    return pieces == kPieces ? contents_[which].size() : pieces * 8'192;
  }
  std::string read_part(uint64_t which) const {
    auto bytes = world::read_file(folder() + "/" + digests_[which] + ".part", 1U << 20);
    return bytes.ok() ? *bytes : "";
  }
  bool step(uint64_t n) const {
    auto slots = world::Slots::open(folder(), 1U << 20);
    if (!slots.ok()) return false;
    if (n == kSteps) return slots->remove(digests_[0]).ok();
    const uint64_t which = (n - 1) / (kPieces + 1), piece = (n - 1) % (kPieces + 1);
    if (piece == kPieces) return slots->seal(digests_[which]).ok();
    const uint64_t from = piece_end(which, piece), to = piece_end(which, piece + 1);
    return slots->write(digests_[which], from, std::string_view(contents_[which]).substr(from, to - from)).ok();
  }

  std::string contents_[2], digests_[2];
};

}  // namespace

std::unique_ptr<Subject> files_subject() { return std::make_unique<FilesSubject>(); }
std::unique_ptr<Subject> slots_subject() { return std::make_unique<SlotsSubject>(); }

}  // namespace wb::crash
