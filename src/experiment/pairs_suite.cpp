// SPDX-License-Identifier: Apache-2.0
// Suite genai-bench: do the rewards order clips of another kind as people do?
#include <cmath>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/core/random.h>
#include <mvrm/eval/pairwise_accuracy.h>
#include <mvrm/synth/synth.h>
#include <nlohmann/json.hpp>
#include <numeric>

#include "gain.h"
#include "pairs.h"
#include "seed_columns.h"
#include "suite_table.h"

namespace mvrm::experiment {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

constexpr double kTie = 0.25;               // levels
constexpr double kFramesPerSecond = 6.0;

double mean_level(const synth::Clip& clip) {
  return std::accumulate(clip.level_K.begin(), clip.level_K.end(), 0.0) / static_cast<double>(clip.level_K.size());
}

eval::PairTable pairs_of(Study& study, int64_t seed, const Arm& arm) {
  const auto& config = study.config();
  const fs::path votes = config.data.votes.empty() ? study.pairs_directory(seed) / "votes.jsonl" : config.data.votes;
  const fs::path rewards = study.pair_rewards_file(seed, arm);
  return eval::match_pairs(eval::read_predictions(rewards), eval::read_votes(votes), rewards.string());
}

// 1 for each pair that dimension k (or the mean over dimensions for k = K) orders as people do.
std::vector<double> outcomes(const eval::PairTable& pairs, size_t k) {
  const size_t dimensions = pairs.dimensions.size();
  std::vector<double> right;
  for (size_t p = 0; p < pairs.keys.size(); ++p) {
    const auto reward = [&](const std::vector<double>& side) {
      const auto begin = side.begin() + static_cast<std::ptrdiff_t>(p * dimensions);
      return k < dimensions ? begin[static_cast<std::ptrdiff_t>(k)] : std::accumulate(begin, begin + static_cast<std::ptrdiff_t>(dimensions), 0.0) / static_cast<double>(dimensions);
    };
    right.push_back(eval::agrees(reward(pairs.left), reward(pairs.right), pairs.preferences[p]) ? 1 : 0);
  }
  return right;
}

}  // namespace

PairFiles render_pairs(const fs::path& directory, int64_t pairs, uint64_t seed, const core::Context&) {
  const PairFiles files{.clips = directory / "pairs.jsonl", .votes = directory / "votes.jsonl"};
  const synth::SynthConfig style{.colours = 3, .frames = 6, .height = 70, .width = 70};
  fs::create_directories(directory / "videos");
  std::string clips, votes;
  for (int64_t p = 0; p < pairs; ++p) {
    double level[2];
    for (int side = 0; side < 2; ++side) {
      const std::string id = std::to_string(p) + (side == 0 ? "_left" : "_right");
      const synth::Clip clip = synth::render_clip(style, core::combine64(core::mix64(seed), core::hash64("pair " + id)));
      const fs::path video = directory / "videos" / (id + ".mp4");
      if (!fs::exists(video)) synth::write_mp4(video, clip.frames, kFramesPerSecond);
      level[side] = mean_level(clip);
      clips += Json{{"id", id}, {"video", "videos/" + id + ".mp4"}, {"prompt", clip.prompt}}.dump() + "\n";
    }
    const double difference = level[0] - level[1];
    votes += Json{{"idx", p}, {"human_vote", std::abs(difference) <= kTie ? "tievote" : difference > 0 ? "leftvote" : "rightvote"}}.dump() + "\n";
  }
  core::write_file_atomic(files.votes, votes);
  core::write_file_atomic(files.clips, clips);
  return files;
}

Needs pairs_needs(const ExperimentConfig& config) {
  const double alpha = config.experiment.alpha;
  return {.runs = {baseline_run(),
                   {.method = "TracIn (scalar)", .arm = pruning_arm("tracin", alpha)},
                   {.method = "DDP", .arm = pruning_arm("ddp", alpha)},
                   {.method = "DDR", .arm = reweighting_arm("ddr", config.experiment.tau)},
                   {.method = "mask (ours)", .arm = pruning_arm("mask", alpha)}},
          .pairs = true};
}

void tabulate_pairs(Study& study, const Needs& needs, SuiteResult& result, const core::Context&) {
  ResultTable table{.title = "Pairwise accuracy x100, VideoScore's rule", .columns = {}, .rows = {}, .scale = 100, .digits = 2};
  std::vector<std::vector<double>> baseline;
  for (const Run& run : needs.runs) {
    std::vector<std::vector<double>> right;
    SeedColumns columns;
    for (int64_t s = 0; s < study.seeds(); ++s) {
      const eval::PairTable pairs = pairs_of(study, s, run.arm);
      table.columns = pairs.dimensions;
      std::vector<double> accuracies;
      for (size_t k = 0; k <= pairs.dimensions.size(); ++k) accuracies.push_back(mean_of(outcomes(pairs, k)));
      columns.add(accuracies);
      right.push_back(outcomes(pairs, pairs.dimensions.size()));
    }
    ResultRow row{.method = run.method, .values = columns.summaries()};
    if (baseline.empty()) {
      baseline = right;
    } else {
      for (size_t s = 0; s < right.size(); ++s)
        for (size_t p = 0; p < right[s].size(); ++p) right[s][p] -= baseline[s][p];
      row.gain = accuracy_gain(right, !study.config().data.pairs.empty(), study.config().experiment.resamples);
    }
    table.rows.push_back(std::move(row));
  }
  table.columns.emplace_back("mean reward");
  result.tables.push_back(std::move(table));
  if (study.config().data.pairs.empty()) {
    result.notes.emplace_back("Rendered clips of 6 frames, 70 x 70 pixels and three colours instead of 8, 56 x 56 and two; the clip whose mean level is higher by more than a quarter of a level is "
                              "preferred, the others are ties.");
  }
}

}  // namespace mvrm::experiment
