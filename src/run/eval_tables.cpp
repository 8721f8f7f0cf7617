// SPDX-License-Identifier: Apache-2.0
// What evaluations print. Correlations and accuracies are multiplied by 100, as the published tables are.
#include <cmath>
#include <mvrm/report/table.h>
#include <mvrm/run/eval_run.h>
#include <nlohmann/json.hpp>

namespace mvrm::run {

namespace {

using report::fixed;

std::string p_text(double p) {
  if (std::isnan(p)) return "n/a";
  std::ostringstream text;
  text.precision(4);
  text << p;
  return text.str();
}

std::string interval_text(double low, double high, int digits = 2) {
  return std::isnan(low) ? "n/a" : fixed(100 * low, digits) + " .. " + fixed(100 * high, digits);
}

std::vector<std::string> accuracy_row(const std::string& name, const eval::AccuracyInterval& all, const eval::AccuracyInterval& without_ties) {
  return {name, fixed(100 * all.accuracy, 2), interval_text(all.low, all.high), fixed(100 * without_ties.accuracy, 2),
          interval_text(without_ties.low, without_ties.high)};
}

}  // namespace

std::string spearman_table(const eval::EvalResult& result) {
  report::Table table{.header = {"dimension", "n", "Spearman x100", "95 % interval", "p", "Pearson x100", "p", "Kendall x100", "p"}, .rows = {}};
  std::string remarks;
  for (const auto& d : result.dimensions) {
    table.rows.push_back({d.name, std::to_string(d.n), fixed(100 * d.spearman, 4), interval_text(d.low, d.high), p_text(d.p_value),
                          fixed(100 * d.pearson.r, 4), p_text(d.pearson.p_value), fixed(100 * d.kendall.r, 4), p_text(d.kendall.p_value)});
    if (!d.reason.empty()) remarks += d.name + ": n/a because " + d.reason + "\n";
  }
  table.rows.push_back({"mean", std::to_string(result.n), fixed(100 * result.mean, 4), interval_text(result.mean_low, result.mean_high), "", "", "", "", ""});
  return report::to_text(table) + remarks;
}

std::string spearman_table(const SplitEvaluation& evaluation) {
  return "validation part\n" + spearman_table(evaluation.validation) + "\ntest without the validation part\n" + spearman_table(evaluation.test) +
         "\nall\n" + spearman_table(evaluation.all);
}

std::string pairwise_table(const eval::PairwiseResult& result) {
  report::Table table{.header = {"reward", "accuracy x100", "95 % interval", "without ties x100", "95 % interval"}, .rows = {}};
  for (const auto& d : result.dimensions) table.rows.push_back(accuracy_row(d.name, d.all, d.without_ties));
  table.rows.push_back(accuracy_row("mean of dimensions", result.all, result.without_ties));
  return report::to_text(table) + std::to_string(result.pairs) + " pairs, " + std::to_string(result.pairs_without_ties) + " of them with a preference\n";
}

std::string vbench_table(const eval::VbenchResult& result) {
  report::Table table{.header = {"aspect", "ordered pairs", "accuracy x100", "95 % interval"}, .rows = {}};
  for (const auto& [name, accuracy] : result.dimensions) table.header.push_back(name);
  for (const auto& aspect : result.aspects) {
    const auto& all = aspect.result.all;
    std::vector<std::string> row{aspect.name, std::to_string(aspect.result.pairs), fixed(100 * all.accuracy, 2), interval_text(all.low, all.high)};
    for (const auto& d : aspect.result.dimensions) row.push_back(fixed(100 * d.all.accuracy, 2));
    table.rows.push_back(std::move(row));
  }
  std::vector<std::string> last{"mean of aspects", std::to_string(result.pairs), fixed(100 * result.mean.accuracy, 2),
                                interval_text(result.mean.low, result.mean.high)};
  for (const auto& [name, accuracy] : result.dimensions) last.push_back(fixed(100 * accuracy, 2));
  table.rows.push_back(std::move(last));
  const std::string remark = result.without_preference > 0 ? std::to_string(result.without_preference) + " ordered pairs have no preference and are left out\n" : "";
  return report::to_text(table) + remark;
}

std::string verdicts_table(const eval::VerdictResult& result) {
  report::Table table{.header = {"human vote", "n", "correct", "accuracy x100"}, .rows = {}};
  const auto add = [&](const std::string& name, const eval::VerdictCount& count) {
    table.rows.push_back({name, std::to_string(count.n), std::to_string(count.correct), count.n > 0 ? fixed(100 * count.accuracy(), 2) : "n/a"});
  };
  for (size_t vote = 0; vote < result.by_vote.size(); ++vote) add(eval::name_of(static_cast<eval::HumanVote>(vote)), result.by_vote[vote]);
  add("all", result.all);
  return report::to_text(table) + std::to_string(result.without_verdict) + " answers hold no verdict\n";
}

std::string compare_table(const eval::CompareResult& result) {
  report::Table table{.header = {"", "n", "A x100", "B x100", "B - A", "95 % interval", "p"}, .rows = {}};
  const auto add = [&](const eval::ComparedValue& v) {
    table.rows.push_back({v.name, std::to_string(v.n), fixed(100 * v.a, 4), fixed(100 * v.b, 4), fixed(100 * v.difference, 4),
                          interval_text(v.low, v.high), p_text(v.p_value)});
  };
  for (const auto& d : result.dimensions) add(d);
  add(result.mean);
  std::string remark;
  if (result.only_in_a + result.only_in_b > 0) {
    remark = "left out: " + std::to_string(result.only_in_a) + " only in A, " + std::to_string(result.only_in_b) + " only in B\n";
  }
  return report::to_text(table) + remark;
}

}  // namespace mvrm::run
