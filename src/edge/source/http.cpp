// http: producers on the same machine POST records to the agent's local API.
#include "edge/source/components.h"

namespace wb::source {

namespace {
const Spec& spec() {
  static const Spec kSpec{
      .name = "http",
      .summary = "Takes records that local programs POST to the agent's API on the loopback address.",
      .fields = {{.name = "path", .summary = "URL path to POST to", .fallback = "/v1/records"}},
      .example = "source:\n  - http: {path: /v1/records}\n",
      .costs =
          "The request is answered when its records are accepted, so a slow pipeline slows the producer down. Formats "
          "go "
          "by Content-Type: application/json (object or array), application/x-ndjson, text/csv (header row first). A "
          "body "
          "holds at most 4 MiB and 65536 rows. If some rows are faulty the answer is 400 and names them; the good rows "
          "of the same body are taken, so a producer repeats only the rows named.",
  };
  return kSpec;
}

void read(const Values& values, SourceConfig& out, Problems& problems) {
  out.kind = SourceConfig::Kind::kHttp;
  out.path = values.text("path");
  if (out.path.empty() || out.path.front() != '/') problems.add(values.at("path"), "http.path: must begin with '/'");
  if (out.path.find_first_of("?# ") != std::string::npos)
    problems.add(values.at("path"), "http.path: a plain path, without '?', '#' or spaces");
}
}  // namespace

const Component& http_component() {
  static const Component kComponent{spec, read};
  return kComponent;
}

}  // namespace wb::source
