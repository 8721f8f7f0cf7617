// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <fstream>
#include <mvrm/core/error.h>
#include <mvrm/dist/heartbeat.h>
#include <sstream>
#include <unistd.h>
#include <vector>

namespace mvrm::dist {

namespace fs = std::filesystem;

namespace {

constexpr auto kBeat = std::chrono::milliseconds(400), kWatch = std::chrono::milliseconds(2000), kEnded = std::chrono::milliseconds(500);

fs::path file_of(const fs::path& folder, int64_t rank) { return folder / ("rank-" + std::to_string(rank)); }

std::string content_of(const fs::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string host_name() {
  char host[256] = "?";
  ::gethostname(host, sizeof host - 1);
  return host;
}

struct Beat {
  pid_t pid = 0;   // 0: not read
  std::string host;
  uint64_t calls = 0;
};
// "count pid host calls"; without the end of the line it is seen half-written.
Beat beat_of(const std::string& text) {
  if (!text.ends_with('\n')) return {};
  std::istringstream fields(text);
  std::string count;
  Beat beat;
  return fields >> count >> beat.pid >> beat.host >> beat.calls ? beat : Beat{};
}
std::string text_of(const Beat& beat) { return beat.pid == 0 ? std::string() : " (pid " + std::to_string(beat.pid) + " on " + beat.host + ")"; }

}  // namespace

Heartbeat::Heartbeat(fs::path folder, int64_t rank, int64_t size) : folder_(std::move(folder)), rank_(rank), size_(size), seen_(static_cast<size_t>(size)) {
  std::error_code error;
  fs::create_directories(folder_, error);
  for (int64_t r = 0; r < size_; ++r) first_.push_back(content_of(file_of(folder_, r)));
  beat(0);
  if (!fs::exists(file_of(folder_, rank_))) throw core::io_error(file_of(folder_, rank_).string() + ": can't be written");
  thread_ = std::thread([this] {
    std::unique_lock lock(mutex_);
    for (uint64_t count = 1; !wake_.wait_for(lock, kBeat, [this] { return closing_; }); ++count) {
      beat(count);
      if (count % 2 == 0) look_for_peers();
    }
  });
}

Heartbeat::~Heartbeat() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake_.notify_all();
  thread_.join();
  std::error_code ignored;
  fs::remove(file_of(folder_, rank_), ignored);
}

void Heartbeat::beat(uint64_t count) const {
  std::ofstream(file_of(folder_, rank_), std::ios::trunc) << count << ' ' << ::getpid() << ' ' << host_name() << ' ' << calls_ << '\n';
}

void Heartbeat::look_for_peers() {
  const std::string here = host_name();
  for (int64_t r = 0; r < size_; ++r) {
    const std::string text = r == rank_ ? "" : content_of(file_of(folder_, r));
    const Beat other = beat_of(text);
    if (other.pid == 0 || other.host != here) continue;
    int& seen = seen_[static_cast<size_t>(r)];
    const bool gone = ::kill(other.pid, 0) != 0 && errno == ESRCH;
    if (gone && (seen == other.pid || text != first_[static_cast<size_t>(r)])) lost_ = true;   // not what a job before this one left behind
    if (!gone) seen = other.pid;
  }
}

std::string Heartbeat::diagnosis() const {
  std::vector<std::string> before;
  for (int64_t r = 0; r < size_; ++r) before.push_back(content_of(file_of(folder_, r)));
  const auto start = std::chrono::steady_clock::now();
  std::vector<bool> alive(static_cast<size_t>(size_), false);
  alive[static_cast<size_t>(rank_)] = true;
  const auto watch_until = [&](std::chrono::steady_clock::time_point moment) {
    while (std::chrono::steady_clock::now() < moment) {
      for (int64_t r = 0; r < size_; ++r) {
        const std::string now = content_of(file_of(folder_, r));
        // An empty text is a beat seen half-written.
        if (!now.empty() && now != before[static_cast<size_t>(r)]) alive[static_cast<size_t>(r)] = true;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  };
  watch_until(start + kEnded);
  // Early: who else misses a peer watches as long as this rank, and then ends too.
  std::vector<bool> ended;
  for (int64_t r = 0; r < size_; ++r) ended.push_back(!fs::exists(file_of(folder_, r)));
  watch_until(start + kWatch);
  std::vector<Beat> beats;
  uint64_t furthest = 0;
  for (int64_t r = 0; r < size_; ++r) {
    beats.push_back(beat_of(content_of(file_of(folder_, r))));
    furthest = std::max(furthest, beats.back().calls);
  }
  std::string lost, late;
  const auto add = [](std::string& text, int64_t r, const Beat& beat, const char* what) {
    text += (text.empty() ? "rank " : ", rank ") + std::to_string(r) + text_of(beat) + what;
  };
  for (int64_t r = 0; r < size_; ++r) {
    const Beat& now = beats[static_cast<size_t>(r)];
    const Beat& known = now.pid != 0 ? now : beat_of(before[static_cast<size_t>(r)]);
    if (ended[static_cast<size_t>(r)]) {
      add(lost, r, known, " has ended");
    } else if (!alive[static_cast<size_t>(r)]) {
      add(lost, r, known, " does not answer");
    } else if (now.pid != 0 && now.calls < furthest) {
      add(late, r, now, " answers, but has not come to what the others wait for");
    }
  }
  if (!lost.empty()) return lost;   // behind it ranks are here and there
  return late.empty() ? "all ranks answer and wait for the same: the network between them is broken or too slow" : late;
}

}  // namespace mvrm::dist
