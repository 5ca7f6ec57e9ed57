// stdin: lines piped into the agent.
#include "edge/source/components.h"

namespace wb::source {

namespace {
const Spec& spec() {
  static const Spec kSpec{
      .name = "stdin",
      .summary = "Reads records from standard input until it ends.",
      .fields = {format_field({"ndjson", "csv"}, "ndjson")},
      .example = "source:\n  - stdin: {format: ndjson}\n",
      .costs =
          "What was read from the pipe but is not yet stored is lost if the agent dies; a pipe cannot be read twice. "
          "The "
          "writer is slowed down when the pipeline is.",
  };
  return kSpec;
}

void read(const Values& values, SourceConfig& out, Problems&) {
  out.kind = SourceConfig::Kind::kStdin;
  out.format = *format_by_name(values.text("format"));
}
}  // namespace

const Component& stdin_component() {
  static const Component kComponent{spec, read};
  return kComponent;
}

}  // namespace wb::source
