// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>
#include <mvrm/core/random.h>
#include <mvrm/eval/vbench.h>
#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "outcome_bootstrap.h"
#include "python_text.h"
#include "resampling.h"
#include "row_file.h"
#include "vbench_files.h"

namespace mvrm::eval {

namespace {

struct Entry {
  const VbenchVideo* video = nullptr;
  std::string id, model;
  const double* reward_K = nullptr;
};
struct Aspect {
  std::string name;
  std::map<int64_t, std::vector<Entry>> prompts;
};

Aspect& aspect_named(std::vector<Aspect>& aspects, const std::string& name) {
  const auto found = std::find_if(aspects.begin(), aspects.end(), [&](const Aspect& aspect) { return aspect.name == name; });
  return found != aspects.end() ? *found : aspects.emplace_back(Aspect{name, {}});
}

// Groups the rows of predictions by aspect and prompt.
std::vector<Aspect> aspects_of(const Predictions& predictions, const double* reward_NK, const std::string& name,
                               const std::unordered_map<VbenchKey, VbenchVideo>& videos) {
  std::vector<Aspect> aspects;
  AspectOrder order;
  std::set<std::string> seen;
  for (size_t n = 0; n < predictions.ids.size(); ++n) {
    const std::string& id = predictions.ids[n];
    auto parts = vbench_id(id);
    if (!parts) fail_row(name, id, "a VBench id is <aspect>_<number>_<model>");
    if (parts->aspect.empty()) parts->aspect = order.next(parts->number, name, id);
    const std::string key = parts->aspect + "_" + std::to_string(parts->number) + "_" + parts->model;
    if (!seen.insert(key).second) fail_row(name, id, "duplicate id");
    const auto video = videos.find(key);
    if (video == videos.end()) fail_row(name, id, "there are no preferences for this video");
    const bool has_prompts = n < predictions.prompts.size() && !predictions.prompts[n].empty() && !video->second.prompt.empty();
    if (has_prompts && predictions.prompts[n] != video->second.prompt) {
      fail_row(name, id, "the prompt '" + predictions.prompts[n] + "' is not that of the preferences, '" + video->second.prompt + "'");
    }
    const double* row = reward_NK + n * predictions.dimensions.size();
    if (!std::all_of(row, row + predictions.dimensions.size(), [](double x) { return std::isfinite(x); })) continue;
    aspect_named(aspects, parts->aspect).prompts[parts->number].push_back({&video->second, id, parts->model, row});
  }
  return aspects;
}

// What people said of the first over the second: 0, 0.5, 1, or NaN when nobody compared them.
double preference_over(const Entry& first, const Entry& second) {
  const auto forth = first.video->over.find(second.model), back = second.video->over.find(first.model);
  const bool has_forth = forth != first.video->over.end(), has_back = back != second.video->over.end();
  if (has_forth && has_back && forth->second + back->second != 1) {
    fail_row(second.video->where, second.id, "its preference over '" + first.model + "' contradicts that of '" + first.id + "'");
  }
  return has_forth ? forth->second : has_back ? 1 - back->second : std::numeric_limits<double>::quiet_NaN();
}

struct AspectPairs {
  PairTable table;
  int64_t without_preference = 0;
};

AspectPairs pairs_of(const Aspect& aspect, const std::vector<std::string>& dimensions) {
  AspectPairs pairs{.table = {.keys = {}, .preferences = {}, .dimensions = dimensions, .left = {}, .right = {}}};
  for (const auto& [number, entries] : aspect.prompts) {
    for (size_t i = 0; i < entries.size(); ++i) {
      for (size_t j = i + 1; j < entries.size(); ++j) {
        const double over = preference_over(entries[i], entries[j]);
        if (std::isnan(over)) {
          ++pairs.without_preference;
          continue;
        }
        pairs.table.keys.push_back(number);
        pairs.table.preferences.push_back(over > 0.5 ? Preference::left : over < 0.5 ? Preference::right : Preference::tie);
        for (size_t k = 0; k < dimensions.size(); ++k) {
          pairs.table.left.push_back(round_to_3(entries[i].reward_K[k]));
          pairs.table.right.push_back(round_to_3(entries[j].reward_K[k]));
        }
      }
    }
  }
  return pairs;
}

PairwiseResult result_of(const OutcomeAccuracies& accuracies, const std::vector<std::string>& dimensions) {
  // The rule is symmetric, so both orders of a pair are right or wrong together: counted twice, resampled as one.
  PairwiseResult result{.pairs = 2 * accuracies.pairs, .pairs_without_ties = 2 * accuracies.pairs_without_ties, .all = accuracies.all.back(),
                        .without_ties = accuracies.without_ties.back(), .dimensions = {}};
  for (size_t k = 0; k < dimensions.size(); ++k) result.dimensions.push_back({dimensions[k], accuracies.all[k], accuracies.without_ties[k]});
  return result;
}

}  // namespace

VbenchResult evaluate_vbench(const Predictions& predictions, const std::string& name, const std::filesystem::path& preferences_file,
                             const VbenchOptions& options) {
  const auto videos = read_vbench_preferences(preferences_file);
  const at::Tensor reward_NK = predictions.reward_NK.to(at::kDouble).contiguous();
  const size_t dimensions = predictions.dimensions.size();
  VbenchResult result;
  std::vector<double> mean_draws(static_cast<size_t>(options.resamples), 0.0), means, dimension_sums(dimensions, 0.0);
  for (const Aspect& aspect : aspects_of(predictions, reward_NK.const_data_ptr<double>(), name, videos)) {
    const AspectPairs pairs = pairs_of(aspect, predictions.dimensions);
    result.without_preference += 2 * pairs.without_preference;
    if (pairs.table.preferences.empty()) continue;
    std::vector<uint64_t> outcomes = outcomes_of(pairs.table);
    if (options.videoscore_compatible) {
      for (uint64_t& outcome : outcomes) outcome &= (outcome >> dimensions & 1) != 0 ? ~uint64_t{0} : kTieBit;
    }
    const uint64_t seed = core::combine64(options.seed, core::hash64(aspect.name));
    const OutcomeAccuracies accuracies = bootstrap_outcomes(outcomes, dimensions + 1, {options.resamples, seed, options.threads});
    result.aspects.push_back({aspect.name, result_of(accuracies, predictions.dimensions)});
    result.pairs += 2 * accuracies.pairs;
    means.push_back(accuracies.all.back().accuracy);
    for (size_t b = 0; b < mean_draws.size(); ++b) mean_draws[b] += accuracies.draws.back()[b];
    for (size_t k = 0; k < dimensions; ++k) dimension_sums[k] += accuracies.all[k].accuracy;
  }
  if (means.empty()) fail_row(name, "", "no two predictions have a preference");
  const auto count = static_cast<double>(means.size());
  for (double& draw : mean_draws) draw /= count;
  std::tie(result.mean.low, result.mean.high) = interval(std::move(mean_draws));
  result.mean.accuracy = mean_defined(means);
  for (size_t k = 0; k < dimensions; ++k) result.dimensions.emplace_back(predictions.dimensions[k], dimension_sums[k] / count);
  return result;
}

std::string to_json_text(const VbenchResult& result) {
  const auto number = [](double x) { return std::isfinite(x) ? Row(x) : Row(); };
  Row document{{"pairs", result.pairs}, {"accuracy", number(result.mean.accuracy)}, {"low", number(result.mean.low)}, {"high", number(result.mean.high)},
               {"dimensions", Row::object()}, {"aspects", Row::object()}, {"without_preference", result.without_preference}};
  for (const auto& [name, accuracy] : result.dimensions) document["dimensions"][name] = number(accuracy);
  for (const auto& aspect : result.aspects) document["aspects"][aspect.name] = Row::parse(to_json_text(aspect.result));
  return document.dump();
}

}  // namespace mvrm::eval
