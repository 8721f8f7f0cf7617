// SPDX-License-Identifier: Apache-2.0
// Closed-form self-influence and the forward pass that collects it. N samples, K dimensions, D feature width.
#include <mvrm/influence/estimator.h>

#include "profile_store.h"

#include <ATen/ATen.h>
#include <chrono>
#include <memory>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/model/forward_pass.h>
#include <nlohmann/json.hpp>

namespace mvrm::influence {

namespace fs = std::filesystem;

at::Tensor closed_form(const at::Tensor& residual_NK, const at::Tensor& feature_sq_norm_N, bool with_bias) {
  core::check_shape(feature_sq_norm_N, {residual_NK.size(0)}, "feature_sq_norm");
  const at::Tensor norm_N1 = feature_sq_norm_N.to(at::kDouble).unsqueeze(1) + (with_bias ? 1.0 : 0.0);
  return residual_NK.to(at::kDouble).square() * norm_N1;
}

at::Tensor tracin_scalar(const at::Tensor& self_influence_NK) { return self_influence_NK.to(at::kDouble).nansum(1); }

namespace {

// The file that says what a partial profile belongs to.
nlohmann::json identity_of(const Profile& profile) {
  return {{"model_hash", profile.model_hash}, {"data_hash", profile.data_hash}, {"dimensions", profile.dimensions},
          {"samples", profile.ids.size()}, {"features", profile.feature_ND.defined()}};
}

bool can_resume(const fs::path& directory, const Profile& profile) {
  if (!fs::exists(directory / "profile.json") || !fs::exists(directory / "profile.safetensors") || profile.model_hash.empty()) return false;
  const auto stored = nlohmann::json::parse(core::read_file(directory / "profile.json"), nullptr, false);
  const auto identity = identity_of(profile);
  return stored.is_object() && std::all_of(identity.items().begin(), identity.items().end(),
                                           [&](const auto& item) { return stored.value(item.key(), nlohmann::json()) == item.value(); });
}

std::unique_ptr<ProfileStore> open_store(const fs::path& directory, Profile& profile, dist::Communicator& comm, const core::Context& context) {
  if (directory.empty()) return nullptr;
  if (comm.is_main()) {
    fs::create_directories(directory);
    if (!can_resume(directory, profile)) {
      if (fs::exists(directory / "profile.json")) context.log.info(directory.string() + ": belongs to another model or data file; profiling anew");
      fs::remove(directory / "profile.json");
      ProfileStore::create(directory, profile);
      core::write_file_atomic(directory / "profile.json", identity_of(profile).dump(2) + "\n");
    }
  }
  comm.barrier();
  return std::make_unique<ProfileStore>(directory, profile);
}

void fill_row(Profile& profile, const model::SampleOutput& output) {
  const int64_t n = output.index;
  const at::Tensor feature_D = output.feature_D.to(at::kFloat);
  const at::Tensor reward_K = output.reward_K.to(at::kFloat);
  if (!reward_K.isfinite().all().item<bool>() || !feature_D.isfinite().all().item<bool>()) {
    throw core::Error("sample '" + output.example->id + "': the model's output is not finite", core::ExitStatus::numeric);
  }
  const at::Tensor label_K = at::tensor(at::ArrayRef<float>(output.example->label_K));
  profile.prediction_NK[n].copy_(reward_K);
  if (label_K.numel() > 0) profile.label_NK[n].copy_(label_K);
  profile.residual_NK[n].copy_(profile.prediction_NK[n] - profile.label_NK[n]);
  profile.feature_sq_norm_N[n].copy_(feature_D.to(at::kDouble).square().sum());
  profile.self_influence_NK[n].copy_(closed_form(profile.residual_NK[n].unsqueeze(0), profile.feature_sq_norm_N[n].unsqueeze(0))[0]);
  if (profile.feature_ND.defined()) profile.feature_ND[n].copy_(feature_D);
}

// Every rank ends with all rows: from the file where there is one, else by summing bit patterns that only one rank has set.
void share_rows(Profile& profile, const std::vector<int64_t>& mine, dist::Communicator& comm) {
  if (comm.size() == 1) return;
  at::Tensor owned_N = at::zeros({profile.done_N.size(0)}, at::kByte);
  for (const int64_t n : mine) owned_N[n] = 1;
  for (const auto& [name, tensor] : tensors_of(profile)) {
    if (!tensor->defined()) continue;
    const at::Tensor mask = owned_N.to(at::kBool).view(std::vector<int64_t>(1, -1));
    at::Tensor known = at::zeros({tensor->size(0)}, at::kBool).logical_or(mask);
    at::Tensor flat = tensor->view({tensor->size(0), -1}).to(at::kDouble);
    at::Tensor nan = flat.isnan().logical_and(known.unsqueeze(1)).to(at::kDouble);
    flat = at::where(known.unsqueeze(1), flat.nan_to_num(0.0), at::zeros_like(flat));
    comm.all_reduce_sum(flat);
    comm.all_reduce_sum(nan);
    flat.masked_fill_(nan > 0, std::numeric_limits<double>::quiet_NaN());
    tensor->copy_(flat.view(tensor->sizes()));
  }
}

}  // namespace

Profile compute_profile(const model::RewardModel& model, data::Dataset& dataset, const ProfileOptions& options, dist::Communicator& comm,
                        const core::Context& context, const fs::path& directory) {
  Profile profile{.dimensions = model.config.dimensions};
  for (const auto& sample : dataset.manifest().samples) {
    profile.ids.push_back(sample.id);
    profile.prompts.push_back(sample.prompt);
  }
  const int64_t rows = dataset.size();
  allocate(profile, rows, static_cast<int64_t>(profile.dimensions.size()), options.keep_features ? model.config.text.hidden_size : 0);
  profile.model_hash = options.model_dir.empty() ? "" : model::model_hash(options.model_dir);
  profile.data_hash = dataset.manifest().hash;
  const auto store = open_store(directory, profile, comm, context);

  std::vector<int64_t> mine, open;
  for (int64_t n = comm.rank(); n < rows; n += comm.size()) {
    mine.push_back(n);
    if (profile.done_N.const_data_ptr<uint8_t>()[n] == 0) open.push_back(n);
  }
  if (open.size() < mine.size()) context.log.info("profile: " + std::to_string(mine.size() - open.size()) + " samples are done already");
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
  share_rows(profile, mine, comm);
  return profile;
}

}  // namespace mvrm::influence
