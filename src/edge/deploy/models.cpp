// The last check before a release is loaded: this machine's own arithmetic. A release whose self-test does not come out
// in the same bits here would answer differently than it did where it was tested.
#include <algorithm>
#include <bit>

#include "edge/deploy/verify.h"
#include "engine/engine.h"

namespace wb::deploy {
namespace {

engine::SelfTest self_test_of(const wire::SelfTest& from, bool wide) {
  engine::SelfTest test;
  if (wide) {
    test.rows.assign(from.wide_features().begin(), from.wide_features().end());
    for (const uint64_t bits : from.wide_margin_bits()) test.margins.push_back(std::bit_cast<double>(bits));
  } else {
    test.rows.assign(from.features().begin(), from.features().end());
    for (const uint32_t bits : from.margin_bits())
      test.margins.push_back(static_cast<double>(std::bit_cast<float>(bits)));
  }
  return test;
}

}  // namespace

std::variant<std::monostate, Refusal> check_models(const wire::Release& release) {
  const wire::SelfTest& wire_test = release.manifest.self_test();
  bool first = true;
  for (int i = 0; i < release.manifest.blobs_size(); ++i) {
    const std::string& name = release.manifest.blobs(i).name();
    if (!name.starts_with(kModelPrefix)) continue;
    const Result<engine::Model> model = engine::Model::load(release.contents[static_cast<size_t>(i)]);
    if (!model.ok()) return Refusal{"DEPLOY_REJECTED/MODEL", name + ": " + model.error().text};
    const Status own = model->verify_self_test();
    if (!own.ok()) return Refusal{"DEPLOY_REJECTED/SELF_TEST", name + ": " + own.error().text};
    if (!first) continue;  // blobs are sorted, so every machine takes the same one as the first
    first = false;
    if (wire_test.rows() == 0)
      return Refusal{"DEPLOY_REJECTED/SELF_TEST",
                     name + ": the release has no self-test rows; build it again with `waybill release build`"};
    const engine::SelfTest test = self_test_of(wire_test, model->computes_f64());
    if (test.rows.size() != size_t{wire_test.rows()} * model->features_count() ||
        test.margins.size() != size_t{wire_test.rows()} * model->outputs_count())
      return Refusal{"DEPLOY_REJECTED/SELF_TEST", name + ": the self-test rows of the release do not fit the model"};
    if (!std::equal(release.manifest.feature_names().begin(), release.manifest.feature_names().end(),
                    model->features().begin(), model->features().end()))
      return Refusal{"DEPLOY_REJECTED/SCHEMA", name + ": the feature names of the release are not those of the model"};
    const Status reproduced = model->verify(test);
    if (!reproduced.ok()) return Refusal{"DEPLOY_REJECTED/SELF_TEST", name + ": " + reproduced.error().text};
  }
  return std::monostate{};
}

}  // namespace wb::deploy
