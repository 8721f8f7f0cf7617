// SPDX-License-Identifier: Apache-2.0
// The story of `mvrm explain`: model and data in, frames and regions out. F frames, G x G regions, K dimensions.
#include <mvrm/run/explain_run.h>

#include <ATen/ATen.h>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <mvrm/core/csv.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/core/progress.h>
#include <mvrm/influence/profile.h>
#include <mvrm/refine/strategy.h>
#include <mvrm/run/train_run.h>

namespace mvrm::run {

namespace {

// Rows of the data set, in its order.
std::vector<int64_t> chosen_rows(const ExplainRunOptions& options, const data::Manifest& manifest) {
  std::vector<std::string> ids = options.ids;
  if (!options.profile_dir.empty()) {
    const influence::Profile profile = influence::read_profile(options.profile_dir);
    influence::check_data(profile, manifest.hash, options.data_file);
    if (profile.model_hash != model::model_hash(options.model_dir)) {
      throw core::DataError(options.profile_dir.string() + ": was made by another model than " + options.model_dir.string() +
                            "; profile the data with this one, or name samples with --id");
    }
    const std::vector<double> alpha_K(profile.dimensions.size(), options.top_percent);
    const at::Tensor chosen_N = refine::top_cells(profile.self_influence_NK, alpha_K, profile.ids).ne(0).any(1);
    for (size_t n = 0; n < profile.ids.size(); ++n) {
      if (chosen_N[static_cast<int64_t>(n)].item<bool>()) ids.push_back(profile.ids[n]);
    }
  }
  std::vector<int64_t> rows;
  for (const auto& id : ids) {
    const auto found = std::find_if(manifest.samples.begin(), manifest.samples.end(), [&](const auto& sample) { return sample.id == id; });
    if (found == manifest.samples.end()) throw core::ConfigError("sample '" + id + "' is not in " + manifest.path.string());
    rows.push_back(found - manifest.samples.begin());
  }
  std::sort(rows.begin(), rows.end());
  rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
  return rows;
}

at::Tensor labels_of(const ExplainedSample& sample, int64_t dimensions) {
  if (sample.label_K.empty()) return at::full({dimensions}, std::nanf(""), at::kFloat);
  return at::tensor(at::ArrayRef<float>(sample.label_K), at::kFloat);
}

std::vector<int64_t> frames_of_blame(const ExplainedSample& sample) {
  const auto& parts = sample.localisation;
  const at::Tensor carried_FK = influence::carried_risk(parts.reward_K, labels_of(sample, parts.reward_K.size(0)), parts.without_frame_FK);
  std::vector<int64_t> blame;
  for (int64_t k = 0; k < carried_FK.size(1); ++k) {
    int64_t best = -1;
    for (int64_t f = 0; f < carried_FK.size(0); ++f) {
      const double value = carried_FK[f][k].item<double>();
      if (value > 0 && (best < 0 || value > carried_FK[best][k].item<double>())) best = f;
    }
    blame.push_back(best);
  }
  return blame;
}

std::string text_of(const char* format, double value) {
  if (std::isnan(value)) return "";
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, format, value);
  return buffer;
}

std::string frames_csv(const ExplainResult& result) {
  std::string text = "id,frame,frame_index,dimension,label,reward,reward_up_to_frame,reward_step,prefix_self_influence,reward_without_frame,carried_risk\n";
  for (const auto& sample : result.samples) {
    const auto& parts = sample.localisation;
    const at::Tensor label_K = labels_of(sample, parts.reward_K.size(0)), carried_FK = influence::carried_risk(parts.reward_K, label_K, parts.without_frame_FK);
    const at::Tensor step_FK = influence::prefix_steps(parts), influence_FK = influence::prefix_self_influence(parts, label_K);
    for (int64_t f = 0; f < parts.prefix_reward_FK.size(0); ++f) {
      for (int64_t k = 0; k < parts.reward_K.size(0); ++k) {
        text += core::csv_cell(sample.id) + "," + std::to_string(f) + "," + std::to_string(sample.frame_indices[static_cast<size_t>(f)]) + "," +
                core::csv_cell(result.dimensions[static_cast<size_t>(k)]);
        for (const at::Tensor& value : {label_K[k], parts.reward_K[k], parts.prefix_reward_FK[f][k], step_FK[f][k], influence_FK[f][k], parts.without_frame_FK[f][k], carried_FK[f][k]}) {
          text += "," + text_of("%.9g", value.item<double>());
        }
        text += "\n";
      }
    }
  }
  return text;
}

// A row a region and dimension. `judged_VK` is the last column, what follows from the region's reward.
void add_regions(std::string& text, const ExplainedSample& sample, const std::vector<std::string>& dimensions, const at::Tensor& region_FGGK, const at::Tensor& judged_VK) {
  const int64_t grid = region_FGGK.size(1);
  const at::Tensor reward_VK = region_FGGK.reshape({-1, region_FGGK.size(3)});
  for (int64_t v = 0; v < reward_VK.size(0); ++v) {
    for (int64_t k = 0; k < reward_VK.size(1); ++k) {
      text += core::csv_cell(sample.id) + "," + std::to_string(v / (grid * grid)) + "," + std::to_string(v / grid % grid) + "," + std::to_string(v % grid) + "," +
              core::csv_cell(dimensions[static_cast<size_t>(k)]) + "," + text_of("%.9g", sample.localisation.reward_K[k].item<double>()) + "," +
              text_of("%.9g", reward_VK[v][k].item<double>()) + "," + text_of("%.9g", judged_VK[v][k].item<double>()) + "\n";
    }
  }
}

std::string regions_csv(const ExplainResult& result, influence::Regions regions) {
  const bool alone = regions == influence::Regions::alone;
  std::string text = std::string("id,frame,row,column,dimension,reward,") + (alone ? "reward_of_region_alone,below_mean\n" : "reward_with_region_hidden,carried_risk\n");
  for (const auto& sample : result.samples) {
    const auto& parts = sample.localisation;
    const at::Tensor& region_FGGK = alone ? parts.lone_region_FGGK : parts.hidden_region_FGGK;
    if (!region_FGGK.defined()) continue;
    const int64_t dimensions = parts.reward_K.size(0);
    const at::Tensor reward_VK = region_FGGK.reshape({-1, dimensions});
    add_regions(text, sample, result.dimensions, region_FGGK,
                alone ? reward_VK.mean(0, true) - reward_VK : influence::carried_risk(parts.reward_K, labels_of(sample, dimensions), reward_VK));
  }
  return text;
}

// "0-clip_7": the place in the list keeps names apart, the id is for people.
std::string file_stem(size_t place, const std::string& id) {
  std::string stem = std::to_string(place) + "-";
  for (const char c : id.substr(0, 60)) stem += std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' ? c : '_';
  return stem;
}

void write_files(const std::filesystem::path& directory, const ExplainResult& result, influence::Regions regions) {
  core::write_file_atomic(directory / "frames.csv", frames_csv(result));
  core::write_file_atomic(directory / "regions.csv", regions_csv(result, regions));
  for (size_t s = 0; s < result.samples.size(); ++s) {
    const std::string stem = file_stem(s, result.samples[s].id);
    core::write_file_atomic(directory / (stem + ".svg"), curve_svg(result.samples[s], result.dimensions));
    const std::string overlay = overlay_png(result.samples[s]);
    if (!overlay.empty()) core::write_file_atomic(directory / (stem + ".png"), overlay);
  }
}

}  // namespace

