// SPDX-License-Identifier: Apache-2.0
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

constexpr auto kBeat = std::chrono::milliseconds(400), kWatch = std::chrono::milliseconds(2000);

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

struct Owner {
  pid_t pid = 0;   // 0: not read
  std::string host;
};
// Of a beat, "count pid host".
Owner owner_of(const std::string& beat) {
  std::istringstream fields(beat);
  std::string count;
  Owner owner;
  return fields >> count >> owner.pid >> owner.host ? owner : Owner{};
}
std::string text_of(const Owner& owner) { return owner.pid == 0 ? std::string() : " (pid " + std::to_string(owner.pid) + " on " + owner.host + ")"; }

}  // namespace

Heartbeat::Heartbeat(fs::path folder, int64_t rank, int64_t size) : folder_(std::move(folder)), rank_(rank), size_(size) {
  std::error_code error;
  fs::create_directories(folder_, error);
  beat(0);
  if (!fs::exists(file_of(folder_, rank_))) throw core::io_error(file_of(folder_, rank_).string() + ": can't be written");
  thread_ = std::thread([this] {
    std::unique_lock lock(mutex_);
    for (uint64_t count = 1; !wake_.wait_for(lock, kBeat, [this] { return closing_; }); ++count) beat(count);
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
  std::ofstream(file_of(folder_, rank_), std::ios::trunc) << count << ' ' << ::getpid() << ' ' << host_name() << '\n';
}

bool Heartbeat::lost_peer() const {
  const std::string here = host_name();
  for (int64_t r = 0; r < size_; ++r) {
    const Owner owner = r == rank_ ? Owner{} : owner_of(content_of(file_of(folder_, r)));
    if (owner.pid != 0 && owner.host == here && ::kill(owner.pid, 0) != 0 && errno == ESRCH) return true;
  }
  return false;
}

std::string Heartbeat::diagnosis() const {
  std::vector<std::string> before;
  for (int64_t r = 0; r < size_; ++r) before.push_back(content_of(file_of(folder_, r)));
  const auto end = std::chrono::steady_clock::now() + kWatch;
  std::vector<bool> alive(static_cast<size_t>(size_), false);
  alive[static_cast<size_t>(rank_)] = true;
  while (std::chrono::steady_clock::now() < end) {
    for (int64_t r = 0; r < size_; ++r) {
      const std::string now = content_of(file_of(folder_, r));
      // An empty text is a beat seen half-written.
      if (!now.empty() && now != before[static_cast<size_t>(r)]) alive[static_cast<size_t>(r)] = true;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  std::string text;
  for (int64_t r = 0; r < size_; ++r) {
    const bool ended = !fs::exists(file_of(folder_, r));
    if (alive[static_cast<size_t>(r)] && !ended) continue;
    text += (text.empty() ? "rank " : ", rank ") + std::to_string(r) + text_of(owner_of(before[static_cast<size_t>(r)])) + (ended ? " has ended" : " does not answer");
  }
  return text.empty() ? "all ranks answer: one of them is late, or the network between them is" : text;
}

}  // namespace mvrm::dist
