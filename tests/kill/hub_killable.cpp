// waybill hub, built to die: the hub with a probe that ends the process with SIGKILL where --die says. A point that is
// about a call is named with it: "Committed:exchange:2" is after the second transaction that held an exchange became
// durable, before any answer left. `rows` prints the kill table as JSON. A HubPoint that the switch does not name does
// not compile; a row that no run reaches makes tests/kill/hub_test.py red.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "apps/waybill/commands.h"
#include "apps/waybill/hub_probe.h"
#include "tests/kill/die.h"

namespace wb::kill {
namespace {

using cli::HubPoint;
using world::ServerCall;

struct Row {
  const char* name;
  bool about_a_call = false;
};

constexpr Row row_of(HubPoint point) {
  switch (point) {  // no default: the compiler names the point that is missing
    case HubPoint::kAuthorityKept: return {"AuthorityKept"};
    case HubPoint::kServerKept: return {"ServerKept"};
    case HubPoint::kAdminKeyKept: return {"AdminKeyKept"};
    case HubPoint::kAdminKept: return {"AdminKept"};
    case HubPoint::kDatabaseOpened: return {"DatabaseOpened"};
    case HubPoint::kAdminUrlKept: return {"AdminUrlKept"};
    case HubPoint::kUrlKept: return {"UrlKept"};
    case HubPoint::kTaken: return {"Taken", true};
    case HubPoint::kCertificateSigned: return {"CertificateSigned"};
    case HubPoint::kDecided: return {"Decided", true};
    case HubPoint::kCommitted: return {"Committed", true};
    case HubPoint::kAnswered: return {"Answered", true};
    case HubPoint::kTickDecided: return {"TickDecided"};
    case HubPoint::kTicked: return {"Ticked"};
  }
  return {};
}

// Calls by what they change. tests/kill/hub_test.py holds this list against api/openapi.yaml.
struct Kind {
  const char* name;
  const char* method;
  const char* path;
  const char* ending;
};
constexpr Kind kKinds[] = {
    {"enrol", "POST", "/v1/enrol", ""},
    {"renew", "POST", "/v1/renew", ""},
    {"exchange", "POST", "/v1/exchange", ""},
    {"token", "POST", "/v1/tokens", ""},
    {"key", "POST", "/v1/keys", ""},
    {"release", "POST", "/v1/releases", ""},
    {"labels", "PATCH", "/v1/nodes/", "/labels"},
    {"revoke", "POST", "/v1/nodes/", "/revoke"},
    {"pause", "POST", "/v1/rollouts/", "/pause"},
    {"resume", "POST", "/v1/rollouts/", "/resume"},
    {"promote", "POST", "/v1/rollouts/", "/promote"},
    {"abort", "POST", "/v1/rollouts/", "/abort"},
    {"plan", "POST", "/v1/rollouts/plan", ""},
    {"rollout", "POST", "/v1/rollouts", ""},
    {"artifact", "GET", "/v1/artifacts/", ""},
};

const char* kind_of(const ServerCall& call) {
  const std::string_view target = std::string_view(call.request.target).substr(0, call.request.target.find('?'));
  for (const Kind& kind : kKinds) {
    const bool path = kind.ending[0] == 0 && !std::string_view(kind.path).ends_with('/')
                          ? target == kind.path
                          : target.starts_with(kind.path) && target.ends_with(kind.ending);
    if (path && call.request.method == kind.method) return kind.name;
  }
  return "other";
}

std::vector<std::string> points() {
  std::vector<std::string> out;
  for (size_t i = 0; i < cli::kHubPointsCount; ++i) {
    const Row row = row_of(static_cast<HubPoint>(i));
    if (!row.about_a_call) out.emplace_back(row.name);
    if (!row.about_a_call) continue;
    for (const Kind& kind : kKinds) out.push_back(std::string(row.name) + ":" + kind.name);
  }
  return out;
}

class Probe final : public cli::HubProbe {
 public:
  explicit Probe(Death death) : death_(std::move(death)) {}
  void at(HubPoint point, const ServerCall* call) override {
    const std::string name = row_of(point).name;
    death_.at(call == nullptr ? name : name + ":" + kind_of(*call));
  }
  bool knows_its_point() const {
    const std::vector<std::string> all = points();
    return death_.point().empty() || std::find(all.begin(), all.end(), death_.point()) != all.end();
  }

 private:
  Death death_;
};

int print_rows() {
  nlohmann::json out;
  out["points"] = points();
  for (const Kind& kind : kKinds)
    out["calls"].push_back(
        {{"name", kind.name}, {"method", kind.method}, {"path", kind.path}, {"ending", kind.ending}});
  std::puts(out.dump(1).c_str());
  return 0;
}

}  // namespace
}  // namespace wb::kill

int main(int argc, char** argv) {
  std::vector<char*> arguments(argv, argv + argc);
  wb::kill::Probe probe(wb::kill::Death::from(arguments));
  if (arguments.size() == 2 && std::string_view(arguments[1]) == "rows") return wb::kill::print_rows();
  if (!probe.knows_its_point()) {
    std::fprintf(stderr, "--die: no such point; `%s rows` lists them\n", argv[0]);
    return 2;
  }
  CLI::App app{"waybill hub, built to die"};
  app.require_subcommand(1);
  wb::cli::add_hub(app, &probe);
  arguments.push_back(nullptr);
  try {
    app.parse(static_cast<int>(arguments.size()) - 1, arguments.data());
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : wb::cli::kUsage;
  } catch (const wb::cli::Exit& exit) {
    std::fprintf(stderr, "waybill: %s\n", exit.message.c_str());
    return exit.code;
  }
  return 0;
}