ExplainResult explain_run(const ExplainRunOptions& options, const core::Context& context) {
  std::filesystem::create_directories(options.out_dir);   // first: what can't be written isn't computed
  const auto dtype = options.dtype == "bf16" ? at::kBFloat16 : at::kFloat;
  const model::RewardModel model = model::load_reward_model(options.model_dir, dtype);
  const auto dataset = open_dataset(options.data, options.data_file, options.model_dir, context);
  ExplainResult result{.dimensions = model.config.dimensions, .samples = {}};
  const auto rows = chosen_rows(options, dataset->manifest());
  core::Progress progress("explain", static_cast<int64_t>(rows.size()), context.show_progress);
  for (const int64_t row : rows) {
    const auto example = dataset->get(row);
    progress.advance();
    if (!example) continue;
    ExplainedSample sample{.id = example->id, .frame_indices = example->frame_indices, .label_K = example->label_K,
                           .levels_NCHW = example->pixels.levels_NCHW, .localisation = {}, .frame_of_step_K = {}, .frame_of_blame_K = {}};
    sample.localisation = influence::localise(model, *example, dataset->processor().image_config, options.localise, context);
    sample.frame_of_step_K = influence::frames_of_step(sample.localisation, labels_of(sample, static_cast<int64_t>(result.dimensions.size())));
    sample.frame_of_blame_K = frames_of_blame(sample);
    result.samples.push_back(std::move(sample));
  }
  write_files(options.out_dir, result, options.localise.regions);
  return result;
}

}  // namespace mvrm::run
