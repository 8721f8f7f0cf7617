// SPDX-License-Identifier: Apache-2.0
// Files of predictions. N samples, K dimensions.
#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/eval/predictions.h>
#include <mvrm/eval/verdicts.h>
#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>

#include "python_text.h"
#include "row_file.h"

namespace mvrm::eval {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Two tables that grow by rows, and by columns when a row names a new dimension.
class TableBuilder {
 public:
  void start_row(std::string id, std::string prompt) {
    ids_.push_back(std::move(id));
    prompts_.push_back(std::move(prompt));
  }
  void set(bool is_label, const std::string& name, double value) {
    size_t k = 0;
    while (k < names_.size() && names_[k] != name) ++k;
    if (k == names_.size()) {
      names_.push_back(name);
      columns_.emplace_back();
    }
    auto& column = is_label ? columns_[k].label : columns_[k].reward;
    column.resize(ids_.size(), kNan);
    column.back() = value;
  }
  Predictions finish() {
    const auto count = static_cast<int64_t>(ids_.size()), dimensions = static_cast<int64_t>(names_.size());
    Predictions predictions{.ids = std::move(ids_), .dimensions = names_, .reward_NK = at::empty({count, dimensions}, at::kDouble),
                            .label_NK = at::empty({count, dimensions}, at::kDouble)};
    predictions.prompts = std::move(prompts_);
    auto* reward = predictions.reward_NK.mutable_data_ptr<double>();
    auto* label = predictions.label_NK.mutable_data_ptr<double>();
    for (auto& column : columns_) {
      column.reward.resize(static_cast<size_t>(count), kNan);
      column.label.resize(static_cast<size_t>(count), kNan);
    }
    for (size_t n = 0; n < static_cast<size_t>(count); ++n) {
      for (const auto& column : columns_) {
        *reward++ = column.reward[n];
        *label++ = column.label[n];
      }
    }
    return predictions;
  }

 private:
  struct Column {
    std::vector<double> reward, label;
  };
  std::vector<std::string> ids_, prompts_, names_;
  std::vector<Column> columns_;
};

void read_values(const Row& row, const char* key, const std::string& where, const std::string& id, TableBuilder& into) {
  const auto values = row.find(key);
  if (values == row.end()) return;
  if (!values->is_object()) fail_row(where, id, "'" + std::string(key) + "' must be an object of dimension names and numbers");
  for (const auto& [name, value] : values->items()) {
    if (!value.is_number() && !value.is_null()) fail_row(where, id, "'" + std::string(key) + "." + name + "' is not a number");
    into.set(key == std::string_view("labels"), name, value.is_null() ? kNan : value.get<double>());
  }
}

// VideoScore's result rows keep Python lists in strings: "[1.898, 1.5, 2.953, 2.438, 1.648]". -1 in `ref` marks "no label".
void read_list(const Row& row, const char* key, const std::string& where, const std::string& id, TableBuilder& into) {
  static const std::vector<std::string> names = data::videofeedback_dimensions();
  const auto field = row.find(key);
  const bool is_text = field != row.end() && field->is_string();
  const auto list = is_text ? parse_list(field->get_ref<const std::string&>()) : std::nullopt;
  if (!list || list->size() != names.size()) fail_row(where, id, "'" + std::string(key) + "' must be a string holding a list of 5 numbers");
  const bool is_label = key == std::string_view("ref");
  for (size_t k = 0; k < names.size(); ++k) into.set(is_label, names[k], is_label && (*list)[k] == -1 ? kNan : (*list)[k]);
}

void read_response(const Row& row, const std::string& where, const std::string& id, TableBuilder& into) {
  const auto& field = row.at("response");
  if (!field.is_string()) fail_row(where, id, "'response' must be text");
  const auto answers = integer_answers(field.get_ref<const std::string&>());
  const auto names = data::videofeedback_dimensions();
  for (size_t k = 0; k < names.size(); ++k) into.set(false, names[k], answers[k]);
}

bool is_videoscore(const Row& row) { return row.contains("ans") || row.contains("ref") || row.contains("response"); }

void read_row(const Row& row, const std::string& where, const std::string& id, TableBuilder& into) {
  const auto text = row.find("text");
  into.start_row(id, text != row.end() && text->is_string() ? text->get<std::string>() : "");
  if (is_videoscore(row)) {
    read_list(row, "ref", where, id, into);
    if (row.contains("ans")) {
      read_list(row, "ans", where, id, into);
    } else if (row.contains("response")) {
      read_response(row, where, id, into);
    } else {
      fail_row(where, id, "neither 'ans' nor 'response' beside 'ref'");
    }
    return;
  }
  if (!row.contains("scores")) fail_row(where, id, "neither 'scores' nor 'ans'");
  read_values(row, "scores", where, id, into);
  read_values(row, "labels", where, id, into);
}

std::vector<double> row_of(const at::Tensor& table_NK, int64_t row) {
  const at::Tensor row_K = table_NK[row].to(at::kDouble).contiguous();
  return {row_K.const_data_ptr<double>(), row_K.const_data_ptr<double>() + row_K.numel()};
}

}  // namespace

