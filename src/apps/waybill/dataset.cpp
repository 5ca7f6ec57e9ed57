// waybill dataset: the records that came back, each with its waybill.
#include <fcntl.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <cstdio>
#include <memory>

#include "apps/waybill/client.h"
#include "apps/waybill/commands.h"
#include "apps/waybill/listing.h"
#include "base/bytes.h"

namespace wb::cli {

namespace {

using Json = nlohmann::ordered_json;
using As = FieldView::As;

constexpr size_t kPageBytesMax = 32U << 20;
constexpr uint32_t kPageDeadlineMs = 120'000;

struct DatasetCommand {
  HubOptions hub;
  Format format = Format::kTable;
  std::string pipeline;
  std::string file;  // empty = standard output
  std::string rows_format = "csv";
  std::string last;
  std::string node;
  bool dead_letters = false;
};

void show(const DatasetCommand& command) {
  AdminClient client(command.hub);
  Json answer = client.get("/v1/datasets");
  if (!command.pipeline.empty()) {
    Json kept = Json::array();
    for (const Json& item : items_of(answer, "datasets"))
      if (cell(item, "pipeline") == command.pipeline) kept.push_back(item);
    answer["datasets"] = kept;
  }
  const Json fleet = client.get("/v1/fleet");
  answer["fleet"] = fleet;
  if (print_structured(command.format, answer)) return;
  print_list(command.format, answer, "datasets",
             {{"PIPELINE", "/pipeline"},
              {"RECORDS", "/records"},
              {"BYTES", "/bytes", As::kBytes},
              {"FIRST EVENT", "/first_event_ms", As::kAge},
              {"LAST EVENT", "/last_event_ms", As::kAge},
              {"CHANGED", "/changed_ms", As::kAge}},
             "no record has come back" + (command.pipeline.empty() ? "" : " for pipeline '" + command.pipeline + "'") +
                 " yet");
  std::printf("\n");
  print_detail(fleet, {{"seen on nodes", "/counters/records_in"},
                       {"bytes seen", "/counters/bytes_seen", As::kBytes},
                       {"bytes up", "/counters/bytes_up", As::kBytes},
                       {"nodes heard now", "/heard/now"},
                       {"nodes heard earlier", "/heard/earlier"},
                       {"nodes never heard", "/heard/never"}});
  print_list(command.format, fleet["counters"], "rules",
             {{"RULE", "/rule"}, {"SELECTED", "/selected"}, {"UPLOADED", "/uploaded"}, {"EVICTED", "/evicted"}}, "");
}

// Pages go straight to the file; it takes its name only when it is whole.
class Output {
 public:
  explicit Output(const std::string& path) : path_(path), temporary_(path + ".part") {
    out_ = path.empty() ? stdout : std::fopen(temporary_.c_str(), "wb");
    if (out_ == nullptr)
      throw Exit{kFailed,
                 "cannot write " + temporary_ + "; check that the folder is there and that you may write to it"};
  }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  ~Output() {
    if (path_.empty() || done_) return;
    std::fclose(out_);
    ::unlink(temporary_.c_str());
  }
  void append(const std::string& text) {
    if (std::fwrite(text.data(), 1, text.size(), out_) != text.size())
      throw Exit{kFailed, "cannot write the export; is the disk full?"};
  }
  void finish() {
    bool good = std::fflush(out_) == 0;
    if (!path_.empty()) {
      good = good && ::fsync(::fileno(out_)) == 0;
      good = std::fclose(out_) == 0 && good;
      done_ = true;
      good = good && std::rename(temporary_.c_str(), path_.c_str()) == 0;
    }
    if (!good) throw Exit{kFailed, "cannot finish writing the export; is the disk full?"};
  }

 private:
  std::string path_, temporary_;
  std::FILE* out_ = nullptr;
  bool done_ = false;
};

void export_rows(const DatasetCommand& command) {
  AdminClient client(command.hub);
  std::string query = "?format=" + command.rows_format;
  if (!command.last.empty()) query += "&since=" + url_encode(command.last);
  if (!command.node.empty()) query += "&node=" + url_encode(command.node);
  if (command.dead_letters) query += "&lane=dead_letter";
  Output output(command.file);
  std::string cursor;
  int64_t rows_count = 0;
  do {  // ends: the hub's cursor only moves forward
    const std::string target = "/v1/datasets/" + url_encode(command.pipeline) + query +
                               (cursor.empty() ? "" : "&cursor=" + url_encode(cursor));
    const auto page =
        client.call({"GET", target, {}, ""}, {.deadline_ms = kPageDeadlineMs, .response_bytes_max = kPageBytesMax});
    output.append(page.body);
    rows_count += parse_int(world::find_header(page.headers, "X-Waybill-Rows")).value_or(0);
    cursor = world::find_header(page.headers, "X-Waybill-Next-Cursor");
  } while (!cursor.empty());
  output.finish();
  if (!command.file.empty())
    std::fprintf(stderr, "%lld records of %s → %s\n", static_cast<long long>(rows_count), command.pipeline.c_str(),
                 command.file.c_str());
}

}  // namespace

void add_dataset(CLI::App& app) {
  const auto command = std::make_shared<DatasetCommand>();
  auto* noun = app.add_subcommand("dataset", "the records that came back, each with its waybill");
  noun->require_subcommand(1);
  auto* show_verb = noun->add_subcommand("show", "what came back, by which rule, out of how much");
  add_hub_options(*show_verb, command->hub);
  add_output_option(*show_verb, command->format);
  show_verb->add_option("pipeline", command->pipeline, "pipeline name; all if left out");
  show_verb->callback([command] { show(*command); });
  auto* export_verb = noun->add_subcommand("export", "write the records as CSV or NDJSON");
  add_hub_options(*export_verb, command->hub);
  export_verb->add_option("pipeline", command->pipeline, "pipeline name")->required();
  export_verb->add_option("-o,--out", command->file, "file to write; standard output if left out")
      ->check(an_output_file());
  export_verb->add_option("--format", command->rows_format, "csv or ndjson")
      ->check(CLI::IsMember({"csv", "ndjson"}))
      ->capture_default_str();
  export_verb->add_option("--last", command->last, "only events of this long ago until now, as in 7d");
  export_verb->add_option("--node", command->node, "only records of this node");
  export_verb->add_flag("--dead-letters", command->dead_letters, "the input that could not be read, instead");
  export_verb->callback([command] { export_rows(*command); });
}

}  // namespace wb::cli
