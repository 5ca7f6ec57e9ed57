#pragma once
// Carving: the rows of a damaged outbox.db read page by page, without its trees. A bit that flips in the schema or in
// an inner page of a tree cuts SQLite off from pages that are whole; their rows can still be told by their CRC32C (Q5).
//
// Pages on the free list are left out, for they hold rows that were erased. If the list cannot be followed, nothing is
// carved. A log beside the file is not looked at: what it has must be in the file (sqlite_log.h). Format:
// https://www.sqlite.org/fileformat2.html, sections 1.2 to 1.6 and 2.1; the page size is kNodePageBytes, none of it
// reserved.

#include <cstdint>
#include <functional>
#include <string>

#include "base/store_op.h"

namespace wb::world {

// Calls `take` with every intact row of `path`, in no order, some perhaps more than once; it returns false to end.
void carve_rows(const std::string& path, const std::function<bool(StoreOp row)>& take);

// Whether the file's first page can be read, by one of a few tries. Without it nothing of the file can be.
bool first_page_reads(const std::string& path);

// Whether a number of the file's header (section 1.3) has a value that no store of ours has: SQLite would take the file
// for a newer one's, or for one that may only be read, and the start would end there. False while a log or a journal
// may mend it.
bool header_is_damaged(const std::string& path);

}  // namespace wb::world
