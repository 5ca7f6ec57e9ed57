#pragma once
// What a local action is given: one JSON object per record. Persisted shape (since 0.1): keys are only added.
//   {"event_time_ms":1,"node":"n","pipeline":"p","when":"anomaly","label":"4","score":0.9,"confidence":0.9,
//    "novelty":0.1,"values":{"s1":1.5,"unit":"a"}}
// A number that is not finite is null. label only for classifiers; the verdict keys only with a model.

#include <string>

#include "edge/route/route.h"

namespace wb::route {

struct PayloadContext {
  const RouteOptions& options;
  const ModelFacts& model;
  Rule when;
};

void append_payload(const PayloadContext& context, const Batch& batch, const VerdictsView& verdicts, size_t row,
                    std::string& out);

}  // namespace wb::route
