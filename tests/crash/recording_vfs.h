#pragma once
// The shim below SQLite: a VFS whose files lie on the Medium in use, as SQLite's own VFS for Linux would use a real
// disk: its sector size and "powersafe overwrite" promise (both as a connection sets them), and the sync of the folder
// with the first sync of a log or journal. No shared memory: it offers none, so a database that opens here keeps
// the index of its log to itself. Space that is asked for beforehand is there, as zeros. Randomness (the salts of a
// log) comes from a seed; time stands still.
//
// It also stands below SQLite's allocations, so that the k-th one can fail.

#include <cstdint>

namespace wb::crash {

// Makes the shim SQLite's default. Before SQLite's first use in the process; once.
void install_recording_vfs();
void seed_vfs(uint64_t seed);

}  // namespace wb::crash
