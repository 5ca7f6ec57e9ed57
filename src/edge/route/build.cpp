// From the sections `route` and `sync` to a Router: every fault found, each with its place.
#include <algorithm>

#include "base/bytes.h"
#include "base/prng.h"
#include "edge/route/route.h"

namespace wb::route {

class Builder {
 public:
  Builder(Router& out, Problems& problems) : out_(out), problems_(problems) {}

  void sync(const Document* section) {
    if (section == nullptr) return;
    const Values values = check_fields(sync_spec(), *section, problems_);
    if (const Document* list = section->find("rules")) rules(*list);
    if (values.has("budget"))
      out_.budget_bytes_per_day_ = values.integer("budget");
    else if (out_.uploads_)
      problems_.add(section->at, "sync.budget: is required with rules: record bytes a day, for example 64KiB");
  }

  void route(const Document* section) {
    if (section == nullptr) return;
    check_fields(route_spec(), *section, problems_);
    const Document* list = section->find("actions");
    if (list == nullptr || list->kind == Document::Kind::kNull) return;
    if (!list->is_list())
      return problems_.add(list->at, "route.actions: expected a list of actions, each on a line with '- '");
    if (list->items.size() > kActionsMax)
      return problems_.add(list->at, "route.actions: more than " + std::to_string(kActionsMax) + " actions");
    for (const Document& item : list->items) action(item);
  }

 private:
  void rules(const Document& list) {
    if (list.kind == Document::Kind::kNull) return;
    if (!list.is_list())
      return problems_.add(list.at, "sync.rules: expected a list of rules, each on a line with '- '");
    if (list.items.size() > kRulesMax)
      return problems_.add(list.at, "sync.rules: more than " + std::to_string(kRulesMax) + " rules");
    bool never = false;
    bool not_finite = false;
    for (const Document& item : list.items) {
      const Document::Entry* entry = single_key(item, problems_);
      if (entry == nullptr) continue;
      const Spec* spec = find_spec(rule_specs(), "rule", *entry);
      if (spec == nullptr) continue;
      if (spec->name == "never") {
        check_fields(*spec, entry->value, problems_);
        never = true;
        continue;
      }
      rule(*spec, *entry);
      not_finite = not_finite || spec->name == "not_finite";
    }
    out_.uploads_ = !out_.rules_.empty() && !never;
    if (out_.uploads_ && out_.model_.present && !not_finite)
      out_.rules_.insert(out_.rules_.begin(), {Rule::kNotFinite, {}, 1});
  }

  void rule(const Spec& spec, const Document::Entry& entry) {
    const Values values = check_fields(spec, entry.value, problems_);
    Router::RuleLine line;
    line.rule = *rule_by_name(spec.name);
    if (values.has("rate")) line.rate = values.number("rate");
    line.condition = condition(spec, line.rule, values, entry.at);
    out_.rules_.push_back(std::move(line));
  }

  void action(const Document& item) {
    const Document::Entry* entry = single_key(item, problems_);
    if (entry == nullptr) return;
    const Spec* spec = find_spec(action_specs(), "action", *entry);
    if (spec == nullptr) return;
    const Values values = check_fields(*spec, entry->value, problems_);
    Action out;
    out.name = spec->name;
    const Document* label = item.find("label");
    out.label = label != nullptr && label->is_scalar() ? label->text : spec->name;
    const auto when = values.has("when") ? rule_by_name(values.text("when")) : std::nullopt;
    if (!when) return;  // reported by check_fields
    out.when = *when;
    out.kind = spec->name == "stdout" ? ActionKind::kStdout
               : spec->name == "file" ? ActionKind::kFile
               : spec->name == "http" ? ActionKind::kHttp
                                      : ActionKind::kMqtt;
    if (values.has("path")) out.path = values.text("path");
    if (values.has("url")) out.url = values.text("url");
    if (values.has("topic")) out.topic = values.text("topic");
    if (values.has("qos")) out.qos = static_cast<int>(values.integer("qos"));
    if (values.has("username")) out.username = values.text("username");
    if (values.has("password_file")) out.password_file = values.text("password_file");
    if (values.has("ca_file")) out.ca_file = values.text("ca_file");
    check_addresses(out, values);
    out_.action_conditions_.push_back(action_condition(*spec, out.when, values, entry->at));
    out_.actions_.push_back(std::move(out));
  }

  void check_addresses(const Action& action, const Values& values) {
    const auto starts = [&action](std::string_view with) { return action.url.compare(0, with.size(), with) == 0; };
    if (action.kind == ActionKind::kHttp && values.has("url") && !starts("http://"))
      problems_.add(values.at("url"), "http.url: '" + action.url +
                                          "' must start with http://: an action posts to a "
                                          "service on this device or beside it, without TLS");
    if (action.kind != ActionKind::kMqtt) return;
    if (values.has("url") && !starts("mqtt://") && !starts("mqtts://"))
      problems_.add(values.at("url"), "mqtt.url: '" + action.url + "' must start with mqtt:// or mqtts://");
    if (!action.password_file.empty() && action.username.empty())
      problems_.add(values.at("password_file"), "mqtt.password_file: needs username");
    if (!action.ca_file.empty() && !starts("mqtts://"))
      problems_.add(values.at("ca_file"), "mqtt.ca_file: needs an mqtts:// url");
    if (values.has("topic") && (action.topic.empty() || action.topic.find_first_of("#+") != std::string::npos))
      problems_.add(values.at("topic"), "mqtt.topic: a topic to publish on has no wildcards and is not empty");
  }

