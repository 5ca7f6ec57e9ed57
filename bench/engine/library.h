#pragma once
// A shared object and its functions by name. It stays open until the program ends: libraries of this size do not like
// to be closed.

#include <string>

namespace wb::bench {

class Library {
 public:
  explicit Library(const std::string& path);  // gives up with the reason
  template <class Function>
  void find(const char* name, Function*& out) const {
    out = reinterpret_cast<Function*>(symbol(name));
  }

 private:
  void* symbol(const char* name) const;
  void* handle_;
};

}  // namespace wb::bench
