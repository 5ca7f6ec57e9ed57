// Text → Scenario. One statement a line, words between blanks; a fault of the text does not end the reading, so that
// all of them are told at once.
#include <algorithm>
#include <cmath>

#include "base/bytes.h"
#include "base/document.h"
#include "sim/scenario.h"

namespace wb::sim {
namespace {

constexpr int64_t kDayMs = 86'400'000;
constexpr int64_t kLengthMaxMs = 3'660 * kDayMs;
constexpr size_t kStatementsMax = kCuesMax;
constexpr int64_t kVersionMax = 1'000'000;

using Words = std::vector<std::string>;

Words words_of(std::string_view line) {
  Words out;
  if (const size_t comment = line.find('#'); comment != std::string_view::npos) line = line.substr(0, comment);
  for (const std::string_view word : split(line, ' '))
    if (!trim(word).empty()) out.emplace_back(trim(word));
  return out;
}

template <class Table>
Words names_of(const Table& table) {
  Words out;
  for (const auto& one : table) out.emplace_back(one.name);
  return out;
}

class Parser {
 public:
  Result<Scenario> parse(std::string_view text, std::string_view file);

 private:
  void statement(const Words& words);
  void number(const Words& words, uint64_t min, uint64_t max, uint64_t& out);
  void fault(const Words& words);
  void at(const Words& words);
  void arguments(const ActSpec& spec, const Words& words, Cue& cue);
  void expect(const Words& words);
  void transition(const Words& words, std::vector<Transition>& out);
  void planted(const Words& words);
  bool time(const std::string& word, int64_t& out);
  bool length(const std::string& word, int64_t& out);
  bool nodes(const std::string& word, NodeRange& out);
  bool version(const std::string& word, uint32_t& out);
  void wrong(std::string text) { problems_.add({line_, 0}, std::move(text)); }
  void check_whole();

