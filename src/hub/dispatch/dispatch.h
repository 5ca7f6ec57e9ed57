#pragma once
// dispatch: what each node is told next. One assignment per node, durable, with a generation that only rises (U5):
// going back to an older release is a new generation that names it. Level-triggered: it changes only when what should
// run differs.

#include "base/step.h"
#include "hub.pb.h"
#include "wire/wire.h"

namespace wb::hub {

// Returns true if `node.desired` changed, and with it the generation. `wanted.generation` and `since_ms` are ignored.
// A digest that the node itself refuses is never assigned, whoever asks (U9): then the node is told to run nothing new.
// reported_generation: the newest this node says it has accepted. A hub restored from an old backup continues above it.
bool assign(Moment now, pb::Node& node, const pb::Assignment& wanted, uint64_t reported_generation);

wire::Desired to_wire(const pb::Assignment& assignment);

}  // namespace wb::hub
