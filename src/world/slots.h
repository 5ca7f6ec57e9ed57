#pragma once
// Slot files: where releases lie on a node. A file is named by the SHA-256 of what it shall hold, so a resumed download
// can never continue another one's bytes (promise U7):
//
//   slots/<64 hex>.part   being fetched; every write is durable before it is reported
//   slots/<64 hex>        sealed: complete and renamed. Its digest is still checked each time it is loaded.
//
// Sealing is fsync, rename, fsync of the folder: after a power cut there is the old or the new, never a half (S1).
// Content is not judged here. Anything else in the folder is left alone and not listed. Not thread-safe: one caller at
// a time.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace wb::world {

class Slots {
 public:
  struct File {
    std::string digest;
    uint64_t bytes = 0;
    bool sealed = false;
  };
  static constexpr size_t kFilesMax = 64;  // listed; a node has four at most

  // Makes the folder (0700) if it is missing. A slot may never grow beyond bytes_max.
  static Result<Slots> open(std::string folder, uint64_t bytes_max);

  Result<std::vector<File>> list() const;  // by name; of a sealed and a .part of one digest, the sealed one
  // Appends at `offset`, which must be the durable length (0 begins anew). Returns the durable length after it.
  Result<uint64_t> write(const std::string& digest, uint64_t offset, std::string_view bytes);
  Status seal(const std::string& digest);
  Result<std::string> read(const std::string& digest) const;  // kNotFound: no sealed file
  Status remove(const std::string& digest);                   // sealed and .part; fine if there is none

 private:
  Slots(std::string folder, uint64_t bytes_max) : folder_(std::move(folder)), bytes_max_(bytes_max) {}
  Result<std::string> path_of(const std::string& digest) const;  // refuses what is not a digest

  std::string folder_;
  uint64_t bytes_max_;
};

}  // namespace wb::world
