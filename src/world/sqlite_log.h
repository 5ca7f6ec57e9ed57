#pragma once
// The write-ahead log beside a database, read without SQLite. After a crash SQLite takes a log up to the first frame
// that does not check out, and drops the rest without a word: it cannot tell a commit that power cut short from one
// that was synced, answered, and then damaged. The log itself can.
//
// Each frame carries a checksum over itself and the checksum stored with the frame before it. So a frame can be told
// intact though frames before it are not: a bad frame breaks the chain, and behind it the chain goes on. A transaction
// is only ever written behind one that was synced. So two commits in one unbroken piece of the chain prove that the
// first of them was synced, and everything before it: a bad frame there is damage, not a power cut. What a commit that
// failed or was cut short has left in the log is at most one commit in a piece: its sync never came back, so nothing
// was written behind it.
//
// What this cannot tell is said in docs/operations/crash-points.md: damage within the last commit, and a log that was
// cut off, look like a power cut. Format: https://www.sqlite.org/fileformat2.html, section 4; the page size is
// kNodePageBytes, the byte order this machine's.

#include <string>

#include "base/result.h"

namespace wb::world {

// Whether the file `log` may have pages that the database has not. One whose head is zeros is kept for its disk space
// alone (NodeDb::checkpoint).
bool log_holds_pages(const std::string& log);

// Whether commits that were synced lie behind a bad frame, where SQLite would not look for them.
bool log_lost_commits(const std::string& log);

// The same, or the head of a log that holds commits is damaged, or a part of it cannot be read. Only for a log whose
// head is zeros, synced, whenever its frames are all in the file: elsewhere a new head that power cut short looks the
// same.
bool log_is_damaged(const std::string& log);

// Writes the newest intact version of each page that the log's commits have into the file `database`, and syncs it.
// What was not committed, or not provably, stays out. Doing it again does no harm.
Status lay_log_over(const std::string& database, const std::string& log);

}  // namespace wb::world
