// SPDX-License-Identifier: Apache-2.0
// The story of `mvrm refine`: profile in, plan or ranked suspects out.
#include <ATen/ATen.h>
#include <algorithm>
#include <cmath>
#include <mvrm/report/table.h>
#include <mvrm/run/refine_run.h>
#include <tuple>

namespace mvrm::run {

refine::PlanSummary refine_run(const RefineRunOptions& options) {
  const influence::Profile profile = influence::read_profile(options.profile_dir);
  auto [plan, summary] = refine::refine(profile, {.strategy = options.refine.strategy,
                                                  .alpha_percent_K = alpha_percent(options.refine.alpha, profile.dimensions),
                                                  .tau = options.refine.tau, .budget = options.refine.budget, .seed = options.seed});
  refine::write_plan(options.plan_file, plan);
  return summary;
}

std::string summary_table(const refine::PlanSummary& summary, const std::vector<std::string>& dimensions) {
  report::Table table{.header = {"dimension", "selected labels", "lowest selected S", "cumulative union"}, .rows = {}};
  for (size_t k = 0; k < dimensions.size(); ++k) {
    table.rows.push_back({dimensions[k], std::to_string(summary.count_K[k]), report::fixed(summary.threshold_K[k], 4),
                          std::to_string(summary.cumulative_union[k])});
  }
  return "strategy " + summary.strategy + ": " + std::to_string(summary.kept) + " samples kept, " + std::to_string(summary.removed) +
         " removed\n" + report::to_text(table);
}

std::string suspects_table(const influence::Profile& profile, int64_t count) {
  const auto risk = profile.self_influence_NK.to(at::kDouble).contiguous();
  const auto label = profile.label_NK.to(at::kDouble).contiguous();
  const auto prediction = profile.prediction_NK.to(at::kDouble).contiguous();
  const int64_t dimensions = risk.size(1);
  const double* risk_at = risk.const_data_ptr<double>();
  std::vector<int64_t> cells;
  for (int64_t cell = 0; cell < risk.numel(); ++cell) {
    if (std::isfinite(risk_at[cell])) cells.push_back(cell);
  }
  std::sort(cells.begin(), cells.end(), [&](int64_t a, int64_t b) { return std::tuple(-risk_at[a], a) < std::tuple(-risk_at[b], b); });
  if (count < static_cast<int64_t>(cells.size())) cells.resize(static_cast<size_t>(count));
  report::Table table{.header = {"id", "dimension", "label", "prediction", "self-influence", "prompt"}, .rows = {}};
  for (const int64_t cell : cells) {
    const auto n = static_cast<size_t>(cell / dimensions), k = static_cast<size_t>(cell % dimensions);
    table.rows.push_back({profile.ids[n], profile.dimensions[k], report::fixed(label.const_data_ptr<double>()[cell], 1),
                          report::fixed(prediction.const_data_ptr<double>()[cell], 3), report::fixed(risk_at[cell], 3),
                          n < profile.prompts.size() ? profile.prompts[n] : ""});
  }
  return report::to_text(table);
}

}  // namespace mvrm::run
