// SPDX-License-Identifier: Apache-2.0
// Which way of hiding finds a spoiled region? Clean rendered clips with one region (of one frame, or of all frames) blurred and made noisy;
// each way ranks all regions by how much the reward for visual quality rises when they are hidden. Top-1 hits and the mean rank of the planted
// region (0.5 = chance, 1 = always first), and how large the drop by the defect is against what hiding does to a clean clip.
// usage: mvrm_region_bench MODEL_DIR CLIPS SEED STRENGTH (of the noise; 60 = as mvrm_localise_bench)
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <mvrm/core/random.h>
#include <mvrm/influence/localise.h>
#include <mvrm/model/reward_model.h>
#include <mvrm/synth/synth.h>
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace mvrm;

// F frames, G x G regions, C = F G G cells.
struct Bench {
  model::RewardModel model;
  data::Processor processor;
  double strength = 60;
};

data::Example example_of(const synth::Clip& clip, const data::Processor& processor) {
  data::Example example{.id = clip.id, .input_ids = {}, .pixels = preprocess::transform(clip.frames, processor.image_config), .frame_indices = clip.frames.indices, .label_K = {}};
  const std::string prompt = text::fill(processor.prompt_template, clip.prompt);
  example.input_ids = processor.tokenizer.encode(text::expand_images(text::add_image_placeholders(prompt, static_cast<int64_t>(clip.frames.frames.size())), processor.text_config));
  return example;
}

at::Tensor blurred(const at::Tensor& levels_NCHW, int64_t size, int passes) {
  at::Tensor picture = levels_NCHW.to(at::kFloat);
  for (int i = 0; i < passes; ++i) {
    picture = at::avg_pool2d(at::replication_pad2d(picture, {size / 2, size / 2, size / 2, size / 2}), {size, size}, {1, 1});
  }
  return picture;
}

// Three passes of a 3 x 3 mean and triangular noise.
at::Tensor spoiled(const at::Tensor& levels_NCHW, double strength, core::CounterRng& rng) {
  at::Tensor picture = blurred(levels_NCHW, 3, 3);
  at::Tensor noise_NHW = at::empty({picture.size(0), 1, picture.size(2), picture.size(3)}, at::kFloat);
  for (int64_t i = 0; i < noise_NHW.numel(); ++i) noise_NHW.mutable_data_ptr<float>()[i] = static_cast<float>(strength * (rng.uniform() + rng.uniform() - 1));
  return (picture + noise_NHW).clamp(0, 255).to(at::kByte);
}

// Rewards for visual quality of clips whose frames are the given ones, [V].
at::Tensor rewards(const Bench& bench, const data::Example& example, const std::vector<std::function<at::Tensor()>>& variants) {
  at::Tensor reward_V = at::empty({static_cast<int64_t>(variants.size())}, at::kFloat);
  std::atomic<size_t> next{0};
  const auto work = [&] {
    constexpr size_t kBatch = 8;
    for (size_t begin = next.fetch_add(kBatch); begin < variants.size(); begin = next.fetch_add(kBatch)) {
      std::vector<std::shared_ptr<const data::Example>> examples;
      for (size_t v = begin; v < std::min(begin + kBatch, variants.size()); ++v) {
        auto one = std::make_shared<data::Example>(example);
        one->pixels.levels_NCHW = variants[v]();
        examples.push_back(one);
      }
      const auto batch = data::collate(examples, bench.processor.image_config, bench.model.config.pad_token_id.value_or(0));
      reward_V.narrow(0, static_cast<int64_t>(begin), static_cast<int64_t>(examples.size())).copy_(model::forward(bench.model, batch).reward_BK.select(1, 0));
    }
  };
  std::thread other(work);
  work();
  other.join();
  return reward_V;
}

at::Tensor part(const at::Tensor& pictures, int64_t grid, int64_t row, int64_t column) {
  const int64_t height = pictures.size(-2), width = pictures.size(-1);
  return pictures.slice(-2, height * row / grid, height * (row + 1) / grid).slice(-1, width * column / grid, width * (column + 1) / grid);
}

// Whole frames of what stands in for a hidden region, by way of filling.
std::map<std::string, at::Tensor> fills(const at::Tensor& levels_NCHW) {
  const at::Tensor pictures = levels_NCHW.to(at::kFloat);
  const int64_t frames = pictures.size(0);
  at::Tensor neighbour = pictures.clone();
  for (int64_t f = 0; f < frames; ++f) neighbour[f] = 0.5 * (pictures[f > 0 ? f - 1 : 1] + pictures[f + 1 < frames ? f + 1 : frames - 2]);
  std::map<std::string, at::Tensor> all{{"median over frames", std::get<0>(pictures.median(0)).unsqueeze(0).expand_as(pictures)},
                                        {"mean colour of the frame", pictures.mean(at::IntArrayRef{2, 3}, true).expand_as(pictures)},
                                        {"mean of the neighbour frames", neighbour},
                                        {"blurred", blurred(levels_NCHW, 9, 2)},
                                        {"grey", at::full_like(pictures, 128)}};
  for (auto& [name, fill] : all) fill = fill.round().clamp(0, 255).to(at::kByte).contiguous();
  return all;
}

