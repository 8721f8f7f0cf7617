// SPDX-License-Identifier: Apache-2.0
// Results of suites as JSON and as a document.
#include <cmath>
#include <mvrm/experiment/suite.h>

namespace mvrm::experiment {

using Json = nlohmann::ordered_json;

namespace {

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(); }

Json json_of(const Summary& cell) { return {{"mean", number(cell.mean)}, {"std", number(cell.std)}, {"low", number(cell.low)}, {"high", number(cell.high)}}; }

Json rows_of(const ResultTable& table) {
  Json rows = Json::array();
  for (const auto& row : table.rows) {
    Json values = Json::object();
    for (size_t c = 0; c < table.columns.size(); ++c) values[table.columns[c]] = json_of(row.values[c]);
    Json object{{"method", row.method}, {"values", values}};
    if (row.gain) {
      object["gain"] = json_of(row.gain->by_seed);
      object["gain"]["bootstrap"] = {{"low", number(row.gain->low)}, {"high", number(row.gain->high)}, {"p_value", number(row.gain->p_value)}};
      object["gain"]["verdict"] = row.gain->verdict;
    }
    rows.push_back(std::move(object));
  }
  return rows;
}

std::string interval(double low, double high, double scale, int digits) {
  if (!std::isfinite(low) || !std::isfinite(high)) return "-";
  return report::fixed(scale * low, digits) + " to " + report::fixed(scale * high, digits);
}

std::string cell_text(const Summary& cell, double scale, int digits) {
  const std::string mean = report::fixed(scale * cell.mean, digits);
  return std::isfinite(cell.std) ? mean + " ± " + report::fixed(scale * cell.std, digits) : mean;
}

report::Table table_of(const ResultTable& table) {
  bool gains = false, clips = false;
  for (const auto& row : table.rows) {
    gains = gains || row.gain.has_value();
    clips = clips || (row.gain && std::isfinite(row.gain->low));
  }
  report::Table text{.header = {"method"}, .rows = {}};
  text.header.insert(text.header.end(), table.columns.begin(), table.columns.end());
  if (gains) {
    text.header.emplace_back("gain");
    text.header.emplace_back("95 % by seed");
    if (clips) text.header.emplace_back("95 % by clip");
    text.header.emplace_back("verdict");
  }
  for (const auto& row : table.rows) {
    std::vector<std::string> cells{row.method};
    for (const auto& value : row.values) cells.push_back(cell_text(value, table.scale, table.digits));
    if (gains && row.gain) {
      cells.push_back(report::fixed(table.scale * row.gain->by_seed.mean, table.digits));
      cells.push_back(interval(row.gain->by_seed.low, row.gain->by_seed.high, table.scale, table.digits));
      if (clips) cells.push_back(interval(row.gain->low, row.gain->high, table.scale, table.digits));
      cells.push_back(row.gain->verdict);
    }
    cells.resize(text.header.size());
    text.rows.push_back(std::move(cells));
  }
  return text;
}

std::string setting_of(const ExperimentConfig& config) {
  const auto& e = config.experiment;
  std::string text = std::to_string(e.seeds) + (e.seeds == 1 ? " seed" : " seeds") + " from " + std::to_string(e.seed) + ". ";
  if (config.renders()) {
    text += std::to_string(config.render.videos) + " rendered training clips a seed, " + report::fixed(100 * config.render.noise, 0) +
            " % of the labels of each dimension wrong (`" + e.noise_kind + "`), " + std::to_string(config.render.test_videos) + " clean test clips. ";
  } else {
    text += "Training data `" + config.data.reading.train.filename().string() + "`, test data `" + config.data.reading.test.filename().string() + "`. ";
  }
  return text + "Cells are mean ± standard deviation over seeds. A gain is over the baseline above it, in the mean over dimensions: by seed, Student's t over paired seeds; by clip, "
                "the bootstrap over test clips. `helps` and `hurts` stand only where both 95 % intervals leave 0 out; with many rows, one in twenty may do so by chance.";
}

}  // namespace

nlohmann::ordered_json to_json(const SuiteResult& result, int64_t seeds) {
  Json document{{"suite", result.suite}, {"title", result.title}, {"seeds", seeds}, {"columns", result.tables.front().columns},
                {"rows", rows_of(result.tables.front())}, {"tables", Json::array()}, {"notes", result.notes}, {"published", result.published}};
  for (size_t t = 1; t < result.tables.size(); ++t) {
    document["tables"].push_back({{"title", result.tables[t].title}, {"columns", result.tables[t].columns}, {"rows", rows_of(result.tables[t])}});
  }
  return document;
}

report::Document to_document(const std::vector<SuiteResult>& results, const ExperimentConfig& config) {
  report::Document document{.title = results.size() == 1 ? "mvrm experiment " + results.front().suite : "mvrm experiment", .blocks = {}};
  document.blocks.emplace_back(report::Paragraph{setting_of(config)});
  for (const auto& result : results) {
    document.blocks.emplace_back(report::Heading{result.title + " (" + result.suite + ")"});
    document.blocks.emplace_back(report::Paragraph{result.published});
    for (const auto& table : result.tables) {
      document.blocks.emplace_back(report::Heading{table.title, 3});
      if (!table.rows.empty()) document.blocks.emplace_back(table_of(table));
    }
    for (const auto& figure : result.figures) document.blocks.emplace_back(figure);
    for (const auto& note : result.notes) document.blocks.emplace_back(report::Paragraph{note});
  }
  return document;
}

}  // namespace mvrm::experiment
