// SPDX-License-Identifier: Apache-2.0
// The story of `mvrm score`: videos, frame folders or a data file in, rewards out.
#include <ATen/ATen.h>
#include <algorithm>
#include <cmath>
#include <mvrm/core/error.h>
#include <mvrm/core/safetensors.h>
#include <mvrm/data/media_folders.h>
#include <mvrm/report/table.h>
#include <mvrm/run/devices.h>
#include <mvrm/run/score_run.h>
#include <mvrm/run/train_run.h>
#include <nlohmann/json.hpp>

namespace mvrm::run {

namespace fs = std::filesystem;

namespace {

std::vector<fs::path> frames_of(const fs::path& folder) {
  if (!fs::is_directory(folder)) throw core::DataError(folder.string() + ": not a folder of frames");
  std::error_code error;
  fs::directory_iterator(folder, error);
  if (error) throw core::io_error(folder.string() + ": can't be read: " + error.message());
  auto pictures = data::pictures_in(folder);
  if (pictures.empty()) throw core::DataError(folder.string() + ": holds no .jpg or .png frames");
  return pictures;
}

data::Manifest manifest_of(const ScoreRunOptions& options, const std::vector<std::string>& dimensions) {
  if (!options.data_file.empty()) return data::load_manifest(options.data_file, {.dimensions = dimensions});
  data::Manifest manifest{.path = {}, .dimensions = dimensions, .samples = {}, .hash = {}};
  for (const auto& video : options.videos) {
    manifest.samples.push_back({.id = video.string(), .prompt = options.prompt, .video = video});
  }
  for (const auto& folder : options.frame_folders) {
    manifest.samples.push_back({.id = folder.string(), .prompt = options.prompt, .images = frames_of(folder)});
  }
  return manifest;
}

std::string source_of(const data::Sample& sample) {
  if (!sample.video.empty()) return sample.video.string();
  return sample.images.empty() ? "" : sample.images.front().parent_path().string();
}

}  // namespace

ScoreResult score_run(const ScoreRunOptions& options, dist::Communicator& comm, const core::Context& context) {
  const auto dtype = options.dtype == "bf16" ? at::kBFloat16 : at::kFloat;
  const model::RewardModel model = model::load_reward_model(options.model_dir, dtype, context.seed, at::Device(context.device));
  if (comm.is_main()) log_device(model, context);
  const video::SampleRule rule{.sampling = video::sampling_from_name(options.data.sampling), .max_frames = options.data.max_frames};
  data::Dataset dataset(manifest_of(options, model.config.dimensions), data::load_processor(options.model_dir, rule),
                        {.max_bad_samples = options.data.max_bad_samples}, context);
  ScoreResult result{.predictions = eval::predict(model, dataset, options.data.batch, comm, context, options.keep_features), .sources = {}};
  for (const auto& sample : dataset.manifest().samples) result.sources.push_back(source_of(sample));
  return result;
}

void write_features(const fs::path& path, const eval::Predictions& predictions) {
  const auto rows = static_cast<int64_t>(predictions.input_ids.size());
  size_t longest = 0;
  for (const auto& ids : predictions.input_ids) longest = std::max(longest, ids.size());
  at::Tensor ids_NL = at::full({rows, static_cast<int64_t>(longest)}, -1, at::kLong), length_N = at::zeros({rows}, at::kLong);
  for (int64_t n = 0; n < rows; ++n) {
    const auto& ids = predictions.input_ids[static_cast<size_t>(n)];
    std::copy(ids.begin(), ids.end(), ids_NL.mutable_data_ptr<int64_t>() + n * static_cast<int64_t>(longest));
    length_N[n] = static_cast<int64_t>(ids.size());
  }
  core::write_safetensors(path, {{"feature", predictions.feature_ND}, {"prediction", predictions.reward_NK}, {"input_ids", ids_NL}, {"length", length_N}});
}

std::string score_json(const ScoreResult& result) {
  const auto& predictions = result.predictions;
  const at::Tensor reward_NK = predictions.reward_NK.contiguous();
  const auto dimensions = static_cast<int64_t>(predictions.dimensions.size());
  nlohmann::ordered_json document{{"dimensions", predictions.dimensions}, {"results", nlohmann::ordered_json::array()}};
  for (size_t n = 0; n < predictions.ids.size(); ++n) {
    nlohmann::ordered_json scores;
    for (int64_t k = 0; k < dimensions; ++k) {
      const double value = reward_NK.const_data_ptr<float>()[static_cast<int64_t>(n) * dimensions + k];
      scores[predictions.dimensions[static_cast<size_t>(k)]] = std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json();
    }
    const bool failed = n < predictions.errors.size() && !predictions.errors[n].empty();
    document["results"].push_back({{"id", predictions.ids[n]}, {"video", result.sources[n]}, {"scores", scores},
                                   {"frame_indices", n < predictions.frame_indices.size() ? predictions.frame_indices[n] : std::vector<int64_t>{}},
                                   {"tokens", n < predictions.tokens.size() ? predictions.tokens[n] : 0},
                                   {"error", failed ? nlohmann::ordered_json(predictions.errors[n]) : nlohmann::ordered_json()}});
  }
  return document.dump(2);
}

std::string score_table(const ScoreResult& result) {
  const auto& predictions = result.predictions;
  report::Table table{.header = {"video"}, .rows = {}};
  table.header.insert(table.header.end(), predictions.dimensions.begin(), predictions.dimensions.end());
  const at::Tensor reward_NK = predictions.reward_NK.to(at::kDouble).contiguous();
  for (size_t n = 0; n < predictions.ids.size(); ++n) {
    std::vector<std::string> row{predictions.ids[n]};
    for (size_t k = 0; k < predictions.dimensions.size(); ++k) {
      row.push_back(report::fixed(reward_NK.const_data_ptr<double>()[n * predictions.dimensions.size() + k], 3));
    }
    table.rows.push_back(std::move(row));
  }
  return report::to_text(table);
}

}  // namespace mvrm::run
