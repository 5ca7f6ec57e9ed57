#pragma once
// Opening the node's file whatever is in it. A damaged file is copied, as far as it can be read, beside itself and only
// then set aside; each step is a rename, so that a crash in the middle is finished by the next start (Q5, Q6):
//
//   outbox.db.partial   the copy in the making; removed by the next start
//   outbox.db.salvaged  the copy, whole and synced; takes the place of outbox.db
//   outbox.db.damaged-N what was set aside, with its log; the newest two are kept
//   outbox.db.suspect   the next start treats outbox.db as damaged. Written when a fault showed it; or it is the log of
//                       a damaged file, once all that is intact in it lies in the file

#include <memory>
#include <string>

#include "base/result.h"
#include "world/node_db.h"

namespace wb::world {

struct NodeFile {
  std::unique_ptr<NodeDb> db;
  StoredState found;
  std::string set_aside;  // path; "" = the file was whole
};

// `folder` exists and is locked by the caller.
Result<NodeFile> open_node_file(const std::string& folder, const NodeDb::Limits& limits, uint32_t damaged_kept);
// A later fault showed that the file is damaged: the next start treats it so, whatever a check says.
void mark_suspect(const std::string& folder);

}  // namespace wb::world
