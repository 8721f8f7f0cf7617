// SPDX-License-Identifier: Apache-2.0
// The story of `mvrm eval --model`: what is scored already is read, the rest is scored and added row by row. N samples, K dimensions.
#include <ATen/ATen.h>
#include <algorithm>
#include <cmath>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/core/random.h>
#include <mvrm/eval/prediction_log.h>
#include <mvrm/run/devices.h>
#include <mvrm/run/eval_run.h>
#include <mvrm/run/train_run.h>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_set>

namespace mvrm::run {

namespace fs = std::filesystem;

namespace {

using Finished = std::unordered_map<std::string, std::vector<double>>;

// Whatever decides a reward, apart from the sample itself.
std::string maker_of(const EvalRunOptions& options) {
  const auto& data = options.data;
  const std::string frames = data.sampling == "all" ? data.sampling : data.sampling + " " + std::to_string(data.max_frames);
  return core::sha256_hex(model::model_hash(options.model_dir) + " " + options.dtype + " " + frames).substr(0, 16);
}

data::Manifest without_finished(const data::Manifest& manifest, const Finished& finished, const fs::path& log) {
  data::Manifest rest{.path = manifest.path, .dimensions = manifest.dimensions, .samples = {}, .hash = manifest.hash};
  std::unordered_set<std::string> known;
  for (const auto& sample : manifest.samples) {
    known.insert(sample.id);
    if (!finished.contains(sample.id)) rest.samples.push_back(sample);
  }
  for (const auto& [id, reward_K] : finished) {
    if (!known.contains(id)) {
      throw core::DataError(log.string() + ": sample '" + id + "' is not in " + manifest.path.string() + "; give another --out, or remove the file", id);
    }
  }
  return rest;
}

// The finished rows and the fresh ones in the order of the data file.
eval::Predictions in_order(const data::Manifest& manifest, const eval::Predictions& fresh, const Finished& finished) {
  const auto count = static_cast<int64_t>(manifest.samples.size()), width = static_cast<int64_t>(fresh.dimensions.size());
  eval::Predictions all{.ids = {}, .dimensions = fresh.dimensions, .reward_NK = at::empty({count, width}, at::kFloat),
                        .label_NK = eval::labels_of(manifest, fresh.dimensions)};
  all.errors.resize(static_cast<size_t>(count));
  int64_t next_fresh = 0;
  for (int64_t n = 0; n < count; ++n) {
    const auto& sample = manifest.samples[static_cast<size_t>(n)];
    all.ids.push_back(sample.id);
    all.prompts.push_back(sample.prompt);
    if (const auto found = finished.find(sample.id); found != finished.end()) {
      std::copy(found->second.begin(), found->second.end(), all.reward_NK.mutable_data_ptr<float>() + n * width);
    } else {
      all.errors[static_cast<size_t>(n)] = fresh.errors[static_cast<size_t>(next_fresh)];
      all.reward_NK[n].copy_(fresh.reward_NK[next_fresh++]);
    }
  }
  return all;
}

}  // namespace

ResultFormat result_format_from_name(const std::string& name) {
  if (name == "plain") return ResultFormat::plain;
  if (name == "videoscore") return ResultFormat::videoscore;
  throw core::ConfigError("unknown result format '" + name + "'; known: plain, videoscore");
}

eval::Predictions eval_run(const EvalRunOptions& options, dist::Communicator& comm, const core::Context& context) {
  const model::RewardModel model = model::load_reward_model(options.model_dir, options.dtype == "bf16" ? at::kBFloat16 : at::kFloat, context.seed,
                                                            at::Device(context.device));
  if (comm.is_main()) log_device(model, context);
  const video::SampleRule rule{.sampling = video::sampling_from_name(options.data.sampling), .max_frames = options.data.max_frames};
  const data::Manifest manifest = data::load_manifest(options.data_file, {.dimensions = model.config.dimensions});
  const bool plain = options.format == ResultFormat::plain;
  const fs::path log_path = plain || options.out.empty() ? options.out : fs::path(options.out.string() + ".rows.jsonl");
  const std::string made_by = options.out.empty() ? "" : maker_of(options);
  std::optional<eval::PredictionLog> log;
  if (!options.out.empty()) log.emplace(log_path, made_by, model.config.dimensions);
  const Finished finished = log ? log->finished() : Finished{};
  if (!finished.empty()) context.log.info(log_path.string() + ": " + std::to_string(finished.size()) + " samples are scored already");

  data::Dataset dataset(without_finished(manifest, finished, log_path), data::load_processor(options.model_dir, rule),
                        {.max_bad_samples = options.data.max_bad_samples}, context);
  const eval::OnRow add = [&](const eval::Predictions& rows, int64_t row) {
    if (log && rows.errors[static_cast<size_t>(row)].empty()) log->append(eval::prediction_line(rows, row, made_by));
  };
  const eval::Predictions fresh = eval::predict(model, dataset, options.data.batch, comm, context, false, add);
  eval::Predictions all = in_order(manifest, fresh, finished);
  if (log) {
    eval::write_predictions(log_path, all, made_by);
    if (!plain) eval::write_videoscore_results(options.out, all);
  }
  return all;
}

std::string to_json_text(const SplitEvaluation& evaluation) {
  auto document = nlohmann::ordered_json::parse(eval::to_json_text(evaluation.all));
  document["validation"] = nlohmann::ordered_json::parse(eval::to_json_text(evaluation.validation));
  document["test"] = nlohmann::ordered_json::parse(eval::to_json_text(evaluation.test));
  return document.dump();
}

void append_spearman_record(const fs::path& path, const fs::path& result_file, const eval::EvalResult& result) {
  using Json = nlohmann::ordered_json;
  Json document = Json::array();
  if (fs::exists(path)) document = Json::parse(core::read_file(path), nullptr, false);
  if (!document.is_array()) throw core::DataError(path.string() + ": is not a JSON array of Spearman records; give another file");
  std::string model = result_file.filename().string();
  model = model.substr(0, model.find('.'));
  if (const auto last = model.rfind('_'); last != std::string::npos) model = model.substr(last + 1);
  Json correlations = Json::array(), p_values = Json::array();
  for (const auto& d : result.dimensions) {
    correlations.push_back(std::isnan(d.spearman) ? Json() : Json(std::round(1e6 * d.spearman) / 1e4));
    p_values.push_back(std::isnan(d.p_value) ? Json() : Json(d.p_value));
  }
  document.push_back({{model, {{"spearman_list", correlations}, {"p_value_list", p_values}}}});
  core::write_file_atomic(path, document.dump(4, ' ', true));
}

}  // namespace mvrm::run
