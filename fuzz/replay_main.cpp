// Replays inputs through the fuzz targets without libFuzzer: in every build, under any compiler and sanitizer.
//
//   wb_fuzz_replay TARGET [FILE|FOLDER…]   the target's own seeds, then every file; prints how many
//   wb_fuzz_replay --seeds TARGET FOLDER   writes the seeds as files, for libFuzzer to start from
//   wb_fuzz_replay --list                  the targets
//
// A file that breaks something ends the process; its name was printed before.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "fuzz/fuzz.h"
#include "fuzz/targets.inc"  // written by fuzz/CMakeLists.txt: kTargets

namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

void run(const Target& target, const std::string& bytes) {
  // A copy of exactly this size, so that AddressSanitizer sees a read past the end.
  const std::vector<char> exact(bytes.begin(), bytes.end());
  target.run(exact.empty() ? std::string_view("") : std::string_view(exact.data(), exact.size()));
}

std::vector<fs::path> files_of(const fs::path& place) {
  if (!fs::exists(place)) return {};
  if (!fs::is_directory(place)) return {place};
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(place))
    if (entry.is_regular_file()) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

const Target* find(std::string_view name) {
  for (const Target& target : kTargets)
    if (target.name == name) return &target;
  std::fprintf(stderr, "wb_fuzz_replay: there is no target '%.*s'; --list shows them\n", static_cast<int>(name.size()),
               name.data());
  return nullptr;
}

int write_seeds(const Target& target, const fs::path& folder) {
  fs::create_directories(folder);
  size_t count = 0;
  target.seeds([&](const std::string& bytes) {
    std::ofstream(folder / ("seed-" + std::to_string(++count)), std::ios::binary) << bytes;
  });
  return count > 0 ? 0 : 1;
}

int replay(const Target& target, const std::vector<std::string>& places) {
  size_t seeds_count = 0;
  target.seeds([&](const std::string& bytes) {
    ++seeds_count;
    run(target, bytes);
  });
  size_t files_count = 0;
  for (const std::string& place : places)
    for (const fs::path& file : files_of(place)) {
      std::fprintf(stderr, "%s\n", file.c_str());
      run(target, read(file));
      ++files_count;
    }
  run(target, "");
  std::printf("%s: %zu seeds and %zu files replayed\n", std::string(target.name).c_str(), seeds_count, files_count);
  return seeds_count > 0 ? 0 : 1;  // a target without seeds starts from nothing
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() == 1 && arguments[0] == "--list") {
    for (const Target& target : kTargets) std::printf("%s\n", std::string(target.name).c_str());
    return 0;
  }
  if (arguments.empty() || (arguments[0] == "--seeds" && arguments.size() != 3)) {
    std::fprintf(stderr, "usage: wb_fuzz_replay TARGET [FILE|FOLDER…] | --seeds TARGET FOLDER | --list\n");
    return 2;
  }
  const bool seeds = arguments[0] == "--seeds";
  const Target* target = find(arguments[seeds ? 1 : 0]);
  if (target == nullptr) return 2;
  if (seeds) return write_seeds(*target, arguments[2]);
  return replay(*target, {arguments.begin() + 1, arguments.end()});
}
