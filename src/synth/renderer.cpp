// SPDX-License-Identifier: Apache-2.0
// One cause per dimension, each drawn from its own random stream, none hiding another:
//   visual quality          blur, loss of contrast and sensor noise over the whole picture
//   temporal consistency    brightness of the background jumps from frame to frame
//   dynamic degree          how far the moving object gets from the left edge by the last frame
//   text-to-video alignment how many of the three squares at the top have the colour that the prompt names
//   factual consistency     in how many inner frames the moving object is missing
#include "canvas.h"

#include <algorithm>
#include <cmath>
#include <mvrm/core/error.h>
#include <mvrm/core/random.h>
#include <mvrm/synth/synth.h>

namespace mvrm::synth {

namespace {

struct Named { const char* name; Colour colour; };
constexpr Named kColours[] = {{"red", {214, 40, 40}}, {"green", {30, 150, 60}}, {"blue", {45, 80, 220}}};
constexpr const char* kShapes[] = {"ball", "box", "triangle"};
constexpr const char* kPhrases[] = {"three {c} squares above a moving {s}", "a moving {s} below three {c} squares", "{c} squares and a {s} that moves"};

// Index 0 = level 1 (bad) … 3 = level 4 (like a real video).
constexpr int64_t kBlurPasses[] = {5, 2, 1, 0};
constexpr double kContrast[] = {0.50, 0.68, 0.84, 1.0};
constexpr double kSensorNoise[] = {26, 15, 7, 0};
constexpr double kFlicker[] = {66, 40, 18, 0};
constexpr double kTravel[] = {0.0, 0.33, 0.66, 1.0};
constexpr double kMissingShare[] = {5.0 / 6, 3.0 / 6, 1.0 / 6, 0.0};   // of the inner frames

struct Scene {
  int64_t quality, consistency, motion, alignment, facts;   // level - 1
  size_t named_colour = 0, shape = 0, phrase = 0;
  std::vector<size_t> square_colour;
  std::vector<bool> missing;
  std::vector<double> flicker;
  double row = 0, travel = 0, jitter = 0;
};

// `count` of the n positions, chosen at random.
std::vector<bool> choose(core::CounterRng& rng, int64_t n, int64_t count) {
  std::vector<bool> chosen(static_cast<size_t>(n), false);
  for (int64_t left = n, i = 0; i < n; ++i, --left) {
    if (rng.below(left) >= count) continue;
    chosen[static_cast<size_t>(i)] = true;
    --count;
  }
  return chosen;
}

Scene draw_scene(const SynthConfig& config, uint64_t seed) {
  const auto level = [&](const char* name) {
    const bool varies = config.vary.empty() || std::find(config.vary.begin(), config.vary.end(), name) != config.vary.end();
    return varies ? core::CounterRng(seed, name).below(4) : 3;
  };
  Scene scene{.quality = level("visual quality"), .consistency = level("temporal consistency"), .motion = level("dynamic degree"),
              .alignment = level("text-to-video alignment"), .facts = level("factual consistency")};
  core::CounterRng layout(seed, "layout"), squares(seed, "squares"), flicker(seed, "flicker"), missing(seed, "missing");
  const int64_t step = config.colours == 2 ? 2 : 1;   // of two colours: red and blue
  scene.named_colour = static_cast<size_t>(step * layout.below(config.colours));
  scene.shape = static_cast<size_t>(layout.below(3));
  scene.phrase = static_cast<size_t>(layout.below(3));
  scene.row = layout.uniform(0.62, 0.78);
  scene.travel = std::clamp(kTravel[scene.motion] + layout.uniform(-0.06, 0.06), 0.0, 1.0);
  scene.jitter = layout.uniform(0.0, 0.03);
  const auto matching = choose(squares, 3, scene.alignment);
  for (const bool match : matching) {
    const auto other = (scene.named_colour + static_cast<size_t>(step * (1 + squares.below(config.colours - 1)))) % static_cast<size_t>(step * config.colours);
    scene.square_colour.push_back(match ? scene.named_colour : other);
  }
  const int64_t inner = config.frames - 2;
  const auto gaps = choose(missing, inner, std::llround(kMissingShare[scene.facts] * static_cast<double>(inner)));
  scene.missing.assign(static_cast<size_t>(config.frames), false);
  for (int64_t t = 0; t < inner; ++t) scene.missing[static_cast<size_t>(t + 1)] = gaps[static_cast<size_t>(t)];
  for (int64_t t = 0; t < config.frames; ++t) {
    const double sign = flicker.uniform() < 0.5 ? -1.0 : 1.0;
    scene.flicker.push_back(sign * kFlicker[scene.consistency] * flicker.uniform(0.85, 1.15));
  }
  return scene;
}

void add_sensor_noise(Canvas& canvas, double amplitude, core::CounterRng& rng) {
  if (amplitude == 0) return;
  for (int64_t y = 0; y < canvas.height(); ++y) {
    for (int64_t x = 0; x < canvas.width(); ++x) {
      const double value = amplitude * (rng.uniform() + rng.uniform() - 1.0) * 1.5;   // triangular, no libm
      for (int64_t c = 0; c < 3; ++c) canvas.at(y, x, c) += value;
    }
  }
}

video::Frame render_frame(const SynthConfig& config, const Scene& scene, int64_t t, core::CounterRng& noise) {
  const auto height = static_cast<double>(config.height), width = static_cast<double>(config.width);
  const double tone = 110.0 + scene.flicker[static_cast<size_t>(t)];
  Canvas canvas(config.height, config.width, {tone, tone, tone});
  for (size_t s = 0; s < scene.square_colour.size(); ++s) {
    canvas.draw(Shape::box, 0.18 * height, (0.2 + 0.3 * static_cast<double>(s)) * width, 0.12 * height, kColours[scene.square_colour[s]].colour);
  }
  if (!scene.missing[static_cast<size_t>(t)]) {
    const double half = 0.13 * height, progress = config.frames > 1 ? static_cast<double>(t) / static_cast<double>(config.frames - 1) : 1.0;
    const double x = half + 1 + scene.travel * progress * (width - 2 * half - 2);
    canvas.draw(static_cast<Shape>(scene.shape), (scene.row + (t % 2 == 0 ? scene.jitter : -scene.jitter)) * height, x, half, {250, 245, 225});
  }
  canvas.blur(kBlurPasses[scene.quality]);
  canvas.scale_contrast(kContrast[scene.quality]);
  add_sensor_noise(canvas, kSensorNoise[scene.quality], noise);
  return canvas.to_frame();
}

std::string caption_of(const Scene& scene) {
  std::string text = kPhrases[scene.phrase];
  text.replace(text.find("{c}"), 3, kColours[scene.named_colour].name);
  return text.replace(text.find("{s}"), 3, kShapes[scene.shape]);
}

}  // namespace

Clip render_clip(const SynthConfig& config, uint64_t clip_seed) {
  MVRM_CHECK(config.frames >= 3 && config.height >= 28 && config.width >= 28, "a clip of ", config.frames, " frames of ", config.height, "x", config.width);
  MVRM_CHECK(config.colours >= 2 && config.colours <= static_cast<int64_t>(std::size(kColours)), config.colours, " colours");
  const Scene scene = draw_scene(config, clip_seed);
  Clip clip{.id = {}, .prompt = caption_of(scene),
            .level_K = {scene.quality + 1, scene.consistency + 1, scene.motion + 1, scene.alignment + 1, scene.facts + 1}, .frames = {}};
  core::CounterRng noise(clip_seed, "sensor noise");
  for (int64_t t = 0; t < config.frames; ++t) {
    clip.frames.frames.push_back(render_frame(config, scene, t, noise));
    clip.frames.indices.push_back(t);
    clip.frames.start_seconds.push_back(static_cast<double>(t) / 8.0);
  }
  clip.frames.total = config.frames;
  return clip;
}

}  // namespace mvrm::synth
