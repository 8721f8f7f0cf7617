// SPDX-License-Identifier: Apache-2.0
// The demo's tables and plain words, as Markdown; everything in it is computed from demo.json.
#include "demo_steps.h"

#include <mvrm/report/table.h>

namespace mvrm::run {

using Json = nlohmann::ordered_json;

namespace {

report::Table table_of(const Json& rows, const std::string& corner, double scale, int digits) {
  report::Table table{.header = {corner}, .rows = {}};
  for (const auto& [column, value] : rows.begin()->items()) table.header.push_back(column);
  for (const auto& [name, cells] : rows.items()) {
    std::vector<std::string> row{name};
    for (const auto& [column, value] : cells.items()) row.push_back(report::fixed(scale * value.get<double>(), digits));
    table.rows.push_back(std::move(row));
  }
  return table;
}

report::Table gain_table(const Json& gains) {
  report::Table table{.header = {"arm", "gain over baseline x100", "95 % low", "95 % high", "verdict"}, .rows = {}};
  for (const auto& [arm, gain] : gains.items()) {
    const bool interval = !gain.at("low").is_null();
    std::string verdict = "one seed: no interval";
    if (interval) verdict = gain.at("low") > 0 ? "helps" : gain.at("high") < 0 ? "hurts" : "no difference shown";
    table.rows.push_back({arm, report::fixed(100 * gain.at("mean").get<double>(), 2),
                          interval ? report::fixed(100 * gain.at("low").get<double>(), 2) : "n/a",
                          interval ? report::fixed(100 * gain.at("high").get<double>(), 2) : "n/a", verdict});
  }
  return table;
}

std::string did_not_help(const Json& gains) {
  std::string names;
  for (const auto& [arm, gain] : gains.items()) {
    if (gain.at("mean") <= 0) names += (names.empty() ? "" : ", ") + arm;
  }
  return names.empty() ? "Every refinement gained in the mean at this size.\n" : "At this size these did not gain in the mean: " + names + ".\n";
}

}  // namespace

std::string demo_report(const Json& results) {
  const std::string out = results.at("out"), seeds = results.at("seeds").dump();
  const std::string first = out + "/seed-" + results.at("seed").dump();
  std::string text = "# mvrm demo\n\n" + results.at("videos").dump() + " rendered training clips, " +
                     report::fixed(100 * results.at("noise").get<double>(), 0) +
                     " % of the labels of each dimension corrupted (uniform over the other labels), " + seeds +
                     (seeds == "1" ? " seed" : " seeds") + ". Pruning plans select " +
                     report::fixed(results.at("alpha_percent").get<double>(), 1) + " % of the labels of each dimension.\n\n";
  text += "## Finding the planted noise\n\nArea under the ROC curve (0.5 = chance, 1 = every corrupted label ranks above every clean one).\n\n" +
          report::to_markdown(table_of(results.at("auroc"), "risk score", 1, 3)) + "\nCoefficient of variation of the squared feature norm: " +
          report::fixed(100 * results.at("feature_sq_norm_cv").get<double>(), 2) +
          " %; the smaller it is, the closer self-influence ranks to the plain loss.\n\n";
  text += "## What it gained\n\nSpearman x100 on clean test clips; every arm starts from the same base and seed.\n\n" +
          report::to_markdown(table_of(results.at("spearman"), "arm", 100, 2)) + "\nMean over dimensions against the baseline, paired by seed:\n\n" +
          report::to_markdown(gain_table(results.at("gain"))) + "\n" + did_not_help(results.at("gain"));
  text += "\n## Try next\n\n```\nmvrm refine --profile " + first + "/profile --list-suspects 10\nmvrm score --model " + first +
          "/ddr/model --data " + first + "/data/test.jsonl --out predictions.jsonl\nmvrm eval spearman --predictions predictions.jsonl\n```\n";
  return text;
}

}  // namespace mvrm::run
