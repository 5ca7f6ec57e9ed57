// The gate of a wave. Small waves are judged strictly (one failure among up to four nodes is enough); larger ones by
// the Wilson score interval at 95 % (E. B. Wilson, JASA 22, 1927), turned round so that it needs no square root: the
// lower bound of f failures among n exceeds L exactly if f/n > L and (f − nL)² > z² n L (1 − L). In thousandths, with
// z² = 3.8416.
#include "base/planted.h"
#include "base/prng.h"
#include "hub/rollout/rollout.h"

namespace wb::hub {
namespace {

constexpr uint32_t kStrictUpTo = 4;

// Is f/n surely on that side of the limit?
bool surely(uint64_t failed, uint64_t decided, uint64_t limit_permille, bool above) {
  const auto distance = static_cast<int64_t>(failed * 1'000) - static_cast<int64_t>(decided * limit_permille);
  if (distance == 0 || (distance > 0) != above) return false;
  const Uint128 square = static_cast<Uint128>(static_cast<uint64_t>(distance < 0 ? -distance : distance)) *
                         static_cast<uint64_t>(distance < 0 ? -distance : distance);
  return square * 10'000 > static_cast<Uint128>(38'416) * limit_permille * (1'000 - limit_permille) * decided;
}

}  // namespace

Verdict judge(const GateInput& in) {
  const uint32_t decided = in.committed + in.failed;
  const uint64_t limit = in.max_failure_permille;
  if (in.failed > 0 && limit < 1'000) {
    if (in.wave_nodes <= kStrictUpTo) return Verdict::kHalt;
    // Not on the very first report of a large wave: one failure of one node says more about the node.
    if (in.failed > 1 && surely(in.failed, decided, limit, true)) return Verdict::kHalt;
  }
  const bool all_decided = decided == in.exposed && in.wave_full;
  if (all_decided && decided > 0 && static_cast<uint64_t>(in.failed) * 1'000 > limit * decided) return Verdict::kHalt;
  if (in.committed == 0 && !planted(Bug::kEmptyGatePasses)) return Verdict::kHold;  // F4: nothing has been proved
  if (all_decided) return Verdict::kPass;
  // Stragglers need not be waited for once the committed prove enough; but the last wave has no later gate to catch
  // them.
  if (!in.last_wave && surely(in.failed, decided, limit, false)) return Verdict::kPass;
  return Verdict::kHold;
}

}  // namespace wb::hub
