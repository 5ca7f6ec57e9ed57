#include "edge/agent/pipeline.h"

#include <algorithm>
#include <bit>

#include "edge/agent/pipeline_parts.h"

namespace wb {
namespace {

uint64_t varint_bytes(uint64_t value) { return (static_cast<uint64_t>(std::bit_width(value | 1)) + 6) / 7; }
uint64_t zigzag(int64_t value) { return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63); }
uint64_t text_field_bytes(uint64_t size) { return 1 + varint_bytes(size) + size; }

// What protobuf would make of the row, without making it. The test compares it with real encodings.
uint64_t encoded_bytes(const Batch& batch, size_t row, uint64_t fixed_bytes) {
  uint64_t bytes = fixed_bytes;
  const int64_t time = batch.event_time_ms[row];
  if (time != 0) bytes += 1 + varint_bytes(zigzag(time));
  uint64_t numbers_count = 0;
  for (const Column& column : batch.columns) {
    if (column.type == ColumnType::kNumber)
      ++numbers_count;
    else
      bytes += text_field_bytes(column.texts[row].size());
  }
  if (numbers_count > 0) bytes += text_field_bytes(8 * numbers_count);
  return bytes;
}

void grow(google::protobuf::RepeatedField<uint64_t>& bins, int size) {
  while (bins.size() < size) bins.Add(0);
}

void add_bins(const google::protobuf::RepeatedField<uint64_t>& from, google::protobuf::RepeatedField<uint64_t>& to) {
  grow(to, from.size());
  for (int i = 0; i < from.size(); ++i) to.Set(i, to.Get(i) + from.Get(i));
}

constexpr int kConfidenceBins = 20;
constexpr int kNoveltyBins = 20;
constexpr float kNoveltyBinWidth = 0.25F;

route::VerdictsView view_of(const infer::Scored& scored) {
  return {scored.label, scored.score, scored.confidence, scored.novelty, scored.finite};
}

}  // namespace

void add_sketch(const wire::ScoreSketch& increment, wire::ScoreSketch& total) {
  add_bins(increment.confidence_bins(), *total.mutable_confidence_bins());
  add_bins(increment.label_counts(), *total.mutable_label_counts());
  add_bins(increment.latency_bins_us(), *total.mutable_latency_bins_us());
  add_bins(increment.novelty_bins(), *total.mutable_novelty_bins());
  if (total.labels_size() == 0) *total.mutable_labels() = increment.labels();
  total.set_records(total.records() + increment.records());
  total.set_errors(total.errors() + increment.errors());
}

void Pipeline::Parts::note_scores(wire::ScoreSketch& sketch) const {
  const std::vector<std::string>& labels = inferrer->labels();
  for (const std::string& label : labels) sketch.add_labels(label);
  grow(*sketch.mutable_label_counts(), static_cast<int>(labels.size()));
  grow(*sketch.mutable_confidence_bins(), kConfidenceBins);
  grow(*sketch.mutable_novelty_bins(), kNoveltyBins);
  uint64_t* const label_counts = sketch.mutable_label_counts()->mutable_data();
  uint64_t* const confidence_bins = sketch.mutable_confidence_bins()->mutable_data();
  uint64_t* const novelty_bins = sketch.mutable_novelty_bins()->mutable_data();
  for (size_t row = 0; row < scored.finite.size(); ++row) {
    if (scored.finite[row] == 0) continue;
    if (scored.label[row] >= 0) ++label_counts[scored.label[row]];
    ++confidence_bins[engine::confidence_bin(static_cast<double>(scored.confidence[row]))];
    const float novelty_bin = std::min(scored.novelty[row] / kNoveltyBinWidth, static_cast<float>(kNoveltyBins - 1));
    ++novelty_bins[static_cast<size_t>(novelty_bin)];
  }
  sketch.set_records(scored.finite.size());
  sketch.set_errors(scored.not_finite_count);
}

