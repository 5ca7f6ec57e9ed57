// `waybill pipeline`: checks a pipeline file, tries it on data, and prints what the file format is.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <utility>

#include "apps/waybill/commands.h"
#include "apps/waybill/pipeline_docs.h"
#include "base/bytes.h"
#include "edge/agent/pipeline.h"
#include "world/files.h"
#include "world/yaml.h"

namespace wb::cli {
namespace {

struct Options {
  std::string file;
  std::string model;
  std::string data;
  std::string format;
  std::string output = "table";
  uint64_t seed = 1;
  uint64_t limit = 0;
};

constexpr size_t kModelBytesMax = 64U << 20;
constexpr size_t kChunkBytes = 1U << 20;

struct Loaded {
  Document document;
  std::string model_name;   // "" = the pipeline has no model
  std::string model_bytes;  // "" = not at hand
};

std::string folder_of(const Options& options) {
  const size_t slash = options.file.find_last_of('/');
  return slash == std::string::npos ? "" : options.file.substr(0, slash + 1);
}

// --model, else a file beside the pipeline: <name>.wbm or <name>.
Loaded load(const Options& options) {
  auto document = world::load_yaml(options.file, world::process_env());
  if (!document.ok())
    throw Exit{document.error().code == Code::kNotFound ? kFailed : kBadConfiguration, document.error().text};
  Loaded out{std::move(*document), "", ""};
  const auto name = Pipeline::model_name(out.document);
  if (!name) {
    if (!options.model.empty() && out.document.find("infer") == nullptr)
      throw Exit{kUsage, "--model is given, but " + options.file + " has no 'infer'"};
    return out;
  }
  out.model_name = *name;
  const std::string folder = folder_of(options);
  std::string path = options.model;
  if (path.empty())
    for (const std::string& candidate : {folder + *name + ".wbm", folder + *name})
      if (path.empty() && name->find('/') == std::string::npos && world::file_exists(candidate)) path = candidate;
  if (path.empty()) return out;
  auto bytes = world::read_file(path, kModelBytesMax);
  if (!bytes.ok()) throw Exit{kFailed, bytes.error().text};
  out.model_bytes = std::move(*bytes);
  return out;
}

// ", or name 'pump', which is beside it" if a package there has nearly this name.
std::string nearest_model(const Options& options, const std::string& name) {
  std::vector<std::string> names;
  std::error_code ignored;
  const std::string folder = folder_of(options);
  for (const auto& entry : std::filesystem::directory_iterator(folder.empty() ? "." : folder, ignored))
    if (entry.path().extension() == ".wbm") names.push_back(entry.path().stem().string());
  const auto near = nearest(name, names);
  return near ? ", or write infer.model: " + *near + ", which is beside the pipeline" : "";
}

Result<Pipeline> build(const Loaded& loaded, const Options& options, bool allow_missing, Problems& problems) {
  const std::string blob_name = "model/" + loaded.model_name;
  std::vector<BlobView> blobs;
  if (!loaded.model_bytes.empty()) blobs.push_back({blob_name, loaded.model_bytes});
  PipelineOptions build_options;
  build_options.node_id = "test";
  build_options.seed = options.seed;
  build_options.allow_missing_model = allow_missing;
  return Pipeline::build(loaded.document, blobs, build_options, problems);
}

Pipeline build_or_exit(const Loaded& loaded, const Options& options, bool allow_missing) {
  Problems problems;
  auto pipeline = build(loaded, options, allow_missing, problems);
  if (pipeline.ok()) return std::move(pipeline).value();
  std::fputs(problems.format(options.file).c_str(), stderr);
  throw Exit{kBadConfiguration, options.file + ": " + pipeline.error().text};
}

void lint_json(const Loaded& loaded, const Options& options) {
  Problems problems;
  const auto pipeline = build(loaded, options, true, problems);
  nlohmann::json out{{"file", options.file}, {"ok", pipeline.ok()}, {"problems", nlohmann::json::array()}};
  for (const Problem& problem : problems.items())
    out["problems"].push_back({{"line", problem.at.line}, {"column", problem.at.column}, {"text", problem.text}});
  out["unchecked"] = pipeline.ok() ? pipeline->unchecked() : std::vector<std::string>{};
  std::printf("%s\n", out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  if (!pipeline.ok()) throw Exit{kBadConfiguration, ""};
}

void lint(const Options& options) {
  const Loaded loaded = load(options);
  if (options.output == "json") return lint_json(loaded, options);
  const Pipeline pipeline = build_or_exit(loaded, options, true);
  std::printf("%s: ok: %s\n", options.file.c_str(), summary_of(pipeline).c_str());
  for (const std::string& sentence : pipeline.unchecked())
    std::printf("%s: not checked: %s. Give it with --model FILE%s.\n", options.file.c_str(), sentence.c_str(),
                nearest_model(options, loaded.model_name).c_str());
  if (pipeline.sources().empty())
    std::printf("%s: warning: it has no 'source': an agent that runs it takes nothing in\n", options.file.c_str());
}

source::Format format_of(const Options& options) {
  std::string name = options.format;
  if (name.empty()) {
    const size_t dot = options.data.find_last_of('.');
    name = dot == std::string::npos ? "" : options.data.substr(dot + 1);
    if (name == "jsonl") name = "ndjson";
  }
  const auto format = source::format_by_name(name);
  if (!format || *format == source::Format::kJson)
    throw Exit{kUsage, options.data + ": cannot tell the format from the name; give --format csv or --format ndjson"};
  return *format;
}

// One run over the data file: what is printed comes from `explained`, the counts from `counted`, which is its twin.
class Trial {
 public:
  Trial(const Options& options, Pipeline explained, Pipeline counted)
      : options_(options),
        explained_(std::move(explained)),
        counted_(std::move(counted)),
        stream_(explained_.parser_config(format_of(options))) {
    now_ms_ = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
                  .count();
  }

  void run() {
    std::ifstream in(options_.data, std::ios::binary);
    if (!in) throw Exit{kFailed, options_.data + ": cannot be opened; check the path and its permissions"};
    std::string chunk(kChunkBytes, '\0');
    while (in.read(chunk.data(), static_cast<std::streamsize>(chunk.size())), in.gcount() > 0) {
      take(stream_.feed({chunk.data(), static_cast<size_t>(in.gcount())}, now_ms_));
      while (stream_.pending()) take(stream_.feed({}, now_ms_));
    }
    do take(stream_.finish(now_ms_));
    while (stream_.pending());
    print(explained_.explain_flush(now_ms_));
    count(counted_.flush(now_ms_));
    finish();
  }

 private:
  void take(source::ParseOutcome outcome) {
    faults_ += outcome.faults_count;
    for (const source::RowFault& fault : outcome.faults) {
      const std::string reason = fault.text.substr(fault.text.starts_with("row ") ? fault.text.find(": ") + 2 : 0);
      // One bad header makes every row bad: a reason is told once in a row, and all are counted at the end.
      if (reason != std::exchange(last_reason_, reason) && ++faults_shown_ <= kFaultsShownMax)
        std::fprintf(stderr, "%s: %s\n", options_.data.c_str(), fault.text.c_str());
      if (const auto offer = counted_.dead_letter(fault.raw, fault.text, now_ms_)) add(*offer);
    }
    Batch copy = outcome.batch;
    print(explained_.explain(std::move(copy), now_ms_));
    count(counted_.run(std::move(outcome.batch), now_ms_));
  }

  void print(const std::vector<Pipeline::Explained>& lines) {
    for (const Pipeline::Explained& line : lines) {
      if (options_.limit > 0 && shown_ >= options_.limit) return;
      ++shown_;
      if (options_.output == "json") {
        const nlohmann::json object{{"row", line.row}, {"verdict", line.verdict}, {"decision", line.decision}};
        std::printf("%s\n", object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
      } else if (line.verdict.empty()) {
        std::printf("%s → %s\n", line.row.c_str(), line.decision.c_str());
      } else {
        std::printf("%s → %s → %s\n", line.row.c_str(), line.verdict.c_str(), line.decision.c_str());
      }
    }
  }

  void add(const outbox::Offer& offer) {
    auto& [records, bytes] = by_rule_[offer.rule];
    ++records;
    bytes += offer.record.size();
  }
  void count(const PipelineOutcome& outcome) {
    for (const outbox::Offer& offer : outcome.offers) add(offer);
    const PipelineCounters& more = outcome.counters;
    rows_ += more.rows_in;
    filtered_ += more.filtered;
    late_ += more.late;
    kept_ += more.not_sent;
    acts_ += more.acts + more.acts_dropped;
    bytes_seen_ += more.bytes_seen;
  }

  void finish() const {
    const auto number = [](uint64_t value) { return static_cast<unsigned long long>(value); };
    std::fprintf(stderr,
                 "%llu rows read, %llu could not be read, %llu filtered, %llu late, %llu decided here, %llu actions\n",
                 number(rows_), number(faults_), number(filtered_), number(late_), number(kept_), number(acts_));
    uint64_t bytes_sent = 0;
    for (const auto& [rule, sum] : by_rule_) {
      std::fprintf(stderr, "  sent by %-15s %8llu records  %s\n", std::string(rule_name(rule)).c_str(),
                   number(sum.first), format_size_bytes(static_cast<int64_t>(sum.second)).c_str());
      bytes_sent += sum.second;
    }
    if (bytes_seen_ > 0)
      std::fprintf(stderr, "  %.2f%% of the bytes that sending everything would take; budget a day: %s\n",
                   100.0 * static_cast<double>(bytes_sent) / static_cast<double>(bytes_seen_),
                   counted_.uploads() ? format_size_bytes(counted_.budget_bytes_per_day()).c_str() : "nothing is sent");
    if (rows_ + faults_ == 0) throw Exit{kFailed, options_.data + ": there is no record in it: nothing was tried"};
    if (faults_ > 0) throw Exit{kFailed, options_.data + ": rows that could not be read: " + std::to_string(faults_)};
  }

  static constexpr uint64_t kFaultsShownMax = 20;
  const Options& options_;
  Pipeline explained_;
  Pipeline counted_;
  source::Stream stream_;
  int64_t now_ms_ = 0;
  std::string last_reason_;
  uint64_t faults_ = 0, faults_shown_ = 0, shown_ = 0;
  uint64_t rows_ = 0, filtered_ = 0, late_ = 0, kept_ = 0, acts_ = 0, bytes_seen_ = 0;
  std::map<Rule, std::pair<uint64_t, uint64_t>> by_rule_;
};

void test(const Options& options) {
  const Loaded loaded = load(options);
  if (!loaded.model_name.empty() && loaded.model_bytes.empty())
    throw Exit{kFailed,
               "model '" + loaded.model_name + "' is not beside " + options.file + ": give it with --model FILE"};
  Trial(options, build_or_exit(loaded, options, false), build_or_exit(loaded, options, false)).run();
}

}  // namespace

void add_pipeline(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* noun = app.add_subcommand("pipeline", "Check a pipeline file and try it on data");
  noun->require_subcommand(1);
  const auto with_file = [&options](CLI::App* verb) {
    verb->add_option("FILE", options->file, "pipeline file (YAML)")->required();
    verb->add_option("--model", options->model, "model package (.wbm); default: <model>.wbm beside the pipeline");
    verb->add_option("-o,--output", options->output, "table or json")
        ->check(CLI::IsMember({"table", "json"}))
        ->capture_default_str();
    return verb;
  };
  with_file(
      noun->add_subcommand("lint", "Say everything that is wrong with a pipeline file; exit code 78 if anything is"))
      ->callback([options] { lint(*options); });
  CLI::App* trial = with_file(
      noun->add_subcommand("test", "Run a pipeline over a data file and say for each record what was decided and why"));
  trial->add_option("--data", options->data, "CSV or NDJSON file")->required();
  trial->add_option("--format", options->format, "csv or ndjson; default: from the file's name");
  trial->add_option("--seed", options->seed, "seed of the selection")->capture_default_str();
  trial->add_option("--limit", options->limit, "print only so many records; all are counted")->capture_default_str();
  trial->callback([options] { test(*options); });
  noun->add_subcommand("schema", "Print the JSON schema of pipeline files, for editors")->callback([] {
    std::printf("%s\n", json_schema().c_str());
  });
  noun->add_subcommand("reference", "Print the reference of every source, transform, rule and action (Markdown)")
      ->callback([] { std::fputs(reference_page().c_str(), stdout); });
}

}  // namespace wb::cli
