#pragma once
// What a person meant by a word on the command line that is not one of ours. CLI11 says "A subcommand is required" for
// a mistyped verb, and names an unknown option without the nearest one.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace wb {

// The first word that the program does not know: "unknown command 'ft'; did you mean 'fit'?"; "" if all are known.
inline std::string unknown_word(const CLI::App& program, int argc, char** argv) {
  const CLI::App* at = &program;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const std::string option = word.substr(0, word.find('='));
    if (option == "--") return "";
    if (word.size() > 1 && word[0] == '-') {
      if (word[1] != '-' || at->get_option_no_throw(option) != nullptr) continue;
      std::vector<std::string> names;
      for (const CLI::Option* known : at->get_options())
        for (const std::string& name : known->get_lnames()) names.push_back("--" + name);
      return "unknown option '" + option + "'" + suggestion(option, names);
    }
    const auto verbs = at->get_subcommands([](const CLI::App*) { return true; });
    if (verbs.empty()) continue;  // its arguments, or the value of an option
    std::vector<std::string> names;
    const CLI::App* next = nullptr;
    for (const CLI::App* verb : verbs) {
      if (verb->get_name() == word) next = verb;
      names.push_back(verb->get_name());
    }
    if (next == nullptr) return "unknown command '" + word + "'" + suggestion(word, names);
    at = next;
  }
  return "";
}

// Prints what is wrong, or the help that was asked for; the exit code.
inline int end_of_parsing(const CLI::App& program, const CLI::ParseError& error, int argc, char** argv, int usage) {
  const std::string word = error.get_exit_code() == 0 ? "" : unknown_word(program, argc, argv);
  if (word.empty()) return program.exit(error) == 0 ? 0 : usage;
  std::fprintf(stderr, "%s: %s\nRun with --help for more information.\n", program.get_name().c_str(), word.c_str());
  return usage;
}

}  // namespace wb
