// SPDX-License-Identifier: Apache-2.0
// A rendered data set on disk: clips first, then the files that name them, so a killed run is simply continued.
#include "label_noise.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <exception>
#include <mutex>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/core/progress.h>
#include <mvrm/core/random.h>
#include <mvrm/data/manifest.h>
#include <nlohmann/json.hpp>
#include <thread>

namespace mvrm::synth {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

constexpr double kFramesPerSecond = 8.0;

struct Listed { std::string id, prompt; std::vector<int64_t> level_K; };

std::string id_of(const char* split, int64_t index) {
  char number[32];
  std::snprintf(number, sizeof number, "-%06lld", static_cast<long long>(index));
  return split + std::string(number);
}

Json config_json(const SynthConfig& config, int64_t test_videos) {
  return {{"videos", config.videos}, {"test_videos", test_videos}, {"noise", config.noise}, {"noise_kind", refine::name_of(config.noise_kind)},
          {"seed", config.seed}, {"vary", config.vary}, {"colours", config.colours}, {"frames", config.frames}, {"height", config.height}, {"width", config.width}};
}

// Renders clips 0 .. count-1 of a split in parallel; a clip that is there already is only drawn, not encoded.
std::vector<Listed> render_split(const fs::path& directory, const SynthConfig& config, const char* split, int64_t count, const core::Context& context) {
  std::vector<Listed> listed(static_cast<size_t>(count));
  core::Progress progress(std::string("render ") + split, count, context.show_progress);
  std::atomic<int64_t> next{0};
  std::mutex mutex;
  std::exception_ptr first_error;
  const auto work = [&] {
    try {
      for (int64_t i = next++; i < count; i = next++) {
        const std::string id = id_of(split, i);
        const Clip clip = render_clip(config, core::combine64(core::mix64(config.seed), core::hash64(id)));
        const fs::path path = directory / "videos" / (id + ".mp4");
        if (!fs::exists(path)) write_mp4(path, clip.frames, kFramesPerSecond);
        listed[static_cast<size_t>(i)] = {id, clip.prompt, clip.level_K};
        progress.advance();
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!first_error) first_error = std::current_exception();
      next = count;
    }
  };
  std::vector<std::thread> workers;
  for (int64_t w = 1; w < context.threads; ++w) workers.emplace_back(work);
  work();
  for (auto& worker : workers) worker.join();
  if (first_error) std::rethrow_exception(first_error);
  return listed;
}

Json labels_json(const std::vector<int64_t>& label_K) {
  Json labels;
  const auto names = data::videofeedback_dimensions();
  for (size_t k = 0; k < names.size(); ++k) labels[names[k]] = label_K[k];
  return labels;
}

std::string rows_of(const std::vector<Listed>& clips, const std::vector<std::vector<int64_t>>& label_NK) {
  std::string rows;
  for (size_t n = 0; n < clips.size(); ++n) {
    rows += Json{{"id", clips[n].id}, {"video", "videos/" + clips[n].id + ".mp4"}, {"prompt", clips[n].prompt}, {"labels", labels_json(label_NK[n])}}.dump();
    rows += "\n";
  }
  return rows;
}

std::string truth_of(const std::vector<Listed>& clips, const std::vector<std::vector<int64_t>>& observed_NK) {
  std::string rows;
  const auto names = data::videofeedback_dimensions();
  for (size_t n = 0; n < clips.size(); ++n) {
    Json corrupted;
    for (size_t k = 0; k < names.size(); ++k) corrupted[names[k]] = clips[n].level_K[k] != observed_NK[n][k];
    rows += Json{{"id", clips[n].id}, {"labels", labels_json(clips[n].level_K)}, {"observed", labels_json(observed_NK[n])}, {"corrupted", corrupted}}.dump();
    rows += "\n";
  }
  return rows;
}

std::vector<std::vector<int64_t>> levels_of(const std::vector<Listed>& clips) {
  std::vector<std::vector<int64_t>> levels;
  for (const auto& clip : clips) levels.push_back(clip.level_K);
  return levels;
}

}  // namespace

void write_dataset(const fs::path& directory, const SynthConfig& config, const core::Context& context) {
  for (const auto& name : config.vary) {
    const auto known = data::videofeedback_dimensions();
    if (std::find(known.begin(), known.end(), name) == known.end()) throw core::ConfigError("vary: unknown dimension '" + name + "'");
  }
  const int64_t test_videos = config.test_videos >= 0 ? config.test_videos : config.videos / 4;
  const std::string settings = config_json(config, test_videos).dump(2) + "\n";
  if (!fs::exists(directory / "synth.json")) {
    for (const char* name : {"train.jsonl", "test.jsonl", "truth.jsonl"})
      if (fs::exists(directory / name)) throw core::io_error((directory / name).string() + ": is there already, of another origin; give an empty folder");
  }
  fs::create_directories(directory / "videos");
  if (const fs::path path = directory / "synth.json"; !fs::exists(path)) {
    if (!fs::is_empty(directory / "videos")) throw core::io_error(directory.string() + ": holds clips of another origin; give an empty folder");
    core::write_file_atomic(path, settings);
  } else if (core::read_file(path, 1 << 20) != settings) {
    throw core::io_error(directory.string() + ": holds a data set with other settings (synth.json); give an empty folder");
  }
  const auto train = render_split(directory, config, "train", config.videos, context);
  const auto test = render_split(directory, config, "test", test_videos, context);
  const auto observed_NK = observed_labels(levels_of(train), config);
  core::write_file_atomic(directory / "train.jsonl", rows_of(train, observed_NK));
  core::write_file_atomic(directory / "test.jsonl", rows_of(test, levels_of(test)));
  core::write_file_atomic(directory / "truth.jsonl", truth_of(train, observed_NK));
}

}  // namespace mvrm::synth
