#include "hub/api/audit.h"

#include "base/bytes.h"
#include "base/checksum.h"
#include "base/typed_rows.h"

namespace wb::hub {
namespace {

constexpr std::string_view kHeadKey = "audit";  // kMeta: the newest entry

std::string hash_of(pb::AuditEntry entry) {
  entry.clear_hash();
  const Sha256 digest = sha256(entry.SerializeAsString());
  return std::string(reinterpret_cast<const char*>(digest.data()), digest.size());
}

}  // namespace

void audit(Rows& rows, Moment now, std::string_view actor, std::string_view action, std::string_view subject,
           std::string_view detail) {
  const auto head = load_row<pb::AuditEntry>(rows, Table::kMeta, kHeadKey);
  pb::AuditEntry entry;
  entry.set_number(head ? head->number() + 1 : 1);
  entry.set_time_ms(now.unix_ms);
  entry.set_actor(std::string(actor));
  entry.set_action(std::string(action));
  entry.set_subject(std::string(subject));
  entry.set_detail(fit_text(detail, 2'048));
  entry.set_previous(head ? head->hash() : std::string(32, '\0'));
  entry.set_hash(hash_of(entry));
  save_row(rows, Table::kAudit, key_u64(entry.number()), entry);
  save_row(rows, Table::kMeta, kHeadKey, entry);
}

std::vector<pb::AuditEntry> audit_after(Rows& rows, uint64_t number, size_t entries_max) {
  std::vector<pb::AuditEntry> out;
  rows.scan(Table::kAudit, "", key_u64(number + 1), [&](std::string_view, std::string_view value) {
    pb::AuditEntry entry;
    if (parse_row(value, entry)) out.push_back(std::move(entry));
    return out.size() < entries_max;
  });
  return out;
}

std::optional<uint64_t> first_broken_audit(Rows& rows) {
  std::optional<uint64_t> broken;
  uint64_t expected = 1;
  std::string previous(32, '\0');
  rows.scan(Table::kAudit, "", "", [&](std::string_view, std::string_view value) {
    pb::AuditEntry entry;
    if (!parse_row(value, entry) || entry.number() != expected || entry.previous() != previous ||
        entry.hash() != hash_of(entry)) {
      broken = expected;
      return false;
    }
    previous = entry.hash();
    ++expected;
    return true;
  });
  if (broken) return broken;
  const auto head = load_row<pb::AuditEntry>(rows, Table::kMeta, kHeadKey);
  if ((head ? head->number() : 0) != expected - 1 || (head && head->hash() != previous)) return expected;
  return std::nullopt;
}

}  // namespace wb::hub
