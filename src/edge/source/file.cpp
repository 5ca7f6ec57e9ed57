// file: reads a file once, or follows it as it grows.
#include "edge/source/components.h"

namespace wb::source {

namespace {
const Spec& spec() {
  static const Spec kSpec{
      .name = "file",
      .summary = "Reads a CSV or NDJSON file once, or follows it as it grows.",
      .fields = {{.name = "path", .summary = "the file", .required = true},
                 format_field({"csv", "ndjson"}, "csv"),
                 {.name = "mode",
                  .summary = "tail: follow the file over growth and rotation; once: read it to its present end",
                  .fallback = "tail",
                  .choices = {"tail", "once"}},
                 {.name = "poll",
                  .type = FieldType::kDuration,
                  .summary = "how often to look for new lines",
                  .fallback = "1s",
                  .min = 10,
                  .max = 3'600'000}},
      .example = "source:\n  - file: {path: /var/log/pump.csv, format: csv, mode: tail}\n",
      .costs =
          "The position is stored together with the records, so a restart neither loses nor repeats lines. Rotate by "
          "rename: a file that is cut short and grows past the old position between two polls is not noticed, and "
          "lines "
          "that a program still writes to the old file after the new one was found are lost. If the file is replaced "
          "while the "
          "agent is down, the rest of the old one is not read (counted as rotated_away). Faulty lines go to the "
          "dead-letter lane.",
  };
  return kSpec;
}

void read(const Values& values, SourceConfig& out, Problems& problems) {
  out.kind = SourceConfig::Kind::kFile;
  out.path = values.text("path");
  if (out.path.empty()) problems.add(values.at("path"), "file.path: is empty");
  out.format = *format_by_name(values.text("format"));
  out.mode = values.text("mode") == "once" ? FileTail::Mode::kOnce : FileTail::Mode::kTail;
  out.poll_ms = values.integer("poll");
}
}  // namespace

const Component& file_component() {
  static const Component kComponent{spec, read};
  return kComponent;
}

}  // namespace wb::source
