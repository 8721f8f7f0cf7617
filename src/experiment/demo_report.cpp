// SPDX-License-Identifier: Apache-2.0
// The demo's tables and plain words; everything in it is computed from demo.json.
#include <mvrm/experiment/demo.h>

namespace mvrm::experiment {

using Json = nlohmann::ordered_json;
using report::CodeBlock;
using report::fixed;
using report::Heading;
using report::Paragraph;
using report::Table;

namespace {

Table table_of(const Json& rows, const std::string& corner, double scale, int digits) {
  Table table{.header = {corner}, .rows = {}};
  for (const auto& [column, value] : rows.begin()->items()) table.header.push_back(column);
  for (const auto& [name, cells] : rows.items()) {
    std::vector<std::string> row{name};
    for (const auto& [column, value] : cells.items()) row.push_back(fixed(scale * value.get<double>(), digits));
    table.rows.push_back(std::move(row));
  }
  return table;
}

Table gain_table(const Json& gains) {
  Table table{.header = {"arm", "gain over baseline x100", "95 % low", "95 % high", "verdict"}, .rows = {}};
  const auto bound = [](const Json& x) { return x.is_null() ? std::string("n/a") : fixed(100 * x.get<double>(), 2); };
  for (const auto& [arm, gain] : gains.items()) {
    table.rows.push_back({arm, fixed(100 * gain.at("mean").get<double>(), 2), bound(gain.at("low")), bound(gain.at("high")), gain.at("verdict").get<std::string>()});
  }
  return table;
}

Table seconds_table(const Json& seconds) {
  Table table{.header = {"step", "seconds"}, .rows = {}};
  for (const auto& [step, value] : seconds.items()) table.rows.push_back({step, fixed(value.get<double>(), 1)});
  return table;
}

std::string did_not_help(const Json& gains) {
  std::string names;
  for (const auto& [arm, gain] : gains.items()) {
    if (arm != "clean labels" && gain.at("mean") <= 0) names += (names.empty() ? "" : ", ") + arm;
  }
  return names.empty() ? "Every refinement gained in the mean at this size." : "At this size these did not gain in the mean: " + names + ".";
}

std::string setting_of(const Json& results) {
  const std::string seeds = results.at("seeds").dump();
  return results.at("videos").dump() + " rendered training clips, " + fixed(100 * results.at("noise").get<double>(), 0) +
         " % of the labels of each dimension corrupted (uniform over the other labels), " + seeds + (seeds == "1" ? " seed" : " seeds") +
         ". Pruning plans select " + fixed(results.at("alpha_percent").get<double>(), 1) +
         " % of the labels of each dimension; `random` removes as many samples as `ddp`.";
}

}  // namespace

report::Document demo_report(const Json& results) {
  const std::string out = results.at("out"), first = out + "/seed-" + results.at("seed").dump();
  return {.title = "mvrm demo", .blocks = {
      Paragraph{setting_of(results)},
      Heading{"Finding the planted noise"},
      Paragraph{"Area under the ROC curve: 0.5 is chance, 1 means that every corrupted label ranks above every clean one."},
      table_of(results.at("auroc"), "risk", 1, 3),
      Paragraph{"Coefficient of variation of the squared feature norm: " + fixed(100 * results.at("feature_sq_norm_cv").get<double>(), 2) +
                " %; the smaller it is, the closer self-influence ranks to the plain loss."},
      Heading{"What it gained"},
      Paragraph{"Spearman x100 on clean test clips; every arm starts from the same base and seed."},
      table_of(results.at("spearman"), "arm", 100, 2),
      Paragraph{"Mean over dimensions against the baseline, paired by seed:"},
      gain_table(results.at("gain")),
      Paragraph{did_not_help(results.at("gain"))},
      Heading{"Time"},
      seconds_table(results.at("seconds")),
      Heading{"Try next"},
      CodeBlock{"mvrm refine --profile " + first + "/profile --list-suspects 10\nmvrm score --model " + first + "/ddr/model --data " + first +
                "/data/test.jsonl --out predictions.jsonl\nmvrm eval spearman --predictions predictions.jsonl\n"},
  }};
}

}  // namespace mvrm::experiment