  // An action without its own condition means what the rule of that name means.
  Router::Condition action_condition(const Spec& spec, Rule when, const Values& values, Position at) {
    const bool own = values.has("classes") || values.has("normal") || values.has("above") || values.has("below");
    if (when == Rule::kAll || when == Rule::kNotFinite) {
      if (own) problems_.add(at, spec.name + ": classes, normal, above and below mean nothing with this 'when'");
      return condition(spec, when, values, at);
    }
    if (own) return condition(spec, when, values, at);
    for (const Router::RuleLine& line : out_.rules_)
      if (line.rule == when) return line.condition;
    if (needs_model(spec, when, at)) return {};
    const std::string word(rule_name(when));
    const std::string_view key = when == Rule::kAnomaly ? "normal or classes"
                                 : when == Rule::kNovel ? "above"
                                                        : "below";
    problems_.add(at, spec.name + ": 'when: " + word + "' needs " + std::string(key) + " here, or a rule '" + word +
                          "' in sync.rules");
    return {};
  }

  bool needs_model(const Spec& spec, Rule rule, Position at) {
    if (out_.model_.present || rule == Rule::kAll || rule == Rule::kSample) return false;
    problems_.add(at, spec.name + ": needs a model: add 'infer: {model: main}' to the pipeline");
    return true;
  }

  Router::Condition condition(const Spec& spec, Rule rule, const Values& values, Position at) {
    Router::Condition out;
    if (needs_model(spec, rule, at)) return out;
    const auto refuse = [&](std::string_view key, std::string_view why) {
      if (values.has(key)) problems_.add(values.at(key), spec.name + "." + std::string(key) + ": " + std::string(why));
    };
    if (rule == Rule::kAnomaly) return anomaly(spec, values, at);
    for (const std::string_view key : {"classes", "normal"}) refuse(key, "is for anomalies only");
    if (rule == Rule::kLowConfidence) {
      refuse("above", "low confidence has only 'below'");
      if (values.has("below"))
        out.below = values.number("below");
      else if (!spec_requires(spec, "below"))
        problems_.add(at, spec.name + ": 'when: low_confidence' needs 'below'");
    } else if (rule == Rule::kNovel) {
      refuse("below", "novelty has only 'above'");
      if (values.has("above"))
        out.above = values.number("above");
      else if (!spec_requires(spec, "above"))
        problems_.add(at, spec.name + ": 'when: novel' needs 'above'");
    }
    return out;
  }

  Router::Condition anomaly(const Spec& spec, const Values& values, Position at) {
    Router::Condition out;
    const bool by_class = values.has("classes") || values.has("normal");
    const bool by_value = values.has("above") || values.has("below");
    if (values.has("classes") && values.has("normal"))
      problems_.add(values.at("normal"), spec.name + ": give 'classes' or 'normal', not both");
    else if (by_class && by_value)
      problems_.add(
          at, spec.name + ": 'classes' and 'normal' are for classes, 'above' and 'below' for regression: not both");
    else if (!by_class && !by_value)
      problems_.add(
          at,
          spec.name + ": say what an anomaly is: 'normal: …' or 'classes: […]', or for regression 'above' or 'below'");
    if (values.has("above")) out.above = values.number("above");
    if (values.has("below")) out.below = values.number("below");
    if (!out_.model_.known) return out;
    if (by_class && out_.model_.regression)
      problems_.add(at, spec.name + ": the model is a regression: use 'above' and 'below'");
    if (by_value && !out_.model_.regression)
      problems_.add(at, spec.name + ": the model answers with classes: use 'normal' or 'classes'");
    if (!by_class || out_.model_.regression) return out;
    const std::string_view key = values.has("classes") ? "classes" : "normal";
    const bool listed_is_anomaly = key == "classes";
    out.class_mask.assign(out_.model_.labels.size(), listed_is_anomaly ? 0 : 1);
    for (const std::string& name : values.list(key)) {
      const auto found = std::find(out_.model_.labels.begin(), out_.model_.labels.end(), name);
      if (found == out_.model_.labels.end())
        problems_.add(values.at(key), spec.name + "." + std::string(key) + ": the model has no class '" + name + "'" +
                                          suggestion(name, out_.model_.labels));
      else
        out.class_mask[static_cast<size_t>(found - out_.model_.labels.begin())] = listed_is_anomaly ? 1 : 0;
    }
    return out;
  }

  static bool spec_requires(const Spec& spec, std::string_view key) {
    for (const Field& field : spec.fields)
      if (field.name == key) return field.required;
    return false;
  }

  static std::optional<Rule> rule_by_name(std::string_view name) {
    for (const Rule rule :
         {Rule::kAnomaly, Rule::kLowConfidence, Rule::kNovel, Rule::kNotFinite, Rule::kSample, Rule::kAll})
      if (rule_name(rule) == name) return rule;
    return std::nullopt;
  }

  const Spec* find_spec(const std::vector<Spec>& specs, std::string_view noun, const Document::Entry& entry) {
    std::vector<std::string> names;
    for (const Spec& spec : specs) {
      if (spec.name == entry.key) return &spec;
      names.push_back(spec.name);
    }
    problems_.add(entry.at, "unknown " + std::string(noun) + " '" + entry.key + "'" + suggestion(entry.key, names));
    return nullptr;
  }

  Router& out_;
  Problems& problems_;
};

Result<Router> Router::build(const Document* route, const Document* sync, const ModelFacts& model,
                             const RouteOptions& options, Problems& problems) {
  const size_t before = problems.items().size();
  Router out;
  out.model_ = model;
  out.options_ = options;
  out.key_ = keyed_hash(options.seed, options.node_id);
  Builder builder(out, problems);
  builder.sync(sync);  // first: actions may refer to the rules' conditions
  builder.route(route);
  if (problems.items().size() > before) return fail(Code::kInvalid, "route and sync have problems");
  return out;
}

}  // namespace wb::route