// The region alone, as large as the picture.
at::Tensor alone(const at::Tensor& pictures_NCHW, int64_t grid, int64_t row, int64_t column) {
  const at::Tensor region = part(pictures_NCHW, grid, row, column).to(at::kFloat).contiguous();
  return at::upsample_bilinear2d(region, {pictures_NCHW.size(2), pictures_NCHW.size(3)}, false).round().clamp(0, 255).to(at::kByte);
}

struct Tally {
  int64_t clips = 0, hits = 0;
  double rank = 0;
};
void count(Tally& tally, const at::Tensor& effect, int64_t planted) {
  const at::Tensor flat = effect.flatten();
  ++tally.clips;
  tally.hits += flat.argmax().item<int64_t>() == planted ? 1 : 0;
  tally.rank += flat.lt(flat[planted]).sum().item<double>() / static_cast<double>(flat.numel() - 1);
}

// One region of one frame.
void one_frame(const Bench& bench, const data::Example& clean, int64_t grid, core::CounterRng& rng, std::map<std::string, Tally>& tallies, std::vector<double>& drops, std::vector<double>& spreads) {
  const at::Tensor& levels = clean.pixels.levels_NCHW;
  const int64_t frames = levels.size(0), f = rng.below(frames), row = rng.below(grid), column = rng.below(grid), planted = (f * grid + row) * grid + column, cells = frames * grid * grid;
  data::Example example = clean;
  example.pixels.levels_NCHW = levels.clone();
  part(example.pixels.levels_NCHW[f], grid, row, column).copy_(part(spoiled(levels, bench.strength, rng)[f], grid, row, column));
  const at::Tensor base = example.pixels.levels_NCHW;
  const double before = rewards(bench, clean, {[&] { return levels; }})[0].item<double>(), after = rewards(bench, clean, {[&] { return base; }})[0].item<double>();
  drops.push_back(before - after);
  for (const auto& [name, fill] : fills(base)) {
    std::vector<std::function<at::Tensor()>> variants;
    for (int64_t c = 0; c < cells; ++c) {
      variants.emplace_back([&, c, fill = fill] {
        at::Tensor changed = base.clone();
        part(changed[c / (grid * grid)], grid, c / grid % grid, c % grid).copy_(part(fill[c / (grid * grid)], grid, c / grid % grid, c % grid));
        return changed;
      });
    }
    const at::Tensor effect_FGG = rewards(bench, clean, variants).view({frames, grid, grid}) - after;
    spreads.push_back(effect_FGG.std().item<double>());
    count(tallies[name], effect_FGG, planted);
    count(tallies[name + ", against the other frames"], effect_FGG - effect_FGG.mean(0, true), planted);
    count(tallies[name + ", within the right frame"], effect_FGG[f], row * grid + column);
  }
  // Regions alone: as a clip of one frame, and as a clip in which the frame stands still.
  const auto single = influence::up_to_frame(clean, bench.model.config, 0);
  std::vector<std::function<at::Tensor()>> stills, repeated;
  for (int64_t c = 0; c < cells; ++c) {
    stills.emplace_back([&, c] { return alone(base.narrow(0, c / (grid * grid), 1), grid, c / grid % grid, c % grid); });
    repeated.emplace_back([&, c] { return alone(base.narrow(0, c / (grid * grid), 1), grid, c / grid % grid, c % grid).repeat({frames, 1, 1, 1}); });
  }
  for (const auto& [name, effect_C] : {std::pair{std::string("region alone, one-frame clip"), single ? -rewards(bench, *single, stills) : at::Tensor()},
                                       std::pair{std::string("region alone, frame repeated"), -rewards(bench, clean, repeated)}}) {
    if (!effect_C.defined()) continue;
    const at::Tensor effect_FGG = effect_C.view({frames, grid, grid});
    count(tallies[name], effect_FGG, planted);
    count(tallies[name + ", against the other frames"], effect_FGG - effect_FGG.mean(0, true), planted);
    count(tallies[name + ", within the right frame"], effect_FGG[f], row * grid + column);
  }
  // Random masks: every cell hidden in a tenth of the clips; the effect of a cell is the difference of the means.
  constexpr int64_t kMasks = 300;
  const at::Tensor fill = fills(base).at("mean of the neighbour frames");
  at::Tensor mask_MC = at::zeros({kMasks, cells}, at::kFloat);
  for (int64_t i = 0; i < mask_MC.numel(); ++i) mask_MC.mutable_data_ptr<float>()[i] = rng.uniform() < 0.1 ? 1.0F : 0.0F;
  std::vector<std::function<at::Tensor()>> variants;
  for (int64_t m = 0; m < kMasks; ++m) {
    variants.emplace_back([&, m] {
      at::Tensor changed = base.clone();
      for (int64_t c = 0; c < cells; ++c) {
        if (mask_MC[m][c].item<float>() > 0) part(changed[c / (grid * grid)], grid, c / grid % grid, c % grid).copy_(part(fill[c / (grid * grid)], grid, c / grid % grid, c % grid));
      }
      return changed;
    });
  }
  const at::Tensor reward_M = rewards(bench, clean, variants);
  const at::Tensor shown_MC = 1 - mask_MC;
  const at::Tensor effect_C = reward_M.matmul(mask_MC) / mask_MC.sum(0).clamp_min(1) - reward_M.matmul(shown_MC) / shown_MC.sum(0).clamp_min(1);
  count(tallies["300 random masks, neighbour frames"], effect_C, planted);
}

