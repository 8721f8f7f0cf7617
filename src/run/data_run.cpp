// SPDX-License-Identifier: Apache-2.0
#include <mvrm/report/table.h>
#include <mvrm/run/data_run.h>
#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

namespace mvrm::run {

namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxLabelColumns = 8, kMaxHistogramRows = 12;

std::string plural(int64_t count, const std::string& word) { return std::to_string(count) + " " + word + (count == 1 ? "" : "s"); }
std::string number(double value) {
  return value == static_cast<double>(static_cast<int64_t>(value)) ? std::to_string(static_cast<int64_t>(value)) : Json(value).dump();
}
std::string size_name(const std::pair<int64_t, int64_t>& size) { return std::to_string(size.first) + "x" + std::to_string(size.second); }

// A column a label while there are few of them, else their range.
std::string label_table(const data::CheckReport& report) {
  std::set<double> values;
  for (const auto& counts : report.label_counts_K) {
    for (const auto& [value, count] : counts) values.insert(value);
  }
  const bool few = values.size() <= kMaxLabelColumns;
  report::Table table{.header = {"labels"}, .rows = {}};
  if (few) {
    for (const double value : values) table.header.push_back(number(value));
  } else {
    table.header.insert(table.header.end(), {"labelled", "lowest", "highest"});
  }
  table.header.emplace_back("none");
  for (size_t k = 0; k < report.dimensions.size(); ++k) {
    const auto& counts = report.label_counts_K[k];
    std::vector<std::string> row{report.dimensions[k]};
    int64_t labelled = 0;
    for (const auto& [value, count] : counts) labelled += count;
    if (few) {
      for (const double value : values) row.push_back(counts.contains(value) ? std::to_string(counts.at(value)) : "0");
    } else {
      row.insert(row.end(), {std::to_string(labelled), labelled > 0 ? number(counts.begin()->first) : "",
                             labelled > 0 ? number(counts.rbegin()->first) : ""});
    }
    row.push_back(std::to_string(report.unlabelled_K[k]));
    table.rows.push_back(std::move(row));
  }
  return report::to_text(table);
}

// The most frequent entries, in the histogram's order.
template <class Key, class Name>
std::string histogram_table(const std::map<Key, int64_t>& histogram, const std::string& title, const Name& name) {
  std::vector<int64_t> counts;
  for (const auto& [key, count] : histogram) counts.push_back(count);
  std::sort(counts.rbegin(), counts.rend());
  const int64_t least = counts.size() > kMaxHistogramRows ? counts[kMaxHistogramRows - 1] : 0;
  report::Table table{.header = {title, "samples"}, .rows = {}};
  int64_t left = 0, left_samples = 0;
  for (const auto& [key, count] : histogram) {
    if (count >= least && table.rows.size() < kMaxHistogramRows) {
      table.rows.push_back({name(key), std::to_string(count)});
    } else {
      ++left;
      left_samples += count;
    }
  }
  if (left > 0) table.rows.push_back({std::to_string(left) + " others", std::to_string(left_samples)});
  return report::to_text(table);
}

}  // namespace

std::string check_verdict(const data::CheckReport& report) {
  return report.path.string() + ": " + plural(static_cast<int64_t>(report.problems.size()), "problem") + " in " +
         plural(report.bad_rows(), "row");
}

std::string check_text(const data::CheckReport& report) {
  std::string text = report.path.string() + ": " + plural(report.samples, "readable row") + ", " + plural(report.clips, "clip") + ", " +
                     plural(report.frame_lists, "list") + " of frames" +
                     (report.preferences > 0 ? ", " + plural(report.preferences, "preference") : "") + "; " +
                     plural(static_cast<int64_t>(report.problems.size()), "problem") + " in " + plural(report.bad_rows(), "row") + "\n";
  if (!report.dimensions.empty()) text += "\n" + label_table(report);
  if (!report.frame_counts.empty()) {
    text += "\n" + histogram_table(report.frame_counts, "frames", [](int64_t frames) { return std::to_string(frames); });
    text += "\n" + histogram_table(report.sizes, "height x width", size_name);
  }
  if (!report.media_checked) text += "\nmedia were not looked at\n";
  if (!report.problems.empty()) text += "\n";
  for (const auto& problem : report.problems) text += words_of(report, problem) + "\n";
  return text;
}

std::string check_json(const data::CheckReport& report) {
  Json dimensions = Json::object();
  for (size_t k = 0; k < report.dimensions.size(); ++k) {
    Json labels = Json::object();
    for (const auto& [value, count] : report.label_counts_K[k]) labels[number(value)] = count;
    dimensions[report.dimensions[k]] = {{"labels", labels}, {"unlabelled", report.unlabelled_K[k]}};
  }
  Json frames = Json::object(), sizes = Json::object(), problems = Json::array();
  for (const auto& [count, samples] : report.frame_counts) frames[std::to_string(count)] = samples;
  for (const auto& [size, samples] : report.sizes) sizes[size_name(size)] = samples;
  for (const auto& problem : report.problems) problems.push_back({{"line", problem.line}, {"id", problem.id}, {"cause", problem.cause}});
  return Json{{"file", report.path.string()},
              {"hash", report.hash},
              {"samples", report.samples},
              {"bad_rows", report.bad_rows()},
              {"clips", report.clips},
              {"frame_lists", report.frame_lists},
              {"preferences", report.preferences},
              {"media_checked", report.media_checked},
              {"dimensions", dimensions},
              {"frames", frames},
              {"sizes", sizes},
              {"problems", problems}}
      .dump(2, ' ', false, Json::error_handler_t::replace);
}

std::string convert_text(const data::ConvertReport& report, const std::string& layout, const std::filesystem::path& out) {
  std::string text =
      out.string() + ": " + plural(report.rows_written, "row") + " of " + std::to_string(report.rows_read) + " written as " + layout + "\n";
  for (const auto& [what, rows] : report.losses) text += "not held by " + layout + ": " + what + ", in " + plural(rows, "row") + "\n";
  return text;
}

std::string convert_json(const data::ConvertReport& report, const std::string& layout, const std::filesystem::path& out) {
  return Json{{"file", out.string()},
              {"layout", layout},
              {"rows_read", report.rows_read},
              {"rows_written", report.rows_written},
              {"losses", report.losses}}
      .dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace mvrm::run
