// The selector of a rollout, as an operator or a script writes it.
#include "hub/rollout/selector.h"

#include "fuzz/fuzz.h"

namespace {
const wb::hub::Labels kLabels = {{"site", "lyon"}, {"battery", "false"}, {"line", "a b"}, {"node", "n1"}};
}

WB_FUZZ_TARGET(selector) {
  const auto selector = wb::hub::Selector::parse(bytes);
  if (!selector.ok()) {
    WB_HOLDS(selector.error().text.starts_with("selector"), selector.error().text);
    return;
  }
  WB_HOLDS(bytes.size() <= wb::hub::Selector::kBytesMax, "over-long selector taken");
  (void)selector->matches({});
  const bool matches = selector->matches(kLabels);
  (void)selector->check_labels(std::vector<std::string>{"site", "node"});
  // What it means does not change when it is put in parentheses or negated twice.
  const auto doubled = wb::hub::Selector::parse("not not (" + std::string(bytes) + ")");
  if (doubled.ok()) WB_HOLDS(doubled->matches(kLabels) == matches, bytes);
}

WB_FUZZ_SEEDS(selector) {
  for (const char* text : {"all", "site=lyon and not battery", "site in (lyon, oslo) or line == 'a b'",
                           "not (node!=n1 or has)", "site not in (\"x\", y) and (battery or line)"})
    put(text);
}
