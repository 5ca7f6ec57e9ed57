#pragma once
// A folder for one test, gone with it.

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/assert.h"

namespace wb::world {

class TestFolder {
 public:
  TestFolder() : root_(std::filesystem::temp_directory_path() / "wb-test-XXXXXX") {
    WB_ASSERT(::mkdtemp(root_.data()) != nullptr);
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  ~TestFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }
  std::string path(const std::string& name) const { return name.empty() ? root_ : root_ + "/" + name; }

 private:
  std::string root_;
};

}  // namespace wb::world
