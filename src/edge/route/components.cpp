// Every rule and every action, by name. Nothing else registers one.
#include "edge/route/route.h"

namespace wb::route {
namespace {

// A smaller rate would give one record the weight of more than a million.
constexpr double kRateMin = 1e-6;

Field rate(std::string fallback, bool required = false) {
  return {.name = "rate",
          .type = FieldType::kNumber,
          .summary = "share of the matching records that is sent; above 0, at most 1",
          .required = required,
          .fallback = std::move(fallback),
          .min = kRateMin,
          .max = 1};
}
Field classes() { return {.name = "classes", .type = FieldType::kTextList, .summary = "labels that are anomalies"}; }
Field normal() {
  return {.name = "normal",
          .type = FieldType::kTextList,
          .summary = "labels that are normal: every other one is an anomaly"};
}
Field above(std::string summary, bool required = false) {
  return {.name = "above", .type = FieldType::kNumber, .summary = std::move(summary), .required = required};
}
Field below(std::string summary, bool required = false) {
  return {.name = "below", .type = FieldType::kNumber, .summary = std::move(summary), .required = required};
}

Spec action(std::string name, std::string summary, std::vector<Field> own, std::string example, std::string costs) {
  own.push_back({.name = "when",
                 .type = FieldType::kText,
                 .summary = "which records",
                 .fallback = "anomaly",
                 .choices = {"anomaly", "low_confidence", "novel", "not_finite", "all"}});
  own.push_back(classes());
  own.push_back(normal());
  own.push_back(above("novel: novelty above this; anomaly of a regression: value above this"));
  own.push_back(below("low_confidence: confidence below this; anomaly of a regression: value below this"));
  return {std::move(name), std::move(summary), std::move(own), std::move(example), std::move(costs)};
}

}  // namespace

const std::vector<Spec>& rule_specs() {
  static const std::vector<Spec> specs = {
      {"anomaly",
       "Sends records whose label (or regression value) is an anomaly.",
       {classes(), normal(), above("regression: values above this are anomalies"),
        below("regression: values below this are anomalies"), rate("1")},
       "- anomaly: {normal: \"1\", rate: 1}",
       "As many bytes as there are anomalies; the budget and the outbox cap bound them."},
      {"low_confidence",
       "Sends records of which the model is unsure.",
       {{.name = "below",
         .type = FieldType::kNumber,
         .summary = "confidence below this",
         .required = true,
         .min = 0,
         .max = 1},
        rate("1")},
       "- low_confidence: {below: 0.8, rate: 0.5}",
       "Grows as the model ages."},
      {"novel",
       "Sends records unlike the training data.",
       {{.name = "above",
         .type = FieldType::kNumber,
         .summary = "novelty above this, in standard deviations of surprise",
         .required = true,
         .min = 0},
        rate("1")},
       "- novel: {above: 3.0, rate: 1}",
       "A moved sensor makes every record novel: the budget bounds the bytes."},
      {"not_finite",
       "Sends records with NaN or infinite features. Without this line they are sent at rate 1.",
       {rate("1")},
       "- not_finite: {rate: 0.1}",
       "A broken sensor makes every record match."},
      {"sample",
       "Sends a uniform random share of all records: the audit sample.",
       {rate("", true)},
       "- sample: {rate: 0.01}",
       "The share of all bytes that it names."},
      {"all", "Sends every record.", {rate("1")}, "- all: {}", "Uploads everything: use it for trials only."},
      {"never",
       "Sends nothing, whatever the other rules say; dead letters stay on the node too.",
       {},
       "- never: {}",
       "Nobody upstream will see a record of this pipeline."},
  };
  return specs;
}

const std::vector<Spec>& action_specs() {
  static const std::vector<Spec> specs = {
      action("stdout", "Writes one JSON line per record to standard output.", {}, "- stdout: {when: anomaly}",
             "A slow reader of the agent's output slows the pipeline."),
      action("file", "Appends one JSON line per record to a file.",
             {{.name = "path", .type = FieldType::kText, .summary = "file to append to", .required = true}},
             "- file: {path: alarms.ndjson, when: anomaly}", "The file grows until you rotate it."),
      action("http", "Posts one JSON object per record to a local service.",
             {{.name = "url",
               .type = FieldType::kText,
               .summary = "http:// address of a service on this device or beside it",
               .required = true}},
             "- http: {url: \"http://127.0.0.1:8080/alarm\", when: anomaly}",
             "Best effort: a post that fails is counted and not repeated."),
      action("mqtt", "Publishes one JSON object per record.",
             {{.name = "url",
               .type = FieldType::kText,
               .summary = "mqtt://host:port or mqtts://host:port",
               .required = true},
              {.name = "topic", .type = FieldType::kText, .summary = "topic to publish on", .required = true},
              {.name = "qos",
               .type = FieldType::kInteger,
               .summary = "quality of service",
               .fallback = "1",
               .min = 0,
               .max = 2},
              {.name = "username", .type = FieldType::kText, .summary = "user name at the broker"},
              {.name = "password_file",
               .type = FieldType::kText,
               .summary = "file that holds the password; only with username"},
              {.name = "ca_file",
               .type = FieldType::kText,
               .summary = "PEM file with the CA that signed the broker's certificate (default: the CAs that the system "
                          "trusts); only with mqtts"}},
             "- mqtt: {url: \"mqtt://127.0.0.1:1883\", topic: alarms, when: anomaly}",
             "Best effort: what the broker refuses is counted and not repeated."),
  };
  return specs;
}

const Spec& route_spec() {
  static const Spec spec{"route",
                         "What happens here, on the node.",
                         {{.name = "actions", .type = FieldType::kDocument, .summary = "list of local actions"}},
                         "route:\n  actions:\n    - stdout: {when: anomaly}",
                         ""};
  return spec;
}

const Spec& sync_spec() {
  static const Spec spec{"sync",
                         "What is sent upstream, and how much at most.",
                         {{.name = "budget",
                           .type = FieldType::kSize,
                           .summary = "record bytes a day, at most; required with any rule that sends",
                           .min = 1024},
                          {.name = "rules",
                           .type = FieldType::kDocument,
                           .summary = "list of rules; the first that matches names the reason"}},
                         "sync:\n  budget: 64KiB\n  rules:\n    - anomaly: {normal: \"1\"}\n    - sample: {rate: 0.01}",
                         ""};
  return spec;
}

}  // namespace wb::route