std::string prediction_line(const Predictions& predictions, int64_t row, const std::string& made_by) {
  const std::vector<double> label_K = row_of(predictions.label_NK, row), reward_K = row_of(predictions.reward_NK, row);
  Row labels = Row::object(), scores = Row::object();
  for (size_t k = 0; k < label_K.size(); ++k) {
    if (std::isfinite(label_K[k])) labels[predictions.dimensions[k]] = label_K[k];
    scores[predictions.dimensions[k]] = std::isfinite(reward_K[k]) ? Row(reward_K[k]) : Row();
  }
  Row line{{"id", predictions.ids[static_cast<size_t>(row)]}, {"labels", std::move(labels)}, {"scores", std::move(scores)}};
  if (!made_by.empty()) line["made_by"] = made_by;
  return line.dump() + "\n";
}

void write_predictions(const std::filesystem::path& path, const Predictions& predictions, const std::string& made_by) {
  std::string text;
  for (size_t n = 0; n < predictions.ids.size(); ++n) text += prediction_line(predictions, static_cast<int64_t>(n), made_by);
  core::write_file_atomic(path, text);
}

Predictions read_predictions(const std::filesystem::path& path, RepeatedIds repeated) {
  TableBuilder table;
  std::unordered_map<std::string, std::string> first_place;
  for_each_row(path, [&](const Row& row, const std::string& where) {
    const std::string& id = text_field(row, "id", where);
    const auto [first, fresh] = first_place.emplace(id, where);
    const bool allowed = repeated == RepeatedIds::allow || (repeated == RepeatedIds::as_videoscore && is_videoscore(row));
    if (!fresh && !allowed) fail_row(where, id, "duplicate id; first in " + first->second);
    read_row(row, where, id, table);
  });
  return table.finish();
}

double round_like_videoscore(double reward) { return round_to_3(reward); }

void write_videoscore_results(const std::filesystem::path& path, const Predictions& predictions) {
  const size_t width = data::videofeedback_dimensions().size();
  if (predictions.dimensions.size() != width) {
    throw core::ConfigError(path.string() + ": VideoScore's result file holds " + std::to_string(width) + " dimensions, these predictions have " +
                            std::to_string(predictions.dimensions.size()) + "; write the plain format");
  }
  Row document = Row::array();
  for (size_t n = 0; n < predictions.ids.size(); ++n) {
    std::vector<double> label_K = row_of(predictions.label_NK, static_cast<int64_t>(n)), reward_K = row_of(predictions.reward_NK, static_cast<int64_t>(n));
    std::replace_if(label_K.begin(), label_K.end(), [](double x) { return std::isnan(x); }, -1.0);
    const bool answered = std::all_of(reward_K.begin(), reward_K.end(), [](double x) { return std::isfinite(x); });
    for (double& reward : reward_K) reward = round_to_3(reward);
    document.push_back({{"id", predictions.ids[n]},
                        {"text", n < predictions.prompts.size() ? predictions.prompts[n] : ""},
                        {"ref", list_of_integers_or_reals(label_K)},
                        {"ans", answered ? list_of_reals(reward_K) : list_of_integers_or_reals(std::vector<double>(width, -1.0))}});
  }
  core::write_file_atomic(path, document.dump(4, ' ', true));
}

}  // namespace mvrm::eval
