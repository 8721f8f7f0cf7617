// SPDX-License-Identifier: Apache-2.0
// mvrm score and mvrm eval spearman: rewards for videos, and what they are worth against labels.
#pragma once
#include <filesystem>
#include <mvrm/core/context.h>
#include <mvrm/dist/communicator.h>
#include <mvrm/eval/predictions.h>
#include <mvrm/eval/rank_correlation.h>
#include <mvrm/run/run_config.h>
#include <string>
#include <vector>

namespace mvrm::run {

struct ScoreRunOptions {
  std::filesystem::path model_dir;
  std::vector<std::filesystem::path> videos, frame_folders;   // with `prompt`, or
  std::filesystem::path data_file;                            // a data file
  std::string prompt;
  DataSection data;                                           // sampling, max_frames, max_bad_samples
  std::string dtype = "f32";
  bool keep_features = false;                                 // and input ids
};
struct ScoreResult {
  eval::Predictions predictions;
  std::vector<std::string> sources;                           // video path or folder of each row
};
// Every rank gets the whole result. The model is loaded onto context.device.
ScoreResult score_run(const ScoreRunOptions& options, dist::Communicator& comm, const core::Context& context);
std::string score_json(const ScoreResult& result);            // cli.md: score --json
// safetensors: feature [N,D] and prediction [N,K] float32, input_ids [N,L] int64 with -1 behind each row's length [N].
void write_features(const std::filesystem::path& path, const eval::Predictions& predictions);
std::string score_table(const ScoreResult& result);
std::string spearman_table(const eval::EvalResult& result);   // x100, 4 decimals, with 95 % intervals

}  // namespace mvrm::run