// The same region of all frames.
void all_frames(const Bench& bench, const data::Example& clean, int64_t grid, core::CounterRng& rng, std::map<std::string, Tally>& tallies, std::vector<double>& drops, std::vector<double>& spreads) {
  const at::Tensor& levels = clean.pixels.levels_NCHW;
  const int64_t row = rng.below(grid), column = rng.below(grid);
  at::Tensor base = levels.clone();
  part(base, grid, row, column).copy_(part(spoiled(levels, bench.strength, rng), grid, row, column));
  const double before = rewards(bench, clean, {[&] { return levels; }})[0].item<double>(), after = rewards(bench, clean, {[&] { return base; }})[0].item<double>();
  drops.push_back(before - after);
  for (const auto& [name, fill] : fills(base)) {
    std::vector<std::function<at::Tensor()>> variants;
    for (int64_t c = 0; c < grid * grid; ++c) {
      variants.emplace_back([&, c, fill = fill] {
        at::Tensor changed = base.clone();
        part(changed, grid, c / grid, c % grid).copy_(part(fill, grid, c / grid, c % grid));
        return changed;
      });
    }
    const at::Tensor effect_GG = rewards(bench, clean, variants).view({grid, grid}) - after;
    spreads.push_back(effect_GG.std().item<double>());
    count(tallies[name], effect_GG, row * grid + column);
  }
  std::vector<std::function<at::Tensor()>> regions;
  for (int64_t c = 0; c < grid * grid; ++c) regions.emplace_back([&, c] { return alone(base, grid, c / grid, c % grid); });
  const at::Tensor effect_GG = -rewards(bench, clean, regions).view({grid, grid});
  count(tallies["region alone"], effect_GG, row * grid + column);
  // The same regions of the clip before it was spoiled are what content does by itself; a person has no such clip, so this is a bound.
  std::vector<std::function<at::Tensor()>> clean_regions;
  for (int64_t c = 0; c < grid * grid; ++c) clean_regions.emplace_back([&, c] { return alone(levels, grid, c / grid, c % grid); });
  count(tallies["region alone, against the same region unspoiled (bound)"], effect_GG + rewards(bench, clean, clean_regions).view({grid, grid}), row * grid + column);
}

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(std::max<size_t>(1, values.size()));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: mvrm_region_bench MODEL_DIR CLIPS SEED STRENGTH\n");
    return 2;
  }
  at::set_num_threads(1);
  const Bench bench{.model = model::load_reward_model(argv[1], at::kFloat), .processor = data::load_processor(argv[1], {}), .strength = std::atof(argv[4])};
  core::CounterRng rng(static_cast<uint64_t>(std::atoll(argv[3])), "regions");
  std::map<std::string, std::map<std::string, Tally>> tallies;
  std::map<std::string, std::vector<double>> drops, spreads;
  for (int64_t clips = 0; clips < std::atoll(argv[2]);) {
    const synth::Clip clip = synth::render_clip({}, rng.next());
    if (clip.level_K[0] != 4 || clip.level_K[1] != 4 || clip.level_K[4] != 4) continue;   // nothing else is wrong with it
    ++clips;
    const data::Example clean = example_of(clip, bench.processor);
    for (const int64_t grid : {1, 2, 4}) {   // 1: a whole frame
      const std::string size = "grid " + std::to_string(grid);
      one_frame(bench, clean, grid, rng, tallies[size + ", one frame"], drops[size + ", one frame"], spreads[size + ", one frame"]);
      if (grid > 1) all_frames(bench, clean, grid, rng, tallies[size + ", all frames"], drops[size + ", all frames"], spreads[size + ", all frames"]);
    }
  }
  for (const auto& [defect, methods] : tallies) {
    nlohmann::ordered_json document{{"defect", defect}, {"mean_drop", mean(drops[defect])}, {"mean_spread_of_hiding", mean(spreads[defect])}, {"methods", nlohmann::ordered_json::object()}};
    for (const auto& [name, tally] : methods) {
      document["methods"][name] = {{"top1", static_cast<double>(tally.hits) / static_cast<double>(tally.clips)}, {"rank", tally.rank / static_cast<double>(tally.clips)}};
    }
    std::printf("%s\n", document.dump(1).c_str());
  }
  return 0;
}
