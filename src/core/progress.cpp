// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <mvrm/core/progress.h>
#include <unistd.h>

namespace mvrm::core {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kBarInterval{100};
constexpr std::chrono::seconds kLineInterval{5};
constexpr int64_t kBarWidth = 30;

std::string duration_text(double seconds) {
  const auto total = static_cast<int64_t>(seconds + 0.5);
  char text[32];
  if (total >= 3600) {
    std::snprintf(text, sizeof text, "%lldh%02lldm", static_cast<long long>(total / 3600), static_cast<long long>(total / 60 % 60));
  } else {
    std::snprintf(text, sizeof text, "%lld:%02lld", static_cast<long long>(total / 60), static_cast<long long>(total % 60));
  }
  return text;
}

}  // namespace

struct Progress::State {
  std::string title;
  int64_t total;
  bool terminal;
  std::mutex mutex;
  int64_t done = 0, before = 0;
  std::string note;
  Clock::time_point start = Clock::now();
  Clock::time_point next_draw = start;

  State(std::string title_text, int64_t total_steps)
      : title(std::move(title_text)), total(total_steps), terminal(::isatty(STDERR_FILENO) == 1) {
    if (!terminal) next_draw = start + kLineInterval;
  }

  void draw(bool last) {
    const double elapsed = std::chrono::duration<double>(Clock::now() - start).count();
    std::string line = title + " ";
    if (terminal && total > 0) {
      const int64_t filled = std::clamp<int64_t>(done * kBarWidth / total, 0, kBarWidth);
      line.append("|").append(static_cast<size_t>(filled), '#').append(static_cast<size_t>(kBarWidth - filled), '.').append("| ");
    }
    line += std::to_string(done);
    if (total > 0) line.append("/").append(std::to_string(total));
    line.append(", ").append(duration_text(elapsed));
    if (!last && done > before && done < total) {
      const double left = elapsed / static_cast<double>(done - before) * static_cast<double>(total - done);
      line.append(", ").append(duration_text(left)).append(" left");
    }
    if (!note.empty()) line.append(", ").append(note);
    // "\r" and "erase to the end of the line" redraw a bar in place.
    std::fprintf(stderr, terminal ? "\r%s\x1b[K%s" : "%s%s", line.c_str(), terminal && !last ? "" : "\n");
    std::fflush(stderr);
  }
};

Progress::Progress(std::string title, int64_t total, bool enabled) {
  if (enabled) state_ = std::make_unique<State>(std::move(title), total);
}

Progress::~Progress() {
  if (state_) state_->draw(/*last=*/true);
}

void Progress::resume_at(int64_t steps) {
  if (!state_) return;
  const std::lock_guard lock(state_->mutex);
  state_->done = state_->before = steps;
}

void Progress::advance(int64_t steps, const std::string& note) {
  if (!state_) return;
  const std::lock_guard lock(state_->mutex);
  state_->done += steps;
  if (!note.empty()) state_->note = note;
  const auto now = Clock::now();
  if (now < state_->next_draw) return;
  state_->next_draw = now + (state_->terminal ? Clock::duration(kBarInterval) : Clock::duration(kLineInterval));
  state_->draw(/*last=*/false);
}

}  // namespace mvrm::core
