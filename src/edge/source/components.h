#pragma once
// One source component: its Spec, and how its checked values become a SourceConfig.

#include "base/spec.h"
#include "edge/source/source.h"

namespace wb::source {

struct Component {
  const Spec& (*spec)();
  void (*read)(const Values& values, SourceConfig& out, Problems& problems);
};

const Component& http_component();
const Component& mqtt_component();
const Component& file_component();
const Component& stdin_component();

Field format_field(std::vector<std::string> choices, std::string fallback);

}  // namespace wb::source
