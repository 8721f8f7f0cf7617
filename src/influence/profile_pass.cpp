// SPDX-License-Identifier: Apache-2.0
// The forward pass that collects a profile. N samples, K dimensions, D feature width, F frames.
#include <mvrm/influence/profile_pass.h>

#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/dist/shard.h>
#include <mvrm/influence/estimator.h>
#include <mvrm/model/forward_pass.h>
#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "profile_store.h"

namespace mvrm::influence {

namespace fs = std::filesystem;

namespace {

// Clips whose number of frames is not known before they are decoded keep the rewards of so many prefixes.
constexpr int64_t kMostPrefixes = 64;

// What a partial profile must match to be continued.
nlohmann::json identity_of(const Profile& profile) {
  return {{"model_hash", profile.model_hash}, {"data_hash", profile.data_hash}, {"reading", profile.reading},
          {"dimensions", profile.dimensions}, {"samples", profile.ids.size()},  {"features", feature_dtype_name(profile)},
          {"space", profile.space},           {"prefix_frames", profile.prefix_prediction_NFK.size(1)}};
}

std::string reading_of(const video::SampleRule& rule, at::ScalarType dtype) {
  const bool capped = rule.sampling != video::Sampling::all;
  return "sampling " + video::name_of(rule.sampling) + (capped ? ", max_frames " + std::to_string(rule.max_frames) : "") + ", model " +
         c10::toString(dtype);
}

int64_t prefix_frames(const data::Manifest& manifest, const video::SampleRule& rule) {
  if (rule.sampling != video::Sampling::all) return rule.max_frames;
  size_t frames = 1;
  for (const auto& sample : manifest.samples) frames = std::max(frames, sample.video.empty() ? sample.images.size() : size_t{kMostPrefixes});
  return static_cast<int64_t>(std::min(frames, size_t{kMostPrefixes}));
}

void check_dimensions(const data::Manifest& manifest, const std::vector<std::string>& dimensions) {
  if (manifest.dimensions == dimensions) return;
  const auto list = [](const std::vector<std::string>& names) {
    std::string text;
    for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
    return text;
  };
  throw core::DataError(manifest.path.string() + ": has the dimensions [" + list(manifest.dimensions) + "], the model has [" +
                        list(dimensions) + "]");
}

bool can_resume(const fs::path& directory, const Profile& profile) {
  if (!fs::exists(directory / "profile.json") || !fs::exists(directory / "profile.safetensors") || profile.model_hash.empty()) return false;
  const auto stored = nlohmann::json::parse(core::read_file(directory / "profile.json"), nullptr, false);
  const auto identity = identity_of(profile);
  return stored.is_object() && std::all_of(identity.items().begin(), identity.items().end(),
                                           [&](const auto& item) { return stored.value(item.key(), nlohmann::json()) == item.value(); });
}

std::unique_ptr<ProfileStore> open_store(const fs::path& directory, Profile& profile, bool replace, dist::Communicator& comm,
                                         const core::Context& context) {
  if (directory.empty()) return nullptr;
  const bool resumes = comm.is_main() && can_resume(directory, profile);   // only rank 0 looks
  const bool in_the_way = comm.is_main() && !replace && !resumes && is_finished_profile(directory);
  if (dist::gather_values(comm, in_the_way ? 1 : 0).front() > 0) throw other_profile(directory);
  if (comm.is_main()) {
    fs::create_directories(directory);
    if (!resumes) {
      if (fs::exists(directory / "profile.json")) {
        context.log.info(directory.string() + ": belongs to another model, data file or way of reading it; profiling anew");
      }
      // The summary goes first: without it, nothing that is left in the folder passes for a profile.
      for (const char* name : {"profile.json", "samples.jsonl", "self_influence.csv"}) fs::remove(directory / name);
      ProfileStore::create(directory, profile);
      core::write_file_atomic(directory / "profile.json", identity_of(profile).dump(2) + "\n");
    }
  }
  comm.barrier();
  read_rows(directory, profile, /*map_features=*/true);
  return std::make_unique<ProfileStore>(directory, profile);
}

Profile empty_profile(const model::RewardModel& model, const data::Dataset& dataset, const ProfileOptions& options, bool stored) {
  Profile profile{.dimensions = model.config.dimensions};
  for (const auto& sample : dataset.manifest().samples) {
    profile.ids.push_back(sample.id);
    profile.prompts.push_back(sample.prompt);
  }
  allocate(profile, {.rows = dataset.size(), .dimensions = static_cast<int64_t>(profile.dimensions.size()),
                     .frames = prefix_frames(dataset.manifest(), dataset.processor().sample_rule), .kernel = options.space.has_value(),
                     .feature_width = options.feature_dtype ? model.config.text.hidden_size : 0,
                     .feature_dtype = options.feature_dtype.value_or(at::kFloat), .stored_features = stored});
  profile.model_hash = options.model_dir.empty() ? "" : model::model_hash(options.model_dir);
  profile.data_hash = dataset.manifest().hash;
  profile.reading = reading_of(dataset.processor().sample_rule, model.dtype);
  profile.space = options.space ? name_of(*options.space) : "";
  return profile;
}

float* row_of(at::Tensor& table, int64_t n) { return table.mutable_data_ptr<float>() + n * (table.numel() / table.size(0)); }

bool is_finite(const at::Tensor& values) {
  const float* value = values.const_data_ptr<float>();
  return std::all_of(value, value + values.numel(), [](float x) { return std::isfinite(x); });
}

// Finite rewards and features may still be too large for the square of one of them.
[[noreturn]] void refuse_influence(const Profile& profile, int64_t n, int64_t k, float reward, float norm) {
  throw core::Error("sample '" + profile.ids[static_cast<size_t>(n)] + "', dimension '" + profile.dimensions[static_cast<size_t>(k)] +
                        "': the self-influence is not finite (reward " + std::to_string(reward) + ", squared feature norm " + std::to_string(norm) + ")",
                    core::ExitStatus::numeric);
}

// Plain loops over a row's few numbers: operators on them would take longer than a small model takes for the clip, and every worker waits
// for the one who is here.
void fill_row(Profile& profile, const model::SampleOutput& output, const std::optional<LastLayer>& layer) {
  const int64_t n = output.index, dimensions = output.reward_K.numel();
  const auto plain = [](const at::Tensor& values) { return values.to(at::kCPU, at::kFloat).contiguous(); };
  const at::Tensor feature_D = plain(output.feature_D), reward_K = plain(output.reward_K), prefix_FK = plain(output.prefix_reward_FK);
  if (!is_finite(reward_K) || !is_finite(feature_D)) {
    throw core::Error("sample '" + output.example->id + "': the model's output is not finite", core::ExitStatus::numeric);
  }
  float *prediction = row_of(profile.prediction_NK, n), *label = row_of(profile.label_NK, n), *residual = row_of(profile.residual_NK, n);
  std::copy_n(reward_K.const_data_ptr<float>(), dimensions, prediction);
  std::copy(output.example->label_K.begin(), output.example->label_K.end(), label);
  const auto norm = static_cast<float>(feature_D.to(at::kDouble).square().sum().item<double>());
  *row_of(profile.feature_sq_norm_N, n) = norm;
  for (int64_t k = 0; k < dimensions; ++k) {
    residual[k] = prediction[k] - label[k];
    const auto r = static_cast<double>(residual[k]);
    float& influence = row_of(profile.self_influence_NK, n)[k];
    influence = static_cast<float>(r * r * static_cast<double>(norm));   // closed_form()
    if (!std::isfinite(influence) && !std::isnan(label[k])) refuse_influence(profile, n, k, prediction[k], norm);
  }
  const int64_t frames = std::min(prefix_FK.size(0), profile.prefix_prediction_NFK.size(1));
  std::copy_n(prefix_FK.const_data_ptr<float>(), frames * dimensions, row_of(profile.prefix_prediction_NFK, n));
  if (layer) {
    const at::Tensor ones_1K = at::ones({1, dimensions}, at::kDouble);   // unit residuals: the products of the rewards' gradients
    profile.kernel_NKK[n].copy_(self_matrix(space_from_name(profile.space), *layer, {ones_1K, output.skip_D.unsqueeze(0)})[0]);
  }
}

// The rows of this rank's chunks that hold a sample still to do, whole chunks each.
std::vector<int64_t> open_rows(const Profile& profile, int64_t batch, const dist::Communicator& comm) {
  const int64_t rows = profile.done_N.size(0);
  const uint8_t* done = profile.done_N.const_data_ptr<uint8_t>();
  std::vector<int64_t> open;
  for (int64_t begin = comm.rank() * batch; begin < rows; begin += comm.size() * batch) {
    const int64_t end = std::min(begin + batch, rows);
    if (std::all_of(done + begin, done + end, [](uint8_t flag) { return flag != 0; })) continue;
    for (int64_t n = begin; n < end; ++n) open.push_back(n);
  }
  return open;
}

// Every rank's chunks to all ranks, bit for bit: rows as bytes, chunks as the rows of a table.
void share_chunks(at::Tensor& table, int64_t batch, dist::Communicator& comm) {
  const int64_t rows = table.size(0);
  if (comm.size() == 1 || rows == 0) return;
  const int64_t chunks = (rows + batch - 1) / batch;
  const at::Tensor bytes = table.reshape({rows, -1}).contiguous().view(at::kByte);
  at::Tensor padded = at::zeros({chunks * batch, bytes.size(1)}, at::kByte);
  padded.narrow(0, 0, rows).copy_(bytes);
  at::Tensor chunked = padded.view({chunks, -1});
  dist::share_interleaved_rows(chunked, comm);
  table.copy_(chunked.view({chunks * batch, -1}).narrow(0, 0, rows).contiguous().view(table.scalar_type()).view(table.sizes()));
}

}  // namespace

bool is_finished_profile(const fs::path& directory) {
  if (!fs::exists(directory / "profile.json") || !fs::exists(directory / "profile.safetensors")) return false;
  const auto stored = nlohmann::json::parse(core::read_file(directory / "profile.json"), nullptr, false);
  return stored.is_object() && stored.contains("done");   // a count that write_profile() adds
}

core::ConfigError other_profile(const fs::path& directory) {
  return core::ConfigError(directory.string() + ": holds a finished profile of another model, data file or way of reading it; choose another --out, or "
                           "remove the folder");
}

Profile compute_profile(const model::RewardModel& model, data::Dataset& dataset, const ProfileOptions& options, dist::Communicator& comm,
                        const core::Context& context, const fs::path& directory) {
  check_dimensions(dataset.manifest(), model.config.dimensions);
  Profile profile = empty_profile(model, dataset, options, !directory.empty());
  auto store = open_store(directory, profile, options.replace, comm, context);
  const std::optional<LastLayer> layer = options.space ? std::optional(last_layer(model)) : std::nullopt;

  const int64_t done = profile.done_N.sum().item<int64_t>();
  if (done > 0 && comm.is_main()) context.log.info("profile: " + std::to_string(done) + " samples are done already");
  uint8_t* done_flag = profile.done_N.mutable_data_ptr<uint8_t>();
  const auto keep = [&](std::span<const model::SampleOutput> outputs) {
    comm.check_peers();
    for (const auto& output : outputs) {
      if (!output.example || done_flag[output.index] != 0) continue;
      fill_row(profile, output, layer);
      done_flag[output.index] = 1;
      if (store) store->add_row(output.index, output.feature_D.to(at::kCPU));
      else if (profile.feature_ND.defined()) profile.feature_ND[output.index].copy_(output.feature_D);
    }
  };
  model::forward_pass(model, dataset, open_rows(profile, options.batch, comm), options.batch, context, "profile", keep,
                      {.prefix_rewards = true, .skip = options.space.has_value()});
  if (store) store->flush();
  for (const auto& [name, tensor] : tensors_of(profile)) {
    if (tensor->defined() && !(store && name == "feature")) share_chunks(*tensor, options.batch, comm);
  }
  if (store && profile.feature_ND.defined()) {   // all ranks wrote theirs: seen as the file is from now on
    store.reset();
    comm.barrier();
    profile.feature_ND = stored_features(directory);
  }
  // A finished profile that is continued may hold another estimator's numbers.
  profile.self_influence_NK = closed_form(profile.residual_NK, profile.feature_sq_norm_N).to(at::kFloat);
  return profile;
}

void set_labels(Profile& profile, const at::Tensor& label_NK) {
  core::check_shape(label_NK, profile.label_NK.sizes().vec(), "label");
  profile.label_NK = label_NK.to(at::kFloat).clone();
  profile.residual_NK = profile.prediction_NK - profile.label_NK;
  profile.self_influence_NK = closed_form(profile.residual_NK, profile.feature_sq_norm_N).to(at::kFloat);
  profile.estimator = "closed_form";
  profile.moments_K.clear();
}

void set_head(Profile& profile, const at::Tensor& weight_KD, const at::Tensor& bias_K) {
  if (!profile.feature_ND.defined()) {
    throw core::DataError("the profile keeps no features, so another head can't be applied; make it with 'mvrm profile --features f32'");
  }
  const std::vector<int64_t> wanted{profile.prediction_NK.size(1), profile.feature_ND.size(1)};
  if (weight_KD.sizes() != at::IntArrayRef(wanted)) {
    throw core::model_error("the head is " + core::shape_text(weight_KD.sizes()) + ", the profile needs " + core::shape_text(wanted));
  }
  profile.prediction_NK = head_pass(profile.feature_ND.to(at::kFloat).contiguous(), profile.label_NK, weight_KD, bias_K).prediction_NK;
  profile.prefix_prediction_NFK = profile.kernel_NKK = at::Tensor();
  profile.space.clear();
  set_labels(profile, profile.label_NK);
}

}  // namespace mvrm::influence
