#pragma once
// Where a daemon's log goes: to standard error, so that standard output holds nothing but what was asked for. Coloured
// on a terminal, unless NO_COLOR is set.

#include <string>

namespace wb::world {

void log_to_stderr(const std::string& name);

}  // namespace wb::world
