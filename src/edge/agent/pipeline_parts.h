#pragma once
// What a Pipeline is made of. pipeline_build.cpp makes it, pipeline.cpp runs it; nobody else includes this.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/utf8.h"
#include "edge/agent/pipeline.h"
#include "edge/infer/infer.h"

namespace wb {

inline constexpr size_t kReasonBytesMax = 256;

struct Pipeline::Parts {
  PipelineOptions options;
  std::string name;
  Schema input;
  std::string event_time;
  bool refuse_extra = false;
  std::vector<source::SourceConfig> sources;
  transform::Chain chain;
  std::optional<infer::Inferrer> inferrer;
  route::Router router;
  Schema record_schema;
  std::string record_schema_id;
  std::vector<std::string> unchecked;

  uint64_t seen_fixed_bytes = 0;  // of an input row as a record: all but its values and its time
  uint64_t filtered_before = 0;   // the chain counts since build, an outcome since the last one
  uint64_t late_before = 0;
  infer::Scored scored;  // reused from batch to batch; empty without a model
  route::Routed routed;
  wire::RecordUp record_scratch;

  void measure();
  void score(const Batch& batch, PipelineOutcome& out);
  void note_scores(wire::ScoreSketch& sketch) const;
  void route_rows(const Batch& batch, int64_t now_unix_ms, PipelineOutcome& out);
  void encode_row(const Batch& batch, size_t row, int64_t now_unix_ms, const route::Decision& decision,
                  outbox::Offer& offer);
  template <class Each>
  void through(Batch batch, bool end, int64_t now_unix_ms, const Each& each);
  PipelineOutcome process(Batch batch, bool end, bool shadow, int64_t now_unix_ms);
  std::vector<Explained> explain(Batch batch, bool end, int64_t now_unix_ms);
};

}  // namespace wb
