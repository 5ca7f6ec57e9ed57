// Trees laid out: which are bushy, crowns and heaps and nodes filled from the ranked forest's preorder.
#include "engine/trees.h"

#include <algorithm>
#include <numeric>
#include <span>
#include <tuple>

namespace wb::engine {

using kernels::kCrownExits;
using kernels::kCrownLevels;
using kernels::kPieceNodes;

namespace {

// Bushy: the places of its lowest level are at most eight times the leaves that fill them.
constexpr size_t kBushySpread = 8;

struct TreeShape {  // in the ranked forest
  size_t nodes_begin = 0, nodes_end = 0, splits_begin = 0, values_begin = 0;
  size_t leaves = 0, depth = 0;
  uint32_t output = 0;
};

// Where a node stands that is reached by `path` (a bit for each level, 1 is right) in a crown.
size_t node_of_crown(size_t path, size_t level) {
  const size_t piece = level < 3 ? 0 : 1 + (path >> (level - 3));
  const size_t within = level % 3;
  return kPieceNodes * piece + (size_t{1} << within) - 1 + (path & ((size_t{1} << within) - 1));
}

}  // namespace

template <class Leaf>
class Trees<Leaf>::Builder {
 public:
  Builder(const RankedForest& ranked, const Ranker& ranker, Trees& out) : ranked_(ranked), ranker_(ranker), out_(out) {
    measure();
    // What is added to different margins may be added in any order, and one margin after the other stays in a register.
    out_.vectors_ =
        std::find(ranked.outputs.begin(), ranked.outputs.end(), out_.outputs_count_) != ranked.outputs.end();
    if (!out_.vectors_) {
      std::stable_sort(shapes_.begin(), shapes_.end(),
                       [](const TreeShape& a, const TreeShape& b) { return a.output < b.output; });
    }
    for (const TreeShape& shape : shapes_) out_.outputs_.push_back(shape.output);
    out_.entry_of_.resize(shapes_.size());
    for (size_t first = 0; first < shapes_.size(); first += kBatch)
      add_batch(std::span(shapes_).subspan(first, std::min(kBatch, shapes_.size() - first)));
  }

 private:
  // Where each tree begins, how deep and how bushy it is.
  void measure() {
    size_t node = 0;
    size_t split = 0;
    size_t value = 0;
    for (const uint32_t output : ranked_.outputs) {
      TreeShape shape{node, node, split, value, 0, 0, output};
      std::vector<bool> right_side;
      do {
        if (!ranked_.leaf[node++]) {
          ++split;
          right_side.push_back(false);
          shape.depth = std::max(shape.depth, right_side.size());
          continue;
        }
        ++shape.leaves;
        value += vectors(shape) ? out_.outputs_count_ : 1;
        while (!right_side.empty() && right_side.back()) right_side.pop_back();
        if (right_side.empty()) break;
        right_side.back() = true;
      } while (true);
      shape.nodes_end = node;
      shapes_.push_back(shape);
    }
  }

  bool vectors(const TreeShape& shape) const { return shape.output == out_.outputs_count_; }
  bool bushy(const TreeShape& shape) const {
    return !vectors(shape) && shape.depth <= kCrownLevels + kRestLevelsMax &&
           (size_t{1} << shape.depth) <= kBushySpread * shape.leaves;
  }

  // Bushy trees before others, shallow before deep.
  void add_batch(std::span<const TreeShape> batch) {
    std::vector<uint8_t> order(batch.size());
    std::iota(order.begin(), order.end(), uint8_t{0});
    const auto rest_levels = [](const TreeShape& shape) { return std::max(shape.depth, kCrownLevels) - kCrownLevels; };
    const auto key = [&](uint8_t i) {
      return std::tuple(!bushy(batch[i]), bushy(batch[i]) ? rest_levels(batch[i]) : batch[i].depth, i);
    };
    std::sort(order.begin(), order.end(), [&](uint8_t a, uint8_t b) { return key(a) < key(b); });
    const size_t first_entry = out_.entries_.size();
    for (const uint8_t i : order) {
      const TreeShape& shape = batch[i];
      Entry entry;
      entry.tree = i;
      entry.bushy = bushy(shape);
      if (entry.bushy) {
        entry.rest_levels = static_cast<uint8_t>(rest_levels(shape));
        entry.shift = static_cast<uint8_t>(kCrownLevels - std::min(shape.depth, kCrownLevels));
      }
      const bool together = out_.entries_.size() > first_entry && out_.entries_.back().bushy == entry.bushy &&
                            out_.entries_.back().rest_levels == entry.rest_levels;
      if (!together) out_.groups_.push_back(Group{static_cast<uint32_t>(out_.entries_.size()), 0});
      ++out_.groups_.back().count;
      if (entry.bushy) add_bushy(shape, entry);
      if (!entry.bushy) add_walk(shape, entry);
      out_.entry_of_[first_entry + i] = static_cast<uint32_t>(out_.entries_.size());
      out_.entries_.push_back(entry);
    }
  }

  Question question(size_t split) const {
    return ranker_.question(ranked_.slot[split], ranked_.rank[split], ranked_.left[split]);
  }

