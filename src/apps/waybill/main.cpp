// waybill: everything a person runs. Noun then verb; exit codes 0 ok, 1 failed, 2 usage, 78 bad configuration.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "apps/usage.h"
#include "apps/waybill/commands.h"

int main(int argc, char** argv) {
  CLI::App app{"Waybill: moves small models out to fleets of devices and brings back only the data worth having.",
               "waybill"};
  app.set_version_flag("--version", std::string("waybill ") + WB_VERSION);
  app.require_subcommand(1);
#ifndef WB_ONLY_SIM  // the determinism gate builds only the simulator, under every compiler
  wb::cli::add_fit(app);
  wb::cli::add_predict(app);
  wb::cli::add_model(app);
  wb::cli::add_release(app);
  wb::cli::add_pipeline(app);
  wb::cli::add_hub(app);
  wb::cli::add_node(app);
  wb::cli::add_rollout(app);
  wb::cli::add_track(app);
  wb::cli::add_dataset(app);
  wb::cli::add_load(app);
  wb::cli::add_herd(app);
#endif
  wb::cli::add_sim(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return wb::end_of_parsing(app, error, argc, argv, wb::cli::kUsage);
  } catch (const wb::cli::Exit& exit) {
    std::string message = exit.message;
    std::replace(message.begin(), message.end(), '\0', '?');  // a NUL in some file would cut it short
    if (!message.empty()) std::fprintf(stderr, "waybill: %s\n", message.c_str());
    return exit.code;
  }
  return 0;
}
