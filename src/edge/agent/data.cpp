// Batches in: what serves scores and decides, the outbox takes what the rules selected, and the producer is answered.
#include <algorithm>
#include <iterator>

#include "base/planted.h"
#include "edge/agent/core.h"

namespace wb {
namespace {

constexpr int64_t kLazyMs = 10'000;                  // for counters that nobody waits for: bounds the flash writes (W1)
constexpr int64_t kLastCenturyMs = 946'684'800'000;  // of a planted bug

}  // namespace

void Agent::Core::answer_busy(uint64_t answer_id, uint64_t& counter) {
  ++counter;
  if (answer_id == 0) return;
  agent::Answer answer;
  answer.answer_id = answer_id;
  answer.verdict = agent::Answer::Verdict::kBusy;
  effects_.push_back(std::move(answer));
}

void Agent::Core::on(agent::SourceBatch&& source) {
  const Pipeline* serves = serving();
  if (serves == nullptr || (source.epoch != epoch_ && !(source.batch.schema == serves->input_schema())))
    return answer_busy(source.answer_id, stale_epoch_);
  if (store_failing_ || !no_space_.empty() || pending_.size() >= agent::kPendingStoresMax ||
      waiting_answers_ >= agent::kWaitingAnswersMax)
    return answer_busy(source.answer_id, busy_refused_);
  if (planted(Bug::kWaitsForClock) && now_.unix_ms < kLastCenturyMs)
    return answer_busy(source.answer_id, busy_refused_);

  const uint64_t rows = source.batch.rows_count();
  counters_.set_records_in(counters_.records_in() + rows + source.faults_count);
  counters_.set_records_rejected(counters_.records_rejected() + source.faults_count);

  std::vector<outbox::Offer> offers;
  size_t letters = 0;
  for (const agent::SourceBatch::Fault& fault : source.faults) {
    if (++letters > agent::kDeadLettersPerBatchMax) break;
    auto letter = serves->dead_letter(fault.raw, fault.text, now_.unix_ms);
    if (!letter) break;
    counters_.set_dead_letters(counters_.dead_letters() + 1);
    offers.push_back(std::move(*letter));
  }
  if (candidate_ && !candidate_serves_ && rows > 0 && !shadow_batch_) {
    shadow_batch_ = source.batch;
    effects_.push_back(agent::Shadow{});
  }
  if (rows > 0) {
    Pipeline& pipeline = candidate_serves_ ? *candidate_ : *running_;
    take(pipeline.run(std::move(source.batch), now_.unix_ms), offers);
  }
  if (!source.position_key.empty()) {
    positions_[source.position_key] = std::move(source.position_value);
    dirty_positions_.insert(source.position_key);
  }
  counters_dirty_ = true;

  std::optional<agent::Answer> answer;
  if (source.answer_id != 0) {
    answer.emplace();
    answer->answer_id = source.answer_id;
    answer->rows_accepted = rows;
    answer->faults_count = source.faults_count;
    for (agent::SourceBatch::Fault& fault : source.faults) answer->faults.push_back(std::move(fault.text));
    if (source.faults_count > 0) answer->verdict = agent::Answer::Verdict::kRejectedRows;
  }
  keep(std::move(offers), std::move(answer));
  feed_scores();
}

void Agent::Core::take(PipelineOutcome&& outcome, std::vector<outbox::Offer>& offers) {
  counters_.set_records_filtered(counters_.records_filtered() + outcome.counters.filtered + outcome.counters.late);
  counters_.set_records_scored(counters_.records_scored() + outcome.counters.scored);
  counters_.set_records_not_sent(counters_.records_not_sent() + outcome.counters.not_sent);
  counters_.set_bytes_seen(counters_.bytes_seen() + outcome.counters.bytes_seen);
  if (candidate_serves_) {
    add_sketch(outcome.sketch, candidate_sketch_);
  } else {
    add_sketch(outcome.sketch, running_sketch_);
    if (candidate_) add_sketch(outcome.sketch, incumbent_sketch_);
  }
  std::move(outcome.offers.begin(), outcome.offers.end(), std::back_inserter(offers));
  const auto& actions = serving()->actions();
  for (route::Act& act : outcome.acts) effects_.push_back(agent::Act{actions[act.action], std::move(act.payload)});
  counters_.set_actions(counters_.actions() + outcome.acts.size());
}

void Agent::Core::keep(std::vector<outbox::Offer> offers, std::optional<agent::Answer> answer) {
  if (offers.empty()) {
    if (answer) effects_.push_back(std::move(*answer));
    lazy_wake_ = earlier(lazy_wake_, after_ms(now_.mono, kLazyMs));
    return;
  }
  if (planted(Bug::kPositionAheadOfData)) store({});
  std::vector<StoreOp> ops;
  note_schema(ops);
  const outbox::Taken taken = outbox_.offer(now_.mono, std::move(offers), ops);
  if (taken.refused_count > 0)
    log(agent::Log::Level::kWarning, "outbox refused " + std::to_string(taken.refused_count) + " malformed records");
  store_soon(std::move(ops), std::move(answer));
  tell_waiting();
}

// The schema of records that wait must be known after a restart too, for they go up together.
void Agent::Core::note_schema(std::vector<StoreOp>& ops) {
  const Pipeline* serves = serving();
  if (serves == nullptr) return;
  const std::string id = serves->record_schema().id();
  if (schemas_.contains(id)) return;
  wire::SchemaDef added = wire::to_wire(serves->record_schema());
  size_t bytes = added.ByteSizeLong();
  for (const auto& [known, schema] : schemas_) bytes += schema.ByteSizeLong();
  while (!schemas_.empty() && (schemas_.size() >= kSchemasMax || bytes > kSchemasBytesMax)) {
    bytes -= schemas_.begin()->second.ByteSizeLong();
    ops.push_back(StoreOp{NodeTable::kState, "schema/" + schemas_.begin()->first, {}, true});
    schemas_.erase(schemas_.begin());
  }
  schemas_[id] = std::move(added);
  ops.push_back(StoreOp{NodeTable::kState, "schema/" + id, wire::encode(schemas_[id]), false});
}

// The input has ended: what windows still hold becomes records now.
void Agent::Core::on(agent::SourcesEnded&& ended) {
  if (serving() == nullptr || store_failing_ || ended.epoch != epoch_) return;
  Pipeline& pipeline = candidate_serves_ ? *candidate_ : *running_;
  std::vector<outbox::Offer> offers;
  take(pipeline.flush(now_.unix_ms), offers);
  counters_dirty_ = true;
  keep(std::move(offers), std::nullopt);
  store_lazily();
  feed_scores();
}

void Agent::Core::on(agent::ShadowRun&&) {
  if (!shadow_batch_) return;
  Batch batch = std::move(*shadow_batch_);
  shadow_batch_.reset();
  if (!candidate_ || candidate_serves_) return;
  if (planted(Bug::kShadowSends)) keep(candidate_->run(Batch(batch), now_.unix_ms).offers, std::nullopt);
  add_sketch(candidate_->shadow(std::move(batch), now_.unix_ms).sketch, candidate_sketch_);
  feed_scores();
}

// Microseconds per record, in powers of two from 1 µs.
void Agent::Core::on(agent::Latency&& latency) {
  if (latency.rows == 0) return;
  const uint32_t per_row_us = latency.us / latency.rows;
  int bin = 0;
  while (bin < 23 && (1U << bin) <= per_row_us) ++bin;
  const auto count = [&](wire::ScoreSketch& sketch) {
    while (sketch.latency_bins_us_size() < 24) sketch.add_latency_bins_us(0);
    sketch.set_latency_bins_us(bin, sketch.latency_bins_us(bin) + latency.rows);
  };
  if (latency.candidate || candidate_serves_) return count(candidate_sketch_);
  count(running_sketch_);
  if (candidate_) count(incumbent_sketch_);
}

}  // namespace wb
