// SPDX-License-Identifier: Apache-2.0
// The profile directory: profile.safetensors, samples.jsonl, profile.json, self_influence.csv.
#include <ATen/ATen.h>
#include <mvrm/core/csv.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/core/safetensors.h>
#include <mvrm/influence/profile.h>
#include <cmath>
#include <cstdio>
#include <future>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "profile_store.h"

namespace mvrm::influence {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

std::string samples_of(const Profile& profile) {
  std::string text;
  for (size_t n = 0; n < profile.ids.size(); ++n) {
    text += Json{{"id", profile.ids[n]}, {"prompt", n < profile.prompts.size() ? profile.prompts[n] : ""}}.dump() + "\n";
  }
  return text;
}

std::string csv_of(const Profile& profile) {
  std::string text = "id";
  for (const auto& dimension : profile.dimensions) text += "," + core::csv_cell(dimension);
  text += "\n";
  const at::Tensor risk_NK = profile.self_influence_NK.to(at::kFloat).contiguous();
  for (size_t n = 0; n < profile.ids.size(); ++n) {
    text += core::csv_cell(profile.ids[n]);
    for (size_t k = 0; k < profile.dimensions.size(); ++k) {
      const float value = risk_NK.const_data_ptr<float>()[n * profile.dimensions.size() + k];
      char buffer[32];
      std::snprintf(buffer, sizeof buffer, ",%.9g", static_cast<double>(value));
      text += std::isnan(value) ? "," : buffer;
    }
    text += "\n";
  }
  return text;
}

Json summary_of(const Profile& profile) {
  Json document{{"model_hash", profile.model_hash},
                {"data_hash", profile.data_hash},
                {"reading", profile.reading},
                {"dimensions", profile.dimensions},
                {"samples", profile.ids.size()},
                {"estimator", profile.estimator},
                {"space", profile.space},
                {"running_loss", profile.running_loss_NK.defined()},
                {"prefix_frames", profile.prefix_prediction_NFK.defined() ? profile.prefix_prediction_NFK.size(1) : 0},
                {"features", feature_dtype_name(profile)},
                {"feature_width", profile.feature_ND.defined() ? profile.feature_ND.size(1) : 0},
                {"done", profile.done_N.sum().item<int64_t>()},
                {"statistics", Json::object()}};
  const auto all = statistics(profile);
  for (size_t k = 0; k < all.size(); ++k) {
    Json quantiles = Json::array();
    for (const double q : all[k].quantiles) quantiles.push_back(std::isfinite(q) ? Json(q) : Json());
    document["statistics"][profile.dimensions[k]] = {
        {"count", all[k].count}, {"mean", all[k].mean}, {"std", all[k].standard_deviation}, {"quantiles", quantiles}};
  }
  return document;
}

fs::path need(const fs::path& directory, const char* name) {
  if (!fs::is_regular_file(directory / name)) {
    throw core::DataError((directory / name).string() + ": not found; a profile directory is written by 'mvrm profile'");
  }
  return directory / name;
}

// Everything but the rows. `done` is there once write_profile() has run, so a profile that was cut short is told apart.
Profile read_summary(const fs::path& path, ProfileShape& shape) try {
  const auto document = Json::parse(core::read_file(path));
  if (!document.at("done").is_number()) throw core::DataError(path.string() + ": 'done' is not a number");
  Profile profile{.dimensions = document.at("dimensions").get<std::vector<std::string>>(),
                  .model_hash = document.value("model_hash", ""),
                  .data_hash = document.value("data_hash", ""),
                  .reading = document.value("reading", ""),
                  .estimator = document.value("estimator", "closed_form"),
                  .space = document.value("space", "")};
  shape = {.dimensions = static_cast<int64_t>(profile.dimensions.size()), .frames = document.value("prefix_frames", int64_t{0}),
           .kernel = !profile.space.empty(), .running_loss = document.value("running_loss", false), .feature_width = document.value("feature_width", int64_t{0})};
  if (shape.feature_width > 0) shape.feature_dtype = feature_dtype_from_name(document.at("features").get<std::string>());
  return profile;
} catch (const nlohmann::json::exception&) {
  throw core::DataError(path.string() + ": is not the summary of a finished profile; run 'mvrm profile' into this folder again");
}

void read_samples(const fs::path& path, Profile& profile) {
  std::istringstream lines(core::read_file(path));
  int64_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    const auto row = Json::parse(line, nullptr, false);
    if (!row.is_object() || !row.contains("id") || !row["id"].is_string() || (row.contains("prompt") && !row["prompt"].is_string())) {
      throw core::DataError(path.string() + ":" + std::to_string(number) + ": a row needs a text 'id' and a text 'prompt'");
    }
    profile.ids.push_back(row["id"].get<std::string>());
    profile.prompts.push_back(row.value("prompt", ""));
  }
}

}  // namespace

void write_profile(const fs::path& directory, const Profile& profile) {
  fs::create_directories(directory);
  // The disk confirms three files side by side in about the time of one; the summary comes last, for it says that they are there.
  const auto write = [&directory](const char* name, std::string (*text_of)(const Profile&), const Profile& of) {
    return std::async(std::launch::async, [path = directory / name, text_of, &of] { core::write_file_atomic(path, text_of(of)); });
  };
  auto samples = write("samples.jsonl", samples_of, profile), table = write("self_influence.csv", csv_of, profile);
  ProfileStore::create(directory, profile);
  samples.get();
  table.get();
  core::write_file_atomic(directory / "profile.json", summary_of(profile).dump(2) + "\n");
}

Profile read_profile(const fs::path& directory) {
  ProfileShape shape;
  Profile profile = read_summary(need(directory, "profile.json"), shape);
  read_samples(need(directory, "samples.jsonl"), profile);
  need(directory, "profile.safetensors");
  shape.rows = static_cast<int64_t>(profile.ids.size());
  shape.stored_features = true;
  allocate(profile, shape);
  read_rows(directory, profile, /*map_features=*/true);
  return profile;
}

void check_data(const Profile& profile, const std::string& data_hash, const fs::path& data_file) {
  if (profile.data_hash == data_hash) return;
  throw core::DataError(data_file.string() + ": is not the file that the profile was made from (SHA-256 " + data_hash.substr(0, 12) + "…, the profile's " +
                        profile.data_hash.substr(0, 12) + "…); profile it again, or give the file as it was");
}

}  // namespace mvrm::influence
