#pragma once
// A node's labels, by the rules that both sides hold: a hub refuses whole exchanges that break them.

#include <map>
#include <string>

#include "base/result.h"

namespace wb::wire {

Status check_labels(const std::map<std::string, std::string>& labels);

}  // namespace wb::wire