  // Fills the crown with the splits of the top levels; what lies below goes, in preorder, to `below`, with its path and
  // level. Places that no split fills ask a question that everything answers with left.
  template <class Below>
  void add_crown(const TreeShape& shape, Entry& entry, const Below& below) {
    kernels::Crown<uint16_t> crown;
    std::fill(std::begin(crown.ranks), std::end(crown.ranks), kernels::kRankHighest);
    std::vector<std::pair<size_t, size_t>> due{{0, 0}};  // path, level
    size_t split = shape.splits_begin;
    for (size_t node = shape.nodes_begin; node < shape.nodes_end; ++node) {
      const auto [path, level] = due.back();
      due.pop_back();
      const bool leaf = ranked_.leaf[node];
      if (leaf || level >= kCrownLevels) {
        below(path, level, leaf ? Question{} : question(split), leaf);
      } else {
        const Question asks = question(split);
        crown.positions[node_of_crown(path, level)] = asks.position;
        crown.ranks[node_of_crown(path, level)] = asks.rank;
      }
      if (leaf) continue;
      ++split;
      due.emplace_back(2 * path + 1, level + 1);
      due.emplace_back(2 * path, level + 1);
    }
    keep_crown(crown, entry);
  }

  void add_bushy(const TreeShape& shape, Entry& entry) {
    const size_t depth = std::max(shape.depth, kCrownLevels) - entry.shift;
    const size_t heap_nodes = entry.rest_levels == 0 ? 0 : size_t{1} << entry.rest_levels;
    std::vector<Question> heaps(kCrownExits * heap_nodes, Question{0, kernels::kRankHighest});
    std::vector<Leaf> leaves(size_t{1} << depth, Leaf{0});
    size_t value = shape.values_begin;
    add_crown(shape, entry, [&](size_t path, size_t level, Question asks, bool leaf) {
      if (leaf) {
        leaves[path << (depth - level)] = static_cast<Leaf>(ranked_.values[value++]);
        return;
      }
      const size_t below = level - kCrownLevels;
      const size_t within = (size_t{1} << below) | (path & ((size_t{1} << below) - 1));
      heaps[(path >> below) * heap_nodes + within] = asks;
    });
    keep_heaps(heaps, entry);
    entry.leaves = static_cast<uint32_t>(out_.values_.size());
    out_.values_.insert(out_.values_.end(), leaves.begin(), leaves.end());
  }

  void keep_crown(const kernels::Crown<uint16_t>& crown, Entry& entry) {
    entry.crown = static_cast<uint32_t>(out_.small_ ? out_.crowns_small_.size() : out_.crowns_wide_.size());
    if (!out_.small_) return out_.crowns_wide_.push_back(crown);
    kernels::Crown<uint8_t>& small = out_.crowns_small_.emplace_back();
    for (size_t i = 0; i < kCrownExits; ++i) small.positions[i] = static_cast<uint8_t>(crown.positions[i]);
    std::copy(std::begin(crown.ranks), std::end(crown.ranks), std::begin(small.ranks));
  }

  void keep_heaps(const std::vector<Question>& heaps, Entry& entry) {
    entry.nodes = static_cast<uint32_t>(out_.small_ ? out_.heaps_small_.size() : out_.heaps_wide_.size());
    for (const Question& asks : heaps) {
      const auto rank = static_cast<uint8_t>(asks.rank);
      if (out_.small_) out_.heaps_small_.push_back(static_cast<uint16_t>(asks.position | rank << 8));
      if (!out_.small_) out_.heaps_wide_.push_back(asks.position | static_cast<uint32_t>(rank) << 16);
    }
  }

  void add_walk(const TreeShape& shape, Entry& entry) {
    entry.nodes = static_cast<uint32_t>(out_.starts_.size());
    out_.starts_.resize(entry.nodes + kCrownExits);
    const auto last = static_cast<uint16_t>(out_.positions_count_);
    size_t value = shape.values_begin;
    std::vector<size_t> open;  // splits below the crown whose right side is due
    add_crown(shape, entry, [&](size_t path, size_t level, Question asks, bool leaf) {
      const size_t at = out_.walk_.size();
      if (level <= kCrownLevels) {  // what hangs from one exit, or from all those below a leaf of the crown
        const size_t exits = size_t{1} << (kCrownLevels - level);
        std::fill_n(out_.starts_.begin() + static_cast<ptrdiff_t>(entry.nodes + path * exits), exits,
                    static_cast<uint32_t>(at));
      } else if (path % 2 == 1) {
        out_.walk_[open.back()].right = static_cast<uint32_t>(at - open.back());
        open.pop_back();
      }
      if (!leaf) {
        out_.walk_.push_back(WalkNode{0, 0, asks.position, asks.rank});
        open.push_back(at);
        return;
      }
      out_.walk_.push_back(WalkNode{0, static_cast<uint32_t>(out_.values_.size()), last, kernels::kRankLowest});
      for (size_t i = 0; i < (vectors(shape) ? out_.outputs_count_ : 1); ++i)
        out_.values_.push_back(static_cast<Leaf>(ranked_.values[value++]));
    });
  }

  const RankedForest& ranked_;
  const Ranker& ranker_;
  Trees& out_;
  std::vector<TreeShape> shapes_;
};

template <class Leaf>
Trees<Leaf>::Trees(const RankedForest& ranked, const Ranker& ranker, size_t outputs)
    : outputs_count_(outputs), positions_count_(ranker.positions_count()), small_(ranker.positions_count() <= 256) {
  Builder(ranked, ranker, *this);
}

template <class Leaf>
size_t Trees<Leaf>::memory_bytes() const {
  return (outputs_.size() + entry_of_.size() + starts_.size()) * 4 + entries_.size() * sizeof(Entry) +
         groups_.size() * sizeof(Group) + crowns_small_.size() * sizeof(kernels::Crown<uint8_t>) +
         crowns_wide_.size() * sizeof(kernels::Crown<uint16_t>) + heaps_small_.size() * 2 + heaps_wide_.size() * 4 +
         walk_.size() * sizeof(WalkNode) + values_.size() * sizeof(Leaf);
}

template class Trees<float>;
template class Trees<double>;

}  // namespace wb::engine
