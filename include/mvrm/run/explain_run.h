// SPDX-License-Identifier: Apache-2.0
// mvrm explain: which frames and regions of a clip carry its rewards and their risk, as tables and pictures.
#pragma once
#include <filesystem>
#include <mvrm/core/context.h>
#include <mvrm/influence/localise.h>
#include <mvrm/run/run_config.h>
#include <string>
#include <vector>

namespace mvrm::run {

struct ExplainRunOptions {
  std::filesystem::path model_dir, data_file, out_dir;
  std::vector<std::string> ids;                 // or
  std::filesystem::path profile_dir;            // the samples that hold the riskiest `top_percent` of labels of any dimension
  double top_percent = 1.0;
  influence::LocaliseOptions localise;
  DataSection data;
  std::string dtype = "f32";
};
struct ExplainedSample {
  std::string id;
  std::vector<int64_t> frame_indices;
  std::vector<float> label_K;                   // NaN = none
  core::Tensor levels_NCHW;                     // uint8, the frames as the model saw them
  influence::Localisation localisation;
  std::vector<int64_t> frame_of_step_K;         // the prefix rewards turn wrong most there (influence::frames_of_step)
  std::vector<int64_t> frame_of_blame_K;        // without it the squared residual shrinks most; -1: no label or no frame that helps
};
struct ExplainResult {
  std::vector<std::string> dimensions;
  std::vector<ExplainedSample> samples;
};
// Writes frames.csv, regions.csv, and per sample N-ID.svg (rewards over frames) and N-ID.png into out_dir: frames, a row a dimension, with
// regions that push the reward down in red and up in blue; with Regions::alone those whose own reward is below and above the regions' mean.
// Throws ConfigError for an unknown id, DataError when the profile was made from another data file.
ExplainResult explain_run(const ExplainRunOptions& options, const core::Context& context);
std::string explain_table(const ExplainResult& result);
std::string explain_json(const ExplainResult& result);

// Pictures as file contents. `dimensions` names the rows.
std::string curve_svg(const ExplainedSample& sample, const std::vector<std::string>& dimensions);
std::string overlay_png(const ExplainedSample& sample);   // empty without regions

}  // namespace mvrm::run
