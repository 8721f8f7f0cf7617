// SPDX-License-Identifier: Apache-2.0
// Closed-form self-influence and the forward pass that collects it. N samples, K dimensions, D feature width.
#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/dist/shard.h>
#include <mvrm/influence/estimator.h>
#include <mvrm/model/forward_pass.h>
#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>

#include "profile_store.h"

namespace mvrm::influence {

namespace fs = std::filesystem;

at::Tensor closed_form(const at::Tensor& residual_NK, const at::Tensor& feature_sq_norm_N, bool with_bias) {
  core::check_shape(feature_sq_norm_N, {residual_NK.size(0)}, "feature_sq_norm");
  const at::Tensor norm_N1 = feature_sq_norm_N.to(at::kDouble).unsqueeze(1) + (with_bias ? 1.0 : 0.0);
  return residual_NK.to(at::kDouble).square() * norm_N1;
}

at::Tensor tracin_scalar(const at::Tensor& self_influence_NK) { return self_influence_NK.to(at::kDouble).nansum(1); }

namespace {

// What a partial profile must match to be continued.
nlohmann::json identity_of(const Profile& profile) {
  return {{"model_hash", profile.model_hash}, {"data_hash", profile.data_hash}, {"reading", profile.reading},
          {"dimensions", profile.dimensions}, {"samples", profile.ids.size()},  {"features", profile.feature_ND.defined()}};
}

std::string reading_of(const video::SampleRule& rule, at::ScalarType dtype) {
  const bool capped = rule.sampling != video::Sampling::all;
  return "sampling " + video::name_of(rule.sampling) + (capped ? ", max_frames " + std::to_string(rule.max_frames) : "") + ", model " +
         c10::toString(dtype);
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

std::unique_ptr<ProfileStore> open_store(const fs::path& directory, Profile& profile, dist::Communicator& comm,
                                         const core::Context& context) {
  if (directory.empty()) return nullptr;
  if (comm.is_main()) {
    fs::create_directories(directory);
    if (!can_resume(directory, profile)) {
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
  read_rows(directory, profile);
  return std::make_unique<ProfileStore>(directory, profile);
}

void fill_row(Profile& profile, const model::SampleOutput& output) {
  const int64_t n = output.index;
  const at::Tensor feature_D = output.feature_D.to(at::kFloat);
  const at::Tensor reward_K = output.reward_K.to(at::kFloat);
  if (!reward_K.isfinite().all().item<bool>() || !feature_D.isfinite().all().item<bool>()) {
    throw core::Error("sample '" + output.example->id + "': the model's output is not finite", core::ExitStatus::numeric);
  }
  const at::Tensor label_K = at::tensor(at::ArrayRef<float>(output.example->label_K), at::kFloat);
  profile.prediction_NK[n].copy_(reward_K);
  if (label_K.numel() > 0) profile.label_NK[n].copy_(label_K);
  profile.residual_NK[n].copy_(profile.prediction_NK[n] - profile.label_NK[n]);
  profile.feature_sq_norm_N[n].copy_(feature_D.to(at::kDouble).square().sum());
  profile.self_influence_NK[n].copy_(closed_form(profile.residual_NK[n].unsqueeze(0), profile.feature_sq_norm_N[n].unsqueeze(0))[0]);
  if (profile.feature_ND.defined()) profile.feature_ND[n].copy_(feature_D);
}

}  // namespace

Profile compute_profile(const model::RewardModel& model, data::Dataset& dataset, const ProfileOptions& options, dist::Communicator& comm,
                        const core::Context& context, const fs::path& directory) {
  Profile profile{.dimensions = model.config.dimensions};
  check_dimensions(dataset.manifest(), model.config.dimensions);
  for (const auto& sample : dataset.manifest().samples) {
    profile.ids.push_back(sample.id);
    profile.prompts.push_back(sample.prompt);
  }
  const int64_t rows = dataset.size();
  allocate(profile, rows, static_cast<int64_t>(profile.dimensions.size()), options.keep_features ? model.config.text.hidden_size : 0);
  profile.model_hash = options.model_dir.empty() ? "" : model::model_hash(options.model_dir);
  profile.data_hash = dataset.manifest().hash;
  profile.reading = reading_of(dataset.processor().sample_rule, model.dtype);
  const auto store = open_store(directory, profile, comm, context);

  std::vector<int64_t> open = dist::interleaved_rows(rows, comm);
  const size_t mine = open.size();
  std::erase_if(open, [&](int64_t n) { return profile.done_N.const_data_ptr<uint8_t>()[n] != 0; });
  if (open.size() < mine) context.log.info("profile: " + std::to_string(mine - open.size()) + " samples are done already");
  auto last_flush = std::chrono::steady_clock::now();
  model::forward_pass(model, dataset, open, options.batch, context, "profile", [&](std::span<const model::SampleOutput> outputs) {
    for (const auto& output : outputs) {
      if (!output.example) continue;
      fill_row(profile, output);
      profile.done_N[output.index] = 1;
      if (store) store->write_row(profile, output.index);
    }
    if (store && std::chrono::steady_clock::now() - last_flush > std::chrono::seconds(2)) {
      store->flush();
      last_flush = std::chrono::steady_clock::now();
    }
  });
  if (store) store->flush();
  for (const auto& [name, tensor] : tensors_of(profile)) {
    if (tensor->defined()) dist::share_interleaved_rows(*tensor, comm);
  }
  return profile;
}

}  // namespace mvrm::influence
