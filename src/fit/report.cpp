#include "fit/report.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace wb::fit {
namespace {

constexpr std::string_view kStyle =
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;"
    "background:#fff}h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2.2rem}table{border-collapse:collapse}"
    "td,th{padding:.25rem .7rem;text-align:right;border-bottom:1px solid #d8dee4}td:first-child,th:first-child"
    "{text-align:left}.chosen{background:#dff3e3;font-weight:600}.out{color:#707880}svg{max-width:100%;height:auto}"
    "text{font:12px system-ui,sans-serif;fill:#1b1f24}.axis{stroke:#57606a}.grid{stroke:#d8dee4}"
    "figcaption{color:#57606a;font-size:.9rem}";

std::string number(double value, int digits = 3) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.*f", digits, value);
  return text.data();
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '&')
      out += "&amp;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

std::string bytes_text(double bytes) {
  if (bytes < 1'024) return number(bytes, 0) + " B";
  if (bytes < 1'048'576) return number(bytes / 1'024, 1) + " KiB";
  return number(bytes / 1'048'576, 1) + " MiB";
}

// A plot's frame: data → places in a drawing of 640 × 320, with room for the numbers at left and below.
class Frame {
 public:
  Frame(double x_min, double x_max, double y_min, double y_max)
      : x_min_(x_min),
        x_span_(std::max(x_max - x_min, 1e-12)),
        y_min_(y_min),
        y_span_(std::max(y_max - y_min, 1e-12)) {}
  double x(double value) const { return 70 + 550 * (value - x_min_) / x_span_; }
  double y(double value) const { return 280 - 260 * (value - y_min_) / y_span_; }
  std::string line(double x1, double y1, double x2, double y2, std::string_view kind) const {
    return "<line class=\"" + std::string(kind) + "\" x1=\"" + number(x(x1), 1) + "\" y1=\"" + number(y(y1), 1) +
           "\" x2=\"" + number(x(x2), 1) + "\" y2=\"" + number(y(y2), 1) + "\"/>\n";
  }
  // Four lines across with their numbers.
  std::string levels(int digits) const {
    std::string out;
    for (int i = 0; i <= 4; ++i) {
      const double value = y_min_ + y_span_ * i / 4;
      out += line(x_min_, value, x_min_ + x_span_, value, "grid");
      out += text(62, y(value) + 4, number(value, digits), "end");
    }
    return out;
  }
  static std::string text(double x, double y, std::string_view words, std::string_view anchor) {
    return "<text x=\"" + number(x, 1) + "\" y=\"" + number(y, 1) + "\" text-anchor=\"" + std::string(anchor) + "\">" +
           escaped(words) + "</text>\n";
  }
  static std::string dot(double x, double y, double radius, std::string_view colour, std::string_view title) {
    return "<circle cx=\"" + number(x, 1) + "\" cy=\"" + number(y, 1) + "\" r=\"" + number(radius, 1) + "\" fill=\"" +
           std::string(colour) + "\"><title>" + escaped(title) + "</title></circle>\n";
  }

 private:
  double x_min_, x_span_, y_min_, y_span_;
};

std::string figure(const std::string& drawing, std::string_view label, std::string_view caption) {
  return "<figure><svg viewBox=\"0 0 640 320\" width=\"640\" height=\"320\" role=\"img\" aria-label=\"" +
         escaped(label) + "\">\n" + drawing + "</svg><figcaption>" + escaped(caption) + "</figcaption></figure>\n";
}

std::string trials_table(const Report& report) {
  std::string out = "<table><tr><th>candidate</th><th>" + escaped(info(report.metric).title) +
                    "</th><th>± standard error</th><th>package</th>";
  for (const std::string& head : report.cost_heads) out += "<th>" + escaped(head) + "</th>";
  out += "<th></th></tr>\n";
  for (size_t i = 0; i < report.trials.size(); ++i) {
    const Trial& trial = report.trials[i];
    const bool chosen = i == report.choice.chosen;
    out += chosen ? "<tr class=\"chosen\">" : trial.excluded.empty() ? "<tr>" : "<tr class=\"out\">";
    out += "<td>" + escaped(trial.candidate.name()) + "</td><td>" + number(trial.mean, 4) + "</td><td>" +
           number(trial.error, 4) + "</td><td>" + bytes_text(static_cast<double>(trial.package_bytes)) + "</td>";
    for (const std::string& cell : report.costs[i]) out += "<td>" + escaped(cell) + "</td>";
    out += "<td>" +
           escaped(chosen                    ? "taken: smallest within one standard error of the best"
                   : i == report.choice.best ? "best"
                   : !trial.excluded.empty() ? trial.excluded
                                             : std::string()) +
           "</td></tr>\n";
  }
  return out + "</table>\n";
}

std::string size_plot(const Report& report) {
  double x_min = 1e300;
  double x_max = -1e300;
  double y_min = 1e300;
  double y_max = -1e300;
  for (const Trial& trial : report.trials) {
    const double x = std::log10(static_cast<double>(trial.package_bytes));
    x_min = std::min(x_min, x);
    x_max = std::max(x_max, x);
    y_min = std::min(y_min, trial.mean - trial.error);
    y_max = std::max(y_max, trial.mean + trial.error);
  }
  const Frame frame(x_min - 0.1, x_max + 0.1, y_min, y_max);
  std::string out = frame.levels(3);
  out += frame.line(x_min - 0.1, report.choice.limit, x_max + 0.1, report.choice.limit, "axis");
  for (double power = std::ceil(x_min - 0.1); power <= x_max + 0.1; ++power)
    out += Frame::text(frame.x(power), 300, bytes_text(std::pow(10, power)), "middle");
  for (size_t i = 0; i < report.trials.size(); ++i) {
    const Trial& trial = report.trials[i];
    const double x = std::log10(static_cast<double>(trial.package_bytes));
    out += frame.line(x, trial.mean - trial.error, x, trial.mean + trial.error, "axis");
    const std::string_view colour = i == report.choice.chosen ? "#1a7f37"
                                    : trial.excluded.empty()  ? "#0969da"
                                                              : "#afb8c1";
    out += Frame::dot(frame.x(x), frame.y(trial.mean), 5, colour, trial.candidate.name());
  }
  return figure(out, "score against size",
                std::string(info(report.metric).title) +
                    " against bytes of the package (logarithmic), with standard errors. The line is one standard error "
                    "from the best; green is taken.");
}

std::string calibration_plot(const Report& report) {
  const Frame frame(0, 1, 0, 1);
  std::string out = frame.levels(2) + frame.line(0, 0, 1, 1, "axis");
  for (int i = 0; i <= 4; ++i) out += Frame::text(frame.x(i / 4.0), 300, number(i / 4.0, 2), "middle");
  for (const CalibrationBin& bin : report.calibration)
    if (bin.rows > 0)
      out += Frame::dot(frame.x(bin.answered), frame.y(bin.true_share), 5, "#0969da", number(bin.rows, 0) + " answers");
  return figure(out, "calibration", "How often a label was true (upwards) against the probability it was given.");
}

std::string importance_plot(const Report& report) {
  constexpr size_t kShown = 20;
  auto features = report.importance;
  std::stable_sort(features.begin(), features.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  features.resize(std::min(features.size(), kShown));
  const double most = std::max(features.empty() ? 0 : features[0].second, 1e-12);
  std::string out = "<table>\n";
  for (const auto& [name, loss] : features) {
    out += "<tr><td>" + escaped(name) + "</td><td>" + number(loss, 4) +
           "</td><td style=\"text-align:left\"><svg width=\"300\" height=\"12\" role=\"presentation\"><rect width=\"" +
           number(300 * loss / most, 1) + "\" height=\"12\" fill=\"#0969da\"/></svg></td></tr>\n";
  }
  return out + "</table>\n";
}

std::string confusion_table(const Report& report) {
  std::string out = "<table><tr><th>truth \\ answer</th>";
  for (const std::string& label : report.labels) out += "<th>" + escaped(label) + "</th>";
  out += "</tr>\n";
  for (size_t truth = 0; truth < report.labels.size(); ++truth) {
    uint64_t sum = 0;
    for (const uint64_t count : report.confusion[truth]) sum += count;
    out += "<tr><td>" + escaped(report.labels[truth]) + "</td>";
    for (const uint64_t count : report.confusion[truth]) {
      const double share = sum == 0 ? 0 : static_cast<double>(count) / static_cast<double>(sum);
      out +=
          "<td style=\"background:rgba(9,105,218," + number(share * 0.5, 2) + ")\">" + std::to_string(count) + "</td>";
    }
    out += "</tr>\n";
  }
  return out + "</table>\n";
}

std::string values_plot(const Report& report) {
  double low = 1e300;
  double high = -1e300;
  for (const auto& [target, answer] : report.values) {
    low = std::min({low, target, answer});
    high = std::max({high, target, answer});
  }
  const Frame frame(low, high, low, high);
  std::string out = frame.levels(2) + frame.line(low, low, high, high, "axis");
  for (const auto& [target, answer] : report.values)
    out += Frame::dot(frame.x(target), frame.y(answer), 2, "#0969da", number(target) + " answered " + number(answer));
  return figure(out, "answers against targets", "Answers (upwards) against targets, of rows held out.");
}

}  // namespace

std::string html(const Report& report) {
  std::string out = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>" + escaped(report.title) +
                    "</title><meta name=\"viewport\" content=\"width=device-width\"><style>" + std::string(kStyle) +
                    "</style></head><body>\n<h1>" + escaped(report.title) + "</h1>\n<table>\n";
  for (const auto& [name, value] : report.facts)
    out += "<tr><td>" + escaped(name) + "</td><td style=\"text-align:left\">" + escaped(value) + "</td></tr>\n";
  out += "</table>\n<h2>Candidates</h2>\n" + trials_table(report);
  if (!report.trials.empty()) out += size_plot(report);
  if (!report.confusion.empty()) out += "<h2>Answers on rows held out</h2>\n" + confusion_table(report);
  if (!report.calibration.empty()) out += "<h2>Calibration</h2>\n" + calibration_plot(report);
  if (!report.values.empty()) out += "<h2>Answers on rows held out</h2>\n" + values_plot(report);
  if (!report.importance.empty()) {
    out +=
        "<h2>Importance</h2>\n<p>How much worse the score gets on rows held out when a feature's values are dealt out "
        "anew among them.</p>\n" +
        importance_plot(report);
  }
  return out + "</body></html>\n";
}

}  // namespace wb::fit
