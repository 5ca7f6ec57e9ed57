#pragma once
// A command as a person calls it: through its options, with real files in a folder of the test's own.
#include <gtest/gtest.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "apps/waybill/commands.h"
#include "apps/waybill/csv.h"

namespace wb::cli {

struct Outcome {
  int code = 0;
  std::string out;
  std::string message;
};

class CommandTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "waybill-test-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name) const { return (std::filesystem::path(folder_) / name).string(); }
  void write(const std::string& name, const std::string& text) { ASSERT_TRUE(write_file(path(name), text).ok()); }

  // `add` puts the commands into the program.
  static Outcome run(const std::function<void(CLI::App&)>& add, std::vector<std::string> arguments) {
    CLI::App app{"test"};
    add(app);
    std::reverse(arguments.begin(), arguments.end());
    Outcome outcome;
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    try {
      app.parse(arguments);
    } catch (const CLI::ParseError& error) {
      outcome = {kUsage, "", error.what()};
    } catch (const Exit& exit) {
      outcome = {exit.code, "", exit.message};
    }
    ::testing::internal::GetCapturedStderr();
    outcome.out = ::testing::internal::GetCapturedStdout();
    return outcome;
  }

 private:
  std::string folder_;
};

}  // namespace wb::cli