  Scenario out_;
  Problems problems_;
  int line_ = 0;
  int days_line_ = 0;
  std::vector<int> cue_lines_;  // of each cue of the script
  Words seen_;
};

void Parser::number(const Words& words, uint64_t min, uint64_t max, uint64_t& out) {
  if (std::find(seen_.begin(), seen_.end(), words[0]) != seen_.end()) return wrong("'" + words[0] + "' is said twice");
  seen_.push_back(words[0]);
  const auto value = words.size() == 2 ? parse_int(words[1]) : std::nullopt;
  if (!value || *value < 0 || static_cast<uint64_t>(*value) < min || static_cast<uint64_t>(*value) > max)
    return wrong("'" + words[0] + "' takes one number from " + std::to_string(min) + " to " + std::to_string(max));
  out = static_cast<uint64_t>(*value);
}

bool Parser::length(const std::string& word, int64_t& out) {
  const auto parsed = parse_duration_ms(word);
  if (!parsed.ok()) {
    wrong(parsed.error().text);
  } else if (*parsed > kLengthMaxMs) {
    wrong("'" + word + "' is longer than ten years");
  } else {
    out = *parsed;
    return true;
  }
  return false;
}

// 2d06:30 or 2d06:30:15
bool Parser::time(const std::string& word, int64_t& out) {
  const size_t day_end = word.find('d');
  std::vector<int64_t> parts;
  if (day_end != std::string::npos) {
    parts.push_back(parse_int(std::string_view(word).substr(0, day_end)).value_or(-1));
    for (const std::string_view part : split(std::string_view(word).substr(day_end + 1), ':'))
      parts.push_back(part.size() == 2 ? parse_int(part).value_or(-1) : -1);
  }
  if (parts.size() == 3) parts.push_back(0);
  const bool good = parts.size() == 4 && parts[0] >= 0 && parts[0] <= kDaysMax && parts[1] >= 0 && parts[1] < 24 &&
                    parts[2] >= 0 && parts[2] < 60 && parts[3] >= 0 && parts[3] < 60;
  if (!good) wrong("'" + word + "' is no time; write day, hour and minute as in 2d06:30");
  if (good) out = parts[0] * kDayMs + ((parts[1] * 60 + parts[2]) * 60 + parts[3]) * 1'000;
  return good;
}

// all, 3, 3..5, 3.. (to the last)
bool Parser::nodes(const std::string& word, NodeRange& out) {
  if (word == "all") {
    out = {0, kLastNode};
    return true;
  }
  const size_t dots = word.find("..");
  const std::string_view view = word;
  const auto first = parse_int(view.substr(0, dots));
  const std::string_view rest = dots == std::string::npos ? view : view.substr(dots + 2);
  const auto last = rest.empty() ? std::optional<int64_t>(kLastNode) : parse_int(rest);
  const bool good = first && last && *first >= 0 && *first < kNodesMax && *last >= *first && *last <= kLastNode;
  if (!good) wrong("'" + word + "' names no nodes; write all, 3, 3..5 or 3.. (counted from 0)");
  if (good) out = {static_cast<uint32_t>(*first), static_cast<uint32_t>(*last)};
  return good;
}

bool Parser::version(const std::string& word, uint32_t& out) {
  const auto parsed = parse_int(word);
  const bool good = parsed && *parsed >= 1 && *parsed <= kVersionMax;
  if (!good) wrong("'" + word + "' is no version; they are numbers from 1");
  if (good) out = static_cast<uint32_t>(*parsed);
  return good;
}

void Parser::fault(const Words& words) {
  if (words.size() == 2 && (words[1] == "usual" || words[1] == "calm")) {
    out_.faults = words[1] == "usual" ? usual() : calm();
    return;
  }
  if (words.size() < 3) return wrong("say which fault and how much, as in 'fault lose 5%', or 'fault usual' for all");
  const Fault* const found = find_fault(words[1]);
  if (found == nullptr)
    return wrong("there is no fault '" + words[1] + "'" + suggestion(words[1], names_of(fault_table())));
  int64_t& value = out_.faults.*found->value;
  switch (found->unit) {
    case FaultUnit::kPerMillion: {
      const std::string& text = words[2];
      const auto rate =
          text.ends_with('%') ? parse_double(std::string_view(text).substr(0, text.size() - 1)) : std::nullopt;
      if (words.size() != 3 || !rate || !(*rate >= 0 && *rate <= 100))
        return wrong("fault '" + words[1] + "' takes a chance, as in 'fault " + words[1] + " 5%'");
      value = std::llround(*rate * 10'000);
      return;
    }
    case FaultUnit::kEveryMs:
      if (words.size() == 3 && words[2] == "never") {
        value = 0;
      } else if (words.size() == 4 && words[2] == "every") {
        (void)length(words[3], value);
      } else {
        wrong("fault '" + words[1] + "' takes a mean time, as in 'fault " + words[1] + " every 2d', or never");
      }
      return;
    default:
      if (words.size() == 5 && words[2] == "up" && words[3] == "to") {
        (void)length(words[4], value);
      } else {
        wrong("fault '" + words[1] + "' takes a longest time, as in 'fault " + words[1] + " up to 4s'");
      }
  }
}

void Parser::at(const Words& words) {
  Cue cue;
  if (words.size() < 3) return wrong("say when and what, as in 'at 2d06:30 cut 3..5 for 7d'");
  const bool good = time(words[1], cue.at_ms);
  const ActSpec* const spec = find_act(words[2]);
  if (spec == nullptr)
    return wrong("nothing is called '" + words[2] + "'" + suggestion(words[2], names_of(act_table())));
  cue.act = spec->act;
  if (!good) return;
  arguments(*spec, Words(words.begin() + 3, words.end()), cue);
}

void Parser::arguments(const ActSpec& spec, const Words& words, Cue& cue) {
  const std::string name(spec.name);
  const auto keep = [&](bool good) {
    if (!good) return;
    out_.script.push_back(cue);
    cue_lines_.push_back(line_);
  };
  switch (spec.takes) {
    case Takes::kNothing:
      if (!words.empty()) return wrong("'" + name + "' stands alone");
      return keep(true);
    case Takes::kRelease: {
      if (words.size() != 2) return wrong("'ship' takes a kind and a version, as in 'ship good 1'");
      const auto known = release_kind_names();
      const auto kind = std::find(known.begin(), known.end(), words[0]);
      if (kind == known.end())
        return wrong("there is no release of kind '" + words[0] + "'" +
                     suggestion(words[0], Words(known.begin(), known.end())));
      cue.kind = static_cast<Kind>(kind - known.begin());
      return keep(version(words[1], cue.version));
    }
    case Takes::kRollout:
      if (words.size() > 1)
        return wrong("'" + name + "' takes the version whose rollout is meant, or nothing: the newest");
      return keep(words.empty() || version(words[0], cue.version));
    case Takes::kNodes:
      if (words.size() != 1) return wrong("'" + name + "' takes nodes, as in '" + name + " 3..5'");
      return keep(nodes(words[0], cue.nodes));
    case Takes::kNodesFor:
      if (words.size() != 3 || words[1] != "for")
        return wrong("'" + name + "' takes nodes and a length, as in '" + name + " 3..5 for 7d'");
      return keep(nodes(words[0], cue.nodes) && length(words[2], cue.for_ms));
    case Takes::kFor:
      if (words.size() != 2 || words[0] != "for")
        return wrong("'" + name + "' takes a length, as in '" + name + " for 6h'");
      return keep(length(words[1], cue.for_ms));
  }
}

// MACHINE FROM -> TO, MACHINE FROM --EVENT-> TO
void Parser::transition(const Words& words, std::vector<Transition>& out) {
  if (words.size() != 6) return wrong("write a transition as in 'expect took exposure pending -> withdrawn'");
  const auto machine = find_machine(words[2]);
  if (!machine) {
    Words known;
    for (size_t i = 0; i < kMachinesCount; ++i) known.emplace_back(spec_of(static_cast<Machine>(i)).name);
    return wrong("there is no machine '" + words[2] + "'" + suggestion(words[2], known));
  }
  std::string_view event = words[4];
  const bool arrow = event == "->" || (event.starts_with("--") && event.ends_with("->") && event.size() > 4);
  event = event.size() > 4 ? event.substr(2, event.size() - 4) : std::string_view();
  const auto found = arrow ? find_transition(*machine, words[3], event, words[5]) : std::nullopt;
  if (found) return out.push_back(*found);
  Words known;
  for (const Transition& one : allowed_transitions())
    if (one.machine == *machine) known.push_back(text_of(one));
  const std::string said = words[2] + " " + words[3] + " " + words[4] + " " + words[5];
  const auto near = nearest(said, known);
  wrong("no transition is called '" + said + "'; " +
        (near ? "did you mean '" + *near + "'?" : "`waybill sim --coverage` prints them all"));
}

void Parser::expect(const Words& words) {
  if (words.size() == 2 && words[1] == "held") return;
  if (words.size() > 2 && words[1] == "took") return transition(words, out_.took);
  if (words.size() > 2 && words[1] == "never") return transition(words, out_.never_took);
  if (words.size() != 4 || (words[2] != ">=" && words[2] != "<="))
    return wrong(
        "expect one of: 'held', 'COUNT >= N', 'COUNT <= N', 'took MACHINE FROM -> TO', 'never MACHINE FROM -> TO'");
  if (find_report_count(words[1]) == nullptr)
    return wrong("the report has no count '" + words[1] + "'" + suggestion(words[1], names_of(report_counts())));
  const auto value = parse_int(words[3]);
  if (!value || *value < 0) return wrong("'" + words[3] + "' is no number");
  out_.counts.push_back({words[1], words[2] == "<=", static_cast<uint64_t>(*value)});
}

void Parser::planted(const Words& words) {
  if (words.size() != 4 || words[2] != "breaks")
    return wrong("write 'planted BUG breaks PROMISE', as in 'planted no_dedupe breaks Q3'");
  out_.planted.push_back({words[1], words[3]});
}

void Parser::statement(const Words& words) {
  uint64_t value = 0;
  if (words[0] == "seed") return number(words, 0, INT64_MAX, out_.seed);
  if (words[0] == "nodes") {
    number(words, 1, kNodesMax, value);
    if (value > 0) out_.nodes = static_cast<uint32_t>(value);
  } else if (words[0] == "days") {
    days_line_ = line_;
    number(words, 1, kDaysMax, value);
    if (value > 0) out_.days = static_cast<uint32_t>(value);
  } else if (words[0] == "fault") {
    fault(words);
  } else if (words[0] == "at") {
    at(words);
  } else if (words[0] == "expect") {
    expect(words);
  } else if (words[0] == "planted") {
    planted(words);
  } else {
    const Words known = {"seed", "nodes", "days", "fault", "at", "expect", "planted"};
    wrong("no statement begins with '" + words[0] + "'" + suggestion(words[0], known));
  }
}

// What only the whole can be asked: the script, and whether it fits into the days and the fleet.
void Parser::check_whole() {
  for (size_t i = 0; i < out_.script.size(); ++i) {
    line_ = cue_lines_[i];
    const Cue& cue = out_.script[i];
    if (cue.at_ms >= int64_t{out_.days} * kDayMs)
      wrong("this is after the last of " + std::to_string(out_.days) + " days; more 'days', or an earlier time");
    if (i > 0 && cue.at_ms < out_.script[i - 1].at_ms) wrong("this is earlier than the line before it");
    if (cue.nodes.first >= out_.nodes)
      wrong("the last of " + std::to_string(out_.nodes) + " nodes is " + std::to_string(out_.nodes - 1));
  }
}

Result<Scenario> Parser::parse(std::string_view text, std::string_view file) {
  if (text.size() > kScenarioBytesMax)
    return fail(Code::kFull, file, ": ", std::to_string(text.size()), " bytes; a scenario has at most ",
                std::to_string(kScenarioBytesMax));
  bool in_story = true;
  size_t statements = 0;
  for (const std::string_view raw : split(text, '\n')) {
    ++line_;
    const std::string_view line = trim(raw);
    in_story = in_story && line.starts_with('#');
    if (in_story) {
      if (line_ > 1) out_.story += '\n';
      out_.story += line.size() > 1 && line[1] == ' ' ? line.substr(2) : line.substr(1);
    }
    const Words words = words_of(line);
    if (words.empty()) continue;
    if (++statements > kStatementsMax) {
      wrong("more than " + std::to_string(kStatementsMax) + " statements");
      break;
    }
    statement(words);
  }
  check_whole();
  if (problems_.empty()) return std::move(out_);
  std::string lines;
  for (const Problem& problem : problems_.items())
    lines +=
        (lines.empty() ? "" : "\n") + std::string(file) + ":" + std::to_string(problem.at.line) + ": " + problem.text;
  return fail(Code::kInvalid, lines);
}

}  // namespace

Result<Scenario> parse_scenario(std::string_view text, std::string_view file) { return Parser().parse(text, file); }

}  // namespace wb::sim
