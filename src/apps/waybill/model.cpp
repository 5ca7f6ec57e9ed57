// waybill model: what is done with a model package. Each verb has a file of its own.
#include <CLI/CLI.hpp>

#include "apps/waybill/commands.h"

namespace wb::cli {

void add_model(CLI::App& app) {
  CLI::App* model = app.add_subcommand("model", "Carry models from where they were trained to where they run");
  model->require_subcommand(1);
  add_model_import(*model);
  add_model_show(*model);
  add_model_export(*model);
}

}  // namespace wb::cli
