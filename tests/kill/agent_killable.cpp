// waybill-agent, built to die: the agent with a probe that ends the process with SIGKILL where --die says. `rows`
// prints the kill table as JSON. An agent::Effect without an overload of row_of(), or an AgentStep that its switch does
// not name, does not compile; a row that no run reaches makes tests/kill/agent_test.py red.
#include <nlohmann/json.hpp>
#include <utility>
#include <variant>

#include "apps/agent/cli.h"
#include "edge/agent/agent.h"
#include "tests/kill/die.h"

namespace wb::kill {
namespace {

using agentapp::AgentStep;

// `story`: which run of tests/kill/agent_test.py meets this point.
struct Row {
  const char* name;
  const char* story;
};

constexpr Row row_of(const agent::Store*) { return {"Store", "records"}; }
constexpr Row row_of(const agent::LoadRows*) { return {"LoadRows", "records"}; }
constexpr Row row_of(const agent::SendExchange*) { return {"SendExchange", "records"}; }
constexpr Row row_of(const agent::CancelExchange*) { return {"CancelExchange", "records"}; }
constexpr Row row_of(const agent::Answer*) { return {"Answer", "records"}; }
constexpr Row row_of(const agent::Serve*) { return {"Serve", "records"}; }
constexpr Row row_of(const agent::Act*) { return {"Act", "records"}; }
constexpr Row row_of(const agent::Log*) { return {"Log", "release"}; }
constexpr Row row_of(const agent::Restart*) { return {"Restart", "damage"}; }
constexpr Row row_of(const agent::Shadow*) { return {"Shadow", "release"}; }
constexpr Row row_of(const deploy::FetchRange*) { return {"FetchRange", "release"}; }
constexpr Row row_of(const deploy::WriteSlot*) { return {"WriteSlot", "release"}; }
constexpr Row row_of(const deploy::SealSlot*) { return {"SealSlot", "release"}; }
constexpr Row row_of(const deploy::ReadSlot*) { return {"ReadSlot", "release"}; }
constexpr Row row_of(const deploy::RemoveSlot*) { return {"RemoveSlot", "release"}; }

constexpr Row row_of(AgentStep step) {
  switch (step) {  // no default: the compiler names the step that is missing
    case AgentStep::kKeyKept: return {"KeyKept", "enrolment"};
    case AgentStep::kRequestKept: return {"RequestKept", "enrolment"};
    case AgentStep::kEnrolAnswered: return {"EnrolAnswered", "enrolment"};
    case AgentStep::kIdentityKept: return {"IdentityKept", "enrolment"};
    case AgentStep::kStoreOpened: return {"StoreOpened", "records"};
    case AgentStep::kTokenKept: return {"TokenKept", "first_start"};
    case AgentStep::kUrlKept: return {"UrlKept", "records"};
    case AgentStep::kStored: return {"Stored", "records"};
    case AgentStep::kRowsLoaded: return {"RowsLoaded", "records"};
    case AgentStep::kExchangeEnded: return {"ExchangeEnded", "records"};
    case AgentStep::kFetchEnded: return {"FetchEnded", "release"};
    case AgentStep::kRenewalAnswered: return {"RenewalAnswered", "renewal"};
    case AgentStep::kRenewalKept: return {"RenewalKept", "renewal"};
    case AgentStep::kStopping: return {"Stopping", "records"};
  }
  return {};
}

using Effects = std::make_index_sequence<std::variant_size_v<agent::Effect>>;

template <size_t... kKinds>
std::vector<Row> effect_rows(std::index_sequence<kKinds...>) {
  return {row_of(static_cast<const std::variant_alternative_t<kKinds, agent::Effect>*>(nullptr))...};
}

class Probe final : public agentapp::AgentProbe {
 public:
  explicit Probe(Death death) : death_(std::move(death)) {}
  void before(size_t kind) override { death_.at(std::string("before:") + effects_[kind].name); }
  void after(size_t kind) override { death_.at(std::string("after:") + effects_[kind].name); }
  void at(AgentStep step) override { death_.at(std::string("at:") + row_of(step).name); }
  std::string rows() const {
    nlohmann::json out = nlohmann::json::array();
    for (const Row& row : effects_)
      for (const char* when : {"before:", "after:"})
        out.push_back({{"point", std::string(when) + row.name}, {"story", row.story}});
    for (size_t i = 0; i < agentapp::kAgentStepsCount; ++i) {
      const Row row = row_of(static_cast<AgentStep>(i));
      out.push_back({{"point", std::string("at:") + row.name}, {"story", row.story}});
    }
    return out.dump(1);
  }
  bool knows_its_point() const {
    return death_.point().empty() || rows().find('"' + death_.point() + '"') != std::string::npos;
  }

 private:
  const std::vector<Row> effects_ = effect_rows(Effects());
  Death death_;
};

}  // namespace
}  // namespace wb::kill

int main(int argc, char** argv) {
  std::vector<char*> arguments(argv, argv + argc);
  wb::kill::Probe probe(wb::kill::Death::from(arguments));
  if (arguments.size() == 2 && std::string_view(arguments[1]) == "rows") {
    std::puts(probe.rows().c_str());
    return 0;
  }
  if (!probe.knows_its_point()) {
    std::fprintf(stderr, "--die: no such point; `%s rows` lists them\n", argv[0]);
    return 2;
  }
  arguments.push_back(nullptr);
  return wb::agentapp::agent_main(static_cast<int>(arguments.size()) - 1, arguments.data(), &probe);
}
