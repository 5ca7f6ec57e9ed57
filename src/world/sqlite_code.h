#pragma once
// What both databases, the node's and the hub's, ask of SQLite and how they read its results.

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

// SQLite takes for granted that a power cut harms only the bytes that are being written, never others of their sector.
// Flash promises no such thing: a sector that was being written may read as zeros, and with it the end of the commit
// before. With this, each commit's log is filled up to the end of its sector, so that the next one begins a new one.
// Right after opening, before the log is first used.
inline void share_no_sector(sqlite3* database) {
  int powersafe_overwrite = 0;
  sqlite3_file_control(database, "main", SQLITE_FCNTL_POWERSAFE_OVERWRITE, &powersafe_overwrite);
}

}  // namespace wb::world
