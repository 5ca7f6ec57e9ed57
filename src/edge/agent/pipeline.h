#pragma once
// Pipeline: one YAML file made runnable. Composes source schema → transforms → infer → route, and turns what the rules
// selected into encoded records for the outbox. Pure data plane: batches in, outcomes out; clocks, sockets and latency
// are world's business and arrive as arguments.
//
// Building is checking: every fault of the file is a Problem with its place and the nearest valid name, and lint is
// nothing but a build whose problems are printed. The same Pipeline serves the incumbent (run) and a candidate in
// probation (shadow: transforms and scores the same input, selects and performs nothing).
//
// Not thread-safe: one caller at a time.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/document.h"
#include "base/result.h"
#include "base/spec.h"
#include "edge/outbox/outbox.h"
#include "edge/route/route.h"
#include "edge/source/source.h"
#include "edge/transform/transform.h"
#include "record/record.h"
#include "wire/wire.h"

namespace wb {

struct BlobView {
  std::string_view name;  // "model/main"
  std::string_view bytes;
};

struct PipelineOptions {
  std::string node_id;
  std::string release_digest;        // "" in local mode
  uint64_t seed = 0;                 // of selection (B3); durable on the node
  bool allow_missing_model = false;  // lint without a model at hand: what cannot be checked is listed in unchecked()
};

struct PipelineCounters {
  uint64_t rows_in = 0;
  uint64_t filtered = 0;  // by filter
  uint64_t late = 0;      // by window: behind its lateness, or too far ahead
  uint64_t scored = 0;
  uint64_t not_finite = 0;  // part of scored
  uint64_t selected = 0;    // offered
  uint64_t not_sent = 0;    // decided here: routed, not selected
  uint64_t oversized = 0;   // selected, but over limits::kRecordBytesMax once encoded: dropped
  uint64_t acts = 0;
  uint64_t acts_dropped = 0;
  uint64_t bytes_seen = 0;  // of the input rows as records without verdict: what uploading everything would have cost
};

struct PipelineOutcome {
  std::vector<outbox::Offer> offers;  // wire::RecordUp without seq
  std::vector<route::Act> acts;
  PipelineCounters counters;
  wire::ScoreSketch sketch;  // increments of this batch; latency_bins_us stays empty
};

// Adds increments: bins by index, label counts by index (the labels of one model never change order).
void add_sketch(const wire::ScoreSketch& increment, wire::ScoreSketch& total);

class Pipeline {
 public:
  // Every fault goes to `problems`; the error is kInvalid and says how many there are. `document` may be dropped after.
  static Result<Pipeline> build(const Document& document, std::span<const BlobView> blobs,
                                const PipelineOptions& options, Problems& problems);
  // The model that `infer` names, so that the caller can load "model/<name>" before build(); nullopt without `infer`.
  static std::optional<std::string> model_name(const Document& document);
  // Every Spec of the file format by section, for the JSON schema and the reference page.
  struct Section {
    std::string
        name;  // "pipeline", "schema", "source", "transforms", "infer", "route", "route.actions", "sync", "sync.rules"
    bool components;  // a list of single-key components; false: one map with these fields
    std::vector<Spec> specs;
  };
  static std::vector<Section> sections();

  ~Pipeline();
  Pipeline(Pipeline&&) noexcept;
  Pipeline& operator=(Pipeline&&) noexcept;

  const std::string& name() const;
  source::ParserConfig parser_config(source::Format format) const;  // for a Parser or Stream per source
  const Schema& input_schema() const;                               // what sources must deliver
  const Schema& record_schema() const;  // of what is scored and uploaded; goes up with the records
  const std::vector<source::SourceConfig>& sources() const;
  const std::vector<route::Action>& actions() const;
  const std::vector<std::string>& labels() const;  // empty without a classifier
  bool holds_rows() const;  // there is a window: call flush() at the end, and run() to keep time going
  bool has_model() const;
  bool uploads() const;
  int64_t budget_bytes_per_day() const;
  const std::vector<std::string>& unchecked() const;  // sentences; empty when all was checked

  PipelineOutcome run(Batch batch, int64_t now_unix_ms);
  // The input has ended: closes every open window.
  PipelineOutcome flush(int64_t now_unix_ms);
  // Transforms and scores only.
  PipelineOutcome shadow(Batch batch, int64_t now_unix_ms);
  // Input that could not be read. nullopt if the rules let nothing leave the node.
  std::optional<outbox::Offer> dead_letter(std::string_view raw, std::string_view reason, int64_t now_unix_ms) const;

  // For `pipeline test`: every row after the transforms with its verdict and the decision in words.
  struct Explained {
    std::string row;
    std::string verdict;
    std::string decision;
  };
  std::vector<Explained> explain(Batch batch, int64_t now_unix_ms);
  std::vector<Explained> explain_flush(int64_t now_unix_ms);

 private:
  struct Parts;
  explicit Pipeline(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace wb
