// SPDX-License-Identifier: Apache-2.0
#include <mvrm/core/progress.h>
#include <mvrm/data/check.h>
#include <mvrm/video/video_reader.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "row_error.h"

namespace mvrm::data {

namespace fs = std::filesystem;

namespace {

struct Media {
  int64_t frames = 0, height = 0, width = 0;
};

// Decodes all of it and keeps one frame at most.
Media decode(const Sample& sample) {
  if (!sample.video.empty()) {
    const video::Frames clip = video::read_video(sample.video, {.sampling = video::Sampling::linspace, .max_frames = 1});
    return {.frames = clip.total, .height = clip.frames.at(0).height, .width = clip.frames.at(0).width};
  }
  Media media{.frames = static_cast<int64_t>(sample.images.size())};
  for (const fs::path& image : sample.images) {
    const video::Frames picture = video::read_pictures({image}, {});
    if (media.height == 0) media = {.frames = media.frames, .height = picture.frames.at(0).height, .width = picture.frames.at(0).width};
  }
  return media;
}

// `media_N` and `error_N` by sample; a sample has one or the other.
struct Decoded {
  std::vector<Media> media_N;
  std::vector<std::string> error_N;
};

Decoded decode_all(const std::vector<Sample>& samples, const core::Context& context) {
  Decoded result{.media_N = std::vector<Media>(samples.size()), .error_N = std::vector<std::string>(samples.size())};
  core::Progress progress("check media", static_cast<int64_t>(samples.size()), context.show_progress);
  std::atomic<size_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  const auto work = [&] {
    for (size_t n = next++; n < samples.size(); n = next++) {
      try {
        result.media_N[n] = decode(samples[n]);
      } catch (const core::DataError& error) {
        result.error_N[n] = error.what();
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!failure) failure = std::current_exception();
        next = samples.size();
      }
      progress.advance();
    }
  };
  std::vector<std::thread> workers;
  for (int64_t w = 1; w < context.threads; ++w) workers.emplace_back(work);
  work();
  for (auto& worker : workers) worker.join();
  if (failure) std::rethrow_exception(failure);
  return result;
}

void check_media(const std::vector<Sample>& samples, const core::Context& context, CheckReport& report) {
  report.media_checked = true;
  const Decoded decoded = decode_all(samples, context);
  for (size_t n = 0; n < samples.size(); ++n) {
    const Media& media = decoded.media_N[n];
    if (!decoded.error_N[n].empty()) {
      report.problems.push_back({.line = samples[n].line, .id = samples[n].id, .cause = decoded.error_N[n]});
    } else {
      ++report.frame_counts[media.frames];
      ++report.sizes[{media.height, media.width}];
    }
  }
}

void count_labels(const std::vector<Sample>& samples, CheckReport& report) {
  const size_t dimensions = report.dimensions.size();
  report.label_counts_K.resize(dimensions);
  report.unlabelled_K.resize(dimensions);
  for (const Sample& sample : samples) {
    for (size_t k = 0; k < dimensions; ++k) {
      if (std::isnan(sample.label_K[k]))
        ++report.unlabelled_K[k];
      else
        ++report.label_counts_K[k][sample.label_K[k]];
    }
    ++(sample.video.empty() ? report.frame_lists : report.clips);
    report.preferences += sample.preferences.empty() ? 0 : 1;
  }
}

// "0017_left" -> "0017_right"; nullopt = no side of a pair.
std::optional<std::string> other_side(const std::string& id) {
  for (const auto& [from, to] : {std::pair<std::string, std::string>{"_left", "_right"}, {"_right", "_left"}}) {
    if (id.size() > from.size() && id.ends_with(from)) return id.substr(0, id.size() - from.size()) + to;
  }
  return std::nullopt;
}

// VideoScore drops a pair that lacks a side without a word.
void check_pairs(const std::vector<Sample>& samples, CheckReport& report) {
  std::set<std::string> ids;
  for (const Sample& sample : samples) ids.insert(sample.id);
  for (const Problem& problem : report.problems) ids.insert(problem.id);
  for (const Sample& sample : samples) {
    const auto other = other_side(sample.id);
    if (sample.preferences.empty() || !other || ids.contains(*other)) continue;
    report.problems.push_back(
        {.line = sample.line, .id = sample.id, .cause = "has a preference but no other side: there is no '" + *other + "'"});
  }
}

}  // namespace

int64_t CheckReport::bad_rows() const {
  std::set<int64_t> lines;
  for (const Problem& problem : problems) lines.insert(problem.line);
  return static_cast<int64_t>(lines.size());
}

std::string words_of(const CheckReport& report, const Problem& problem) {
  return problem.line == 0 ? problem.cause : words_of(report.path, problem);  // the cause of a whole file names it
}

CheckReport check_data(const fs::path& path, const CheckOptions& options, const core::Context& context) {
  CheckReport report{.path = path};
  ManifestOptions manifest_options = options.manifest;
  manifest_options.on_problem = [&](const Problem& problem) { report.problems.push_back(problem); };
  try {
    const Manifest manifest = load_manifest(path, manifest_options);
    report.hash = manifest.hash;
    report.dimensions = manifest.dimensions;
    report.samples = static_cast<int64_t>(manifest.samples.size());
    count_labels(manifest.samples, report);
    check_pairs(manifest.samples, report);
    if (options.media) check_media(manifest.samples, context, report);
  } catch (const RowError& error) {
    report.problems.push_back(error.problem());
  } catch (const core::DataError& error) {
    report.problems.push_back({.line = 0, .id = {}, .cause = error.what()});
  }
  std::stable_sort(report.problems.begin(), report.problems.end(), [](const Problem& a, const Problem& b) { return a.line < b.line; });
  return report;
}

}  // namespace mvrm::data