void Pipeline::Parts::encode_row(const Batch& batch, size_t row, int64_t now_unix_ms, const route::Decision& decision,
                                 outbox::Offer& offer) {
  wire::RecordUp& record = record_scratch;
  record.Clear();
  record.set_pipeline(name);
  record.set_release(options.release_digest);
  record.set_schema(record_schema_id);
  record.set_event_time_ms(batch.event_time_ms[row]);
  record.set_rule(static_cast<uint32_t>(*decision.rule));
  record.set_inclusion_probability(decision.probability);
  record.set_taken_unix_ms(now_unix_ms);
  for (const Column& column : batch.columns) {
    if (column.type == ColumnType::kNumber)
      record.add_numbers(column.numbers[row]);
    else
      record.add_texts(column.texts[row]);
  }
  if (inferrer) {
    wire::Verdict& verdict = *record.mutable_verdict();
    if (scored.label[row] >= 0) verdict.set_label(inferrer->labels()[static_cast<size_t>(scored.label[row])]);
    verdict.set_score(scored.score[row]);
    verdict.set_confidence(scored.confidence[row]);
    verdict.set_novelty(scored.novelty[row]);
  }
  offer.lane = decision.lane;
  offer.rule = *decision.rule;
  offer.probability = decision.probability;
  offer.draw = decision.uniform;
  offer.value = decision.value;
  offer.taken_unix_ms = now_unix_ms;
  offer.record = wire::encode(record);
}

void Pipeline::Parts::score(const Batch& batch, PipelineOutcome& out) {
  if (!inferrer) {
    // Without a model a row that comes through whole is all the evidence there is, and probation needs some.
    out.sketch.set_records(out.sketch.records() + batch.rows_count());
    return;
  }
  inferrer->run(batch, scored);
  out.counters.scored += batch.rows_count();
  out.counters.not_finite += scored.not_finite_count;
  wire::ScoreSketch increment;
  note_scores(increment);
  add_sketch(increment, out.sketch);
}

void Pipeline::Parts::route_rows(const Batch& batch, int64_t now_unix_ms, PipelineOutcome& out) {
  router.run(batch, view_of(scored), routed);
  for (size_t row = 0; row < batch.rows_count(); ++row) {
    const route::Decision& decision = routed.decisions[row];
    if (!decision.selected) {
      ++out.counters.not_sent;
      continue;
    }
    outbox::Offer offer;
    encode_row(batch, row, now_unix_ms, decision, offer);
    if (offer.record.size() > limits::kRecordBytesMax) {
      ++out.counters.oversized;
      continue;
    }
    ++out.counters.selected;
    out.offers.push_back(std::move(offer));
  }
  out.counters.acts += routed.acts.size();
  out.counters.acts_dropped += routed.acts_dropped_count;
  std::move(routed.acts.begin(), routed.acts.end(), std::back_inserter(out.acts));
}

// Everything that comes out of the chain goes to `each`, in portions of at most Batch::kRowsMax.
template <class Each>
void Pipeline::Parts::through(Batch batch, bool end, int64_t now_unix_ms, const Each& each) {
  Batch out = end ? chain.flush(now_unix_ms) : chain.run(std::move(batch), now_unix_ms);
  while (true) {
    if (out.rows_count() > 0) each(out);
    if (!chain.pending()) return;
    out = end ? chain.flush(now_unix_ms) : chain.run(Batch::with_schema(input), now_unix_ms);
  }
}

PipelineOutcome Pipeline::Parts::process(Batch batch, bool end, bool shadow, int64_t now_unix_ms) {
  PipelineOutcome out;
  out.counters.rows_in = batch.rows_count();
  for (size_t row = 0; row < batch.rows_count(); ++row)
    out.counters.bytes_seen += encoded_bytes(batch, row, seen_fixed_bytes);
  through(std::move(batch), end, now_unix_ms, [&](const Batch& rows) {
    score(rows, out);
    if (!shadow) route_rows(rows, now_unix_ms, out);
  });
  uint64_t filtered = 0;
  uint64_t late = 0;
  for (const transform::Count& count : chain.counters()) {
    if (count.reason == "filtered") filtered += count.count;
    if (count.reason == "late" || count.reason == "ahead") late += count.count;
  }
  out.counters.filtered = filtered - filtered_before;
  out.counters.late = late - late_before;
  filtered_before = filtered;
  late_before = late;
  return out;
}

