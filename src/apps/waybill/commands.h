#pragma once
// Every noun of the `waybill` program, one file each. main.cpp lists them; nothing registers itself.

#include <string>
#include <utility>

#include "base/result.h"

namespace CLI {
class App;
}

namespace wb::cli {

class HubProbe;

void add_fit(CLI::App& app);
void add_predict(CLI::App& app);
void add_model(CLI::App& app);
void add_model_export(CLI::App& model);  // verbs of add_model()
void add_model_import(CLI::App& model);
void add_model_show(CLI::App& model);
void add_pipeline(CLI::App& app);
void add_release(CLI::App& app);
void add_hub(CLI::App& app, HubProbe* probe = nullptr);
void add_node(CLI::App& app);
void add_rollout(CLI::App& app);
void add_track(CLI::App& app);
void add_dataset(CLI::App& app);
void add_sim(CLI::App& app);
void add_load(CLI::App& app);
void add_herd(CLI::App& app);

// Exit codes. A subcommand's callback throws Exit; main.cpp prints `message` to stderr as "waybill: message".
inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;
inline constexpr int kBadConfiguration = 78;
struct Exit {
  int code = kFailed;
  std::string message;  // what happened, where, what to do next; empty if it was printed already
};
struct Unreachable : Exit {};  // no answer came: the same call may work later

// The value, or the end of the command with the error as its message, behind where it happened.
template <class T>
T or_exit(Result<T> result, const std::string& where = "") {
  if (!result.ok()) throw Exit{kFailed, where.empty() ? result.error().text : where + ": " + result.error().text};
  return std::move(result).value();
}

}  // namespace wb::cli
