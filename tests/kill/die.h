#pragma once
// Where a killable program dies: "before:Store:3" is immediately before the third Store. Given as --die on the command
// line, once, and taken off it. The process ends by SIGKILL: no destructor, no flush, no goodbye.

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace wb::kill {

class Death {
 public:
  // Removes --die and its value from the arguments.
  static Death from(std::vector<char*>& arguments) {
    Death out;
    for (size_t i = 1; i + 1 < arguments.size(); ++i) {
      if (std::string_view(arguments[i]) != "--die") continue;
      const std::string text = arguments[i + 1];
      const size_t colon = text.rfind(':');
      out.point_ = text.substr(0, colon);
      out.left_ = colon == std::string::npos ? 0 : std::atoi(text.c_str() + colon + 1);
      if (out.left_ < 1) {
        std::fprintf(stderr, "--die %s: write it as before:Store:3\n", text.c_str());
        std::exit(2);
      }
      arguments.erase(arguments.begin() + static_cast<long>(i), arguments.begin() + static_cast<long>(i) + 2);
      break;
    }
    return out;
  }
  Death(Death&& other) noexcept : point_(std::move(other.point_)), left_(other.left_.load()) {}
  const std::string& point() const { return point_; }
  // The process stands at `point`.
  void at(std::string_view point) {
    if (point != point_ || --left_ != 0) return;
    ::kill(::getpid(), SIGKILL);
    while (true) ::pause();
  }

 private:
  Death() = default;
  std::string point_;
  std::atomic<int> left_{0};
};

}  // namespace wb::kill
