#include "edge/deploy/journal.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/checksum.h"
#include "base/planted.h"
#include "edge/deploy/verify.h"

namespace wb::deploy {
namespace {

constexpr char kVersion = 1;
constexpr char kCandidateVersion = 2;  // 1 has no late stops, and is still read
constexpr std::string_view kPrefix = "deploy/";
constexpr std::string_view kDesired = "deploy/desired";
constexpr std::string_view kCommitted = "deploy/committed";
constexpr std::string_view kPrevious = "deploy/previous";
constexpr std::string_view kCandidate = "deploy/candidate";
constexpr std::string_view kQuarantine = "deploy/quarantine";
constexpr std::string_view kKeys = "deploy/keys";

std::string encode_slot(const Slot& slot) {
  return std::string(1, kVersion) + key_u64(slot.tries) + wire::encode(slot.desired);
}

// An assignment at rest: the digest is also a file name, so a damaged one must not get through.
bool parse_desired(std::string_view bytes, bool digest_required, wire::Desired& out) {
  if (!out.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return false;
  return is_digest(out.digest()) || (!digest_required && out.digest().empty());
}

std::optional<Slot> parse_slot(std::string_view value) {
  if (value.size() < 9 || value[0] != kVersion) return std::nullopt;
  Slot slot;
  slot.tries = read_u64_be(value.substr(1));
  if (!parse_desired(value.substr(9), true, slot.desired)) return std::nullopt;
  return slot;
}

std::string encode_candidate(const Candidate& candidate) {
  return std::string(1, kCandidateVersion) + static_cast<char>(candidate.stage) + key_u64(candidate.slot.tries) +
         key_u64(candidate.bad_transfers) + key_u64(candidate.late_stops) + wire::encode(candidate.slot.desired);
}

std::optional<Candidate> parse_candidate(std::string_view value) {
  if (value.size() < 18 || (value[0] != kVersion && value[0] != kCandidateVersion)) return std::nullopt;
  const size_t head_bytes = value[0] == kVersion ? 18 : 26;
  if (value.size() < head_bytes) return std::nullopt;
  Candidate candidate;
  candidate.stage = static_cast<Stage>(value[1]);
  if (candidate.stage != Stage::kFetching && candidate.stage != Stage::kProbation) return std::nullopt;
  candidate.slot.tries = read_u64_be(value.substr(2));
  candidate.bad_transfers = read_u64_be(value.substr(10));
  if (value[0] == kCandidateVersion) candidate.late_stops = read_u64_be(value.substr(18));
  if (!parse_desired(value.substr(head_bytes), true, candidate.slot.desired)) return std::nullopt;
  return candidate;
}

std::string encode_quarantine(const std::vector<wire::Quarantined>& entries) {
  wire::Reported list;
  for (const wire::Quarantined& entry : entries) *list.add_quarantined() = entry;
  return std::string(1, kVersion) + wire::encode(list);
}

bool parse_quarantine(std::string_view value, std::vector<wire::Quarantined>& out) {
  wire::Reported list;
  if (value.empty() || value[0] != kVersion) return false;
  if (!list.ParseFromArray(value.data() + 1, static_cast<int>(value.size() - 1))) return false;
  if (list.quarantined_size() > static_cast<int>(Journal::kQuarantinedMax)) return false;
  out.assign(list.quarantined().begin(), list.quarantined().end());
  return true;
}

struct Row {
  std::string_view key;
  std::string value;  // "" = no such row
};

std::vector<Row> rows_of(const Journal& journal) {
  return {
      {kDesired, std::string(1, kVersion) + wire::encode(journal.desired)},
      {kCommitted, journal.committed ? encode_slot(*journal.committed) : ""},
      {kPrevious, journal.previous ? encode_slot(*journal.previous) : ""},
      {kCandidate, journal.candidate ? encode_candidate(*journal.candidate) : ""},
      {kQuarantine, encode_quarantine(journal.quarantined)},
      {kKeys, journal.keys.empty() ? "" : std::string(1, kVersion) + journal.keys},
  };
}

}  // namespace

const wire::Quarantined* Journal::forbids(const wire::Desired& wanted) const {
  for (const wire::Quarantined& entry : quarantined) {
    if (entry.digest() != wanted.digest()) continue;
    // Bytes that arrived wrong say nothing about the release itself: a newer assignment may try again.
    const bool of_transfer =
        entry.error_code() == "DEPLOY_REJECTED/LENGTH" || entry.error_code() == "DEPLOY_REJECTED/DIGEST";
    if (!of_transfer || wanted.generation() <= entry.generation()) return &entry;
  }
  return nullptr;
}

void Journal::quarantine(wire::Quarantined entry) {
  std::erase_if(quarantined, [&](const wire::Quarantined& old) { return old.digest() == entry.digest(); });
  if (quarantined.size() >= kQuarantinedMax) quarantined.erase(quarantined.begin());
  quarantined.push_back(std::move(entry));
}

std::string fingerprint_of(const std::vector<std::string>& trusted_keys) {
  std::vector<std::string> sorted = trusted_keys;
  std::sort(sorted.begin(), sorted.end());
  std::string all;
  for (const std::string& key : sorted) all += hex_encode(key) + "\n";
  return sha256_hex(all);
}

void Journal::pin(const std::vector<std::string>& trusted_keys) {
  std::string now = fingerprint_of(trusted_keys);
  if (now == keys) return;
  const auto lapsed = std::erase_if(
      quarantined, [](const wire::Quarantined& entry) { return entry.error_code() == "DEPLOY_REJECTED/SIGNATURE"; });
  if (lapsed > 0) keys = std::move(now);
}

Journal parse_journal(const std::vector<StoredRow>& rows) {
  Journal journal;
  for (const StoredRow& row : rows) {
    if (row.table != NodeTable::kState || !row.key.starts_with(kPrefix)) continue;
    bool good = true;
    if (row.key == kDesired) {
      good = !row.value.empty() && row.value[0] == kVersion &&
             parse_desired(std::string_view(row.value).substr(1), false, journal.desired);
      if (!good) journal.desired.Clear();
    } else if (row.key == kCommitted) {
      good = (journal.committed = parse_slot(row.value)).has_value();
    } else if (row.key == kPrevious) {
      good = (journal.previous = parse_slot(row.value)).has_value();
    } else if (row.key == kCandidate) {
      good = (journal.candidate = parse_candidate(row.value)).has_value();
    } else if (row.key == kQuarantine) {
      good = parse_quarantine(row.value, journal.quarantined);
    } else if (row.key == kKeys) {
      good = row.value.size() == 65 && row.value[0] == kVersion;
      if (good) journal.keys = row.value.substr(1);
    }
    if (!good) ++journal.damaged_rows;
  }
  // Without its row, the newest assignment that is still known is the floor: generations never go back (U5).
  for (const Slot* slot :
       {journal.candidate ? &journal.candidate->slot : nullptr, journal.committed ? &*journal.committed : nullptr})
    if (slot != nullptr && slot->desired.generation() > journal.desired.generation()) {
      journal.desired = slot->desired;
      journal.desired_is_deduced = true;
    }
  return journal;
}

std::vector<StoreOp> journal_ops(const Journal& now, const Journal* before) {
  std::vector<StoreOp> ops;
  const std::vector<Row> rows = rows_of(now);
  const std::vector<Row> old = before != nullptr ? rows_of(*before) : std::vector<Row>{};
  for (size_t i = 0; i < rows.size(); ++i) {
    if (before != nullptr && old[i].value == rows[i].value) continue;
    if (planted(Bug::kQuarantineForgotten) && rows[i].key == kQuarantine) continue;
    ops.push_back(StoreOp{NodeTable::kState, std::string(rows[i].key), rows[i].value, rows[i].value.empty()});
  }
  return ops;
}

}  // namespace wb::deploy
