#pragma once
// Where a checking program leaves its evidence (base/evidence.h). The file is replaced whole, so that a long run may
// write it again and again, and whatever ends the run leaves what was done by then.

#include <chrono>
#include <cstdio>
#include <fstream>
#include <string>

#include "base/evidence.h"

namespace wb {

// False: it cannot be written.
inline bool write_evidence(const std::string& path, EvidenceRun run) {
  using std::chrono::system_clock;
  run.finished_unix_s =
      std::chrono::duration_cast<std::chrono::seconds>(system_clock::now().time_since_epoch()).count();
  const std::string part = path + ".part";
  std::ofstream file(part, std::ios::binary | std::ios::trunc);
  file << evidence_json(run);
  file.close();
  return file && std::rename(part.c_str(), path.c_str()) == 0;
}

}  // namespace wb
