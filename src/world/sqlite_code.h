#pragma once
// What a result of SQLite means to a caller. Both databases, the node's and the hub's, act on it the same way.

#include <sqlite3.h>

#include "base/result.h"

namespace wb::world {

inline Code sqlite_code(int result) {
  switch (result & 0xFF) {  // the primary code of an extended one
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return Code::kCorrupt;
    case SQLITE_FULL: return Code::kFull;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
    case SQLITE_AUTH: return Code::kDenied;
    default: return Code::kUnavailable;
  }
}

}  // namespace wb::world
