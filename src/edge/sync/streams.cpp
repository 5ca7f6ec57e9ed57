// The stream part of a request: what the outbox planned and the store gave back, as messages.
#include "edge/sync/sync.h"

#include <algorithm>

namespace wb::sync {
namespace {

// One record that the hub would refuse must not hold up all that stand behind it.
bool read(std::string_view bytes, wire::RecordUp& record) {
  if (bytes.empty() || bytes.size() > limits::kRecordBytesMax) return false;
  if (!record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return false;
  const double probability = record.inclusion_probability();
  const size_t longest = std::max({record.pipeline().size(), record.release().size(), record.schema().size()});
  return probability > 0 && probability <= 1 && longest <= limits::kLabelBytesMax &&
         record.numbers_size() + record.texts_size() <= static_cast<int>(Schema::kFieldsMax);
}

}  // namespace

std::vector<Unreadable> build_streams(const std::vector<StreamPartView>& parts, wire::ExchangeRequest& request) {
  std::vector<Unreadable> unreadable;
  for (const StreamPartView& part : parts) {
    wire::StreamUp& stream = *request.add_streams();
    stream.set_lane(static_cast<uint32_t>(part.lane));
    stream.set_after_seq(part.after_seq);
    stream.set_through_seq(part.through_seq);
    stream.set_evicted_count(part.evicted_count);
    uint64_t lost_count = part.lost_count;
    bool thinned = false;
    for (const StreamRecord& it : part.records) {
      wire::RecordUp record;
      if (!read(it.record, record)) {
        unreadable.push_back(Unreadable{part.lane, it.seq});
        ++lost_count;
        continue;
      }
      record.set_seq(it.seq);
      *stream.add_records() = std::move(record);
      stream.add_thinning(it.thinning);
      thinned |= it.thinning < 1;
    }
    if (!thinned) stream.clear_thinning();
    stream.set_lost_count(lost_count);
  }
  return unreadable;
}

}  // namespace wb::sync
