// SPDX-License-Identifier: Apache-2.0
// Does `mvrm explain` find a defect whose place is known? Clean rendered clips, one frame of each (or one region of one frame) made noisy
// and blurred; the frame or region whose removal raises the visual quality most is compared with the planted one, against chance.
// usage: mvrm_localise_bench MODEL_DIR CLIPS SEED
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <mvrm/core/random.h>
#include <mvrm/influence/localise.h>
#include <mvrm/synth/synth.h>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

namespace {

using namespace mvrm;

constexpr int64_t kGrids[] = {2, 4};

struct Box { int64_t top, bottom, left, right; };

// Three passes of a 3 x 3 mean and triangular noise, inside the box only.
void spoil(video::Frame& frame, const Box& box, core::CounterRng& rng) {
  const auto at = [&](const std::vector<uint8_t>& rgb, int64_t y, int64_t x, int64_t c) { return static_cast<double>(rgb[static_cast<size_t>((y * frame.width + x) * 3 + c)]); };
  for (int pass = 0; pass < 3; ++pass) {
    const std::vector<uint8_t> before = frame.rgb_HWC;
    for (int64_t y = box.top; y < box.bottom; ++y)
      for (int64_t x = box.left; x < box.right; ++x)
        for (int64_t c = 0; c < 3; ++c) {
          double sum = 0, count = 0;
          for (int64_t dy = -1; dy <= 1; ++dy)
            for (int64_t dx = -1; dx <= 1; ++dx)
              if (y + dy >= 0 && y + dy < frame.height && x + dx >= 0 && x + dx < frame.width) {
                sum += at(before, y + dy, x + dx, c);
                ++count;
              }
          frame.rgb_HWC[static_cast<size_t>((y * frame.width + x) * 3 + c)] = static_cast<uint8_t>(sum / count);
        }
  }
  for (int64_t y = box.top; y < box.bottom; ++y)
    for (int64_t x = box.left; x < box.right; ++x) {
      const double noise = 60 * (rng.uniform() + rng.uniform() - 1);
      for (int64_t c = 0; c < 3; ++c) {
        uint8_t& level = frame.rgb_HWC[static_cast<size_t>((y * frame.width + x) * 3 + c)];
        level = static_cast<uint8_t>(std::clamp(static_cast<double>(level) + noise, 0.0, 255.0));
      }
    }
}

data::Example example_of(const synth::Clip& clip, const data::Processor& processor) {
  data::Example example{.id = clip.id, .input_ids = {}, .pixels = preprocess::transform(clip.frames, processor.image_config), .frame_indices = clip.frames.indices, .label_K = {}};
  const std::string prompt = text::fill(processor.prompt_template, clip.prompt);
  example.input_ids = processor.tokenizer.encode(text::expand_images(text::add_image_placeholders(prompt, static_cast<int64_t>(clip.frames.frames.size())), processor.text_config));
  return example;
}

struct Hits {
  int64_t clips = 0, frame = 0, replaced = 0, prefix = 0, with_step = 0, region[std::size(kGrids)] = {};
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: mvrm_localise_bench MODEL_DIR CLIPS SEED\n");
    return 2;
  }
  at::set_num_threads(1);
  const std::filesystem::path model_dir = argv[1];
  const int64_t wanted = std::atoll(argv[2]);
  core::CounterRng rng(static_cast<uint64_t>(std::atoll(argv[3])), "defects");
  const model::RewardModel model = model::load_reward_model(model_dir, at::kFloat);
  const data::Processor processor = data::load_processor(model_dir, {});
  core::Context context;
  context.threads = std::max(1U, std::thread::hardware_concurrency());
  Hits hits;
  while (hits.clips < wanted) {
    synth::Clip clip = synth::render_clip({}, rng.next());
    if (clip.level_K[0] != 4 || clip.level_K[1] != 4 || clip.level_K[4] != 4) continue;   // nothing else is wrong with it
    ++hits.clips;
    const auto frames = static_cast<int64_t>(clip.frames.frames.size()), height = clip.frames.frames[0].height, width = clip.frames.frames[0].width;
    const int64_t frame = rng.below(frames);
    synth::Clip whole = clip;
    spoil(whole.frames.frames[static_cast<size_t>(frame)], {0, height, 0, width}, rng);
    const auto by_frame = influence::localise(model, example_of(whole, processor), processor.image_config, {.grid = 1}, context);
    hits.frame += by_frame.without_frame_FK.select(1, 0).argmax().item<int64_t>() == frame ? 1 : 0;
    hits.replaced += by_frame.hidden_region_FGGK.select(3, 0).argmax().item<int64_t>() == frame ? 1 : 0;
    for (size_t g = 0; g < std::size(kGrids); ++g) {
      const int64_t grid = kGrids[g], row = rng.below(grid), column = rng.below(grid);
      synth::Clip part = clip;
      spoil(part.frames.frames[static_cast<size_t>(frame)], {height * row / grid, height * (row + 1) / grid, width * column / grid, width * (column + 1) / grid}, rng);
      const auto by_region = influence::localise(model, example_of(part, processor), processor.image_config, {.grid = grid, .frames = false}, context);
      hits.region[g] += by_region.hidden_region_FGGK.select(3, 0).argmax().item<int64_t>() == (frame * grid + row) * grid + column ? 1 : 0;
    }
    if (frame == 0) continue;   // nothing stands before the first frame, so it has no step
    ++hits.with_step;
    const at::Tensor quality_F = by_frame.prefix_reward_FK.select(1, 0);
    hits.prefix += (quality_F.slice(0, 1) - quality_F.slice(0, 0, frames - 1)).argmin().item<int64_t>() + 1 == frame ? 1 : 0;
  }
  const auto share = [](int64_t count, int64_t of) { return static_cast<double>(count) / static_cast<double>(std::max<int64_t>(1, of)); };
  nlohmann::ordered_json document{{"clips", hits.clips},
                                  {"frame", {{"left_out", share(hits.frame, hits.clips)}, {"replaced_by_median", share(hits.replaced, hits.clips)}, {"chance", 1.0 / 8}}},
                                  {"frame_by_prefix_step", {{"hit", share(hits.prefix, hits.with_step)}, {"chance", 1.0 / 7}}}};
  for (size_t g = 0; g < std::size(kGrids); ++g) {
    document["region_grid_" + std::to_string(kGrids[g])] = {{"hit", share(hits.region[g], hits.clips)}, {"chance", 1.0 / static_cast<double>(8 * kGrids[g] * kGrids[g])}};
  }
  std::printf("%s\n", document.dump().c_str());
  return 0;
}