std::vector<Pipeline::Explained> Pipeline::Parts::explain(Batch batch, bool end, int64_t now_unix_ms) {
  std::vector<Explained> out;
  through(std::move(batch), end, now_unix_ms, [&](const Batch& rows) {
    if (inferrer) inferrer->run(rows, scored);
    for (size_t row = 0; row < rows.rows_count(); ++row) {
      Explained line{rows.row_text(row), "", router.explain(rows, view_of(scored), row)};
      if (inferrer && scored.finite[row] == 0) {
        line.verdict = "not finite";
      } else if (inferrer) {
        const int32_t label = scored.label[row];
        line.verdict = label >= 0 ? "label=" + inferrer->labels()[static_cast<size_t>(label)] +
                                        " confidence=" + shortest(scored.confidence[row])
                                  : "value=" + shortest(scored.score[row]);
        line.verdict += " novelty=" + shortest(scored.novelty[row]);
      }
      out.push_back(std::move(line));
    }
  });
  return out;
}

void Pipeline::Parts::measure() {
  // rule (2 bytes), inclusion probability (9), taken_unix_ms (today's stamps take 6 bytes, 1 tag) and the texts
  seen_fixed_bytes = 2 + 9 + 7 + text_field_bytes(name.size()) + text_field_bytes(input.id().size());
  if (!options.release_digest.empty()) seen_fixed_bytes += text_field_bytes(options.release_digest.size());
}

Pipeline::Pipeline(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Pipeline::~Pipeline() = default;
Pipeline::Pipeline(Pipeline&&) noexcept = default;
Pipeline& Pipeline::operator=(Pipeline&&) noexcept = default;

const std::string& Pipeline::name() const { return parts_->name; }
const Schema& Pipeline::input_schema() const { return parts_->input; }
source::ParserConfig Pipeline::parser_config(source::Format format) const {
  return {parts_->input, format, parts_->event_time, parts_->refuse_extra};
}
const Schema& Pipeline::record_schema() const { return parts_->record_schema; }
const std::vector<source::SourceConfig>& Pipeline::sources() const { return parts_->sources; }
const std::vector<route::Action>& Pipeline::actions() const { return parts_->router.actions(); }
const std::vector<std::string>& Pipeline::labels() const {
  static const std::vector<std::string> none;
  return parts_->inferrer ? parts_->inferrer->labels() : none;
}
bool Pipeline::holds_rows() const { return parts_->chain.holds_rows(); }
bool Pipeline::has_model() const { return parts_->inferrer.has_value(); }
bool Pipeline::uploads() const { return parts_->router.uploads(); }
int64_t Pipeline::budget_bytes_per_day() const { return parts_->router.budget_bytes_per_day(); }
const std::vector<std::string>& Pipeline::unchecked() const { return parts_->unchecked; }

PipelineOutcome Pipeline::run(Batch batch, int64_t now_unix_ms) {
  return parts_->process(std::move(batch), false, false, now_unix_ms);
}
PipelineOutcome Pipeline::flush(int64_t now_unix_ms) {
  return parts_->process(Batch::with_schema(parts_->input), true, false, now_unix_ms);
}
PipelineOutcome Pipeline::shadow(Batch batch, int64_t now_unix_ms) {
  return parts_->process(std::move(batch), false, true, now_unix_ms);
}
std::vector<Pipeline::Explained> Pipeline::explain(Batch batch, int64_t now_unix_ms) {
  return parts_->explain(std::move(batch), false, now_unix_ms);
}
std::vector<Pipeline::Explained> Pipeline::explain_flush(int64_t now_unix_ms) {
  return parts_->explain(Batch::with_schema(parts_->input), true, now_unix_ms);
}

std::optional<outbox::Offer> Pipeline::dead_letter(std::string_view raw, std::string_view reason,
                                                   int64_t now_unix_ms) const {
  const auto decision = parts_->router.dead_letter(raw);
  if (!decision) return std::nullopt;
  wire::RecordUp record;
  record.set_pipeline(parts_->name);
  record.set_release(parts_->options.release_digest);
  record.set_event_time_ms(now_unix_ms);
  record.set_rule(static_cast<uint32_t>(Rule::kDeadLetter));
  record.set_inclusion_probability(1);
  record.set_raw(std::string(raw.substr(0, limits::kDeadLetterRawBytesMax)));
  record.set_reason(valid_text(reason, kReasonBytesMax));
  record.set_taken_unix_ms(now_unix_ms);
  outbox::Offer offer;
  offer.lane = Lane::kDeadLetter;
  offer.rule = Rule::kDeadLetter;
  offer.draw = decision->uniform;
  offer.value = decision->value;
  offer.taken_unix_ms = now_unix_ms;
  offer.record = wire::encode(record);
  return offer;
}

}  // namespace wb
