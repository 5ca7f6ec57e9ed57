#include "world/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdlib>

namespace wb::world {

void log_to_stderr(const std::string& name) {
  const char* no_color = std::getenv("NO_COLOR");  // no-color.org: any value but the empty one
  const bool plain = no_color != nullptr && *no_color != '\0';
  spdlog::set_default_logger(std::make_shared<spdlog::logger>(
      name, std::make_shared<spdlog::sinks::stderr_color_sink_mt>(plain ? spdlog::color_mode::never
                                                                        : spdlog::color_mode::automatic)));
}

}  // namespace wb::world
