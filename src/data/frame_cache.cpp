// SPDX-License-Identifier: Apache-2.0
// The folder: keys, a bound, a lock. What is in an entry: frame_file.cpp.
#include "frame_cache.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <sys/file.h>
#include <unistd.h>

namespace mvrm::data {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kSuffix = ".frames", kTemporary = ".tmp-";
constexpr std::chrono::hours kAbandoned{1};   // a temporary file of that age has no writer any more

// An exclusive lock between threads, ranks and runs. The file holds the bytes of all entries.
class FolderLock {
 public:
  explicit FolderLock(const fs::path& folder) : path_(folder / ".lock"), descriptor_(::open(path_.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644)) {
    if (descriptor_ < 0 || ::flock(descriptor_, LOCK_EX) != 0) {
      const std::string why = std::strerror(errno);
      if (descriptor_ >= 0) ::close(descriptor_);
      throw core::io_error(path_.string() + ": can't be locked: " + why);
    }
  }
  ~FolderLock() { ::close(descriptor_); }
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;
  std::optional<int64_t> total() const {
    char text[32] = {};
    const ssize_t length = ::pread(descriptor_, text, sizeof text - 1, 0);
    int64_t value = -1;
    if (length > 0) std::from_chars(text, text + length, value);
    return value >= 0 ? std::optional(value) : std::nullopt;
  }
  void set_total(int64_t bytes) const {
    const std::string text = std::to_string(bytes) + "\n";
    if (::ftruncate(descriptor_, 0) != 0 || ::pwrite(descriptor_, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()))
      throw core::io_error(path_.string() + ": can't be written; is the disk full?");
  }

 private:
  fs::path path_;
  int descriptor_;
};

struct Entry { fs::path path; int64_t bytes = 0; fs::file_time_type used; };

std::vector<Entry> entries_of(const fs::path& folder) {
  std::vector<Entry> entries;
  for (const auto& file : fs::directory_iterator(folder)) {
    std::error_code error;
    if (!file.path().string().ends_with(kSuffix)) continue;
    Entry entry{.path = file.path(), .bytes = static_cast<int64_t>(file.file_size(error)), .used = {}};
    if (!error) entry.used = file.last_write_time(error);
    if (!error) entries.push_back(std::move(entry));
  }
  return entries;
}

int64_t bytes_of(const std::vector<Entry>& entries) {
  int64_t bytes = 0;
  for (const auto& entry : entries) bytes += entry.bytes;
  return bytes;
}

void remove_abandoned(const fs::path& folder) {
  for (const auto& file : fs::directory_iterator(folder)) {
    std::error_code error;
    const bool temporary = file.path().filename().string().starts_with(kTemporary);
    if (temporary && file.last_write_time(error) < fs::file_time_type::clock::now() - kAbandoned && !error) fs::remove(file.path(), error);
  }
}

// A file of its own: where a link has taken the name, the link goes, not what it points to.
bool write_new(const fs::path& path, const std::string& bytes) {
  std::error_code ignored;
  fs::remove(path, ignored);
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (descriptor < 0) return false;
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t written = ::write(descriptor, bytes.data() + done, bytes.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) break;
    done += static_cast<size_t>(written);
  }
  return ::close(descriptor) == 0 && done == bytes.size();
}

std::string settings_of(const Processor& processor, bool video) {
  const auto& rule = processor.sample_rule;
  const auto& image = processor.image_config;
  std::string text = std::string(kFrameFormat) + "\n" + video::name_of(rule.sampling) + " " + std::to_string(rule.sampling == video::Sampling::all ? 0 : rule.max_frames) +
                     "\n" + std::to_string(image.do_resize) + " " + std::to_string(image.shortest_edge) + " " + std::to_string(image.longest_edge) + " " +
                     std::to_string(image.do_image_splitting) + "\n";
  return text + (video ? "libav " + video::library_version() : std::string("pictures")) + "\n";
}

}  // namespace

FrameCache::FrameCache(fs::path folder, int64_t max_bytes, core::Log log)
    : folder_(std::move(folder)), max_bytes_(max_bytes), log_(std::move(log)),
      start_(fs::file_time_type::clock::now() - std::chrono::seconds(1)) {   // the clock of files is a coarse one
  std::error_code error;
  fs::create_directories(folder_, error);
  if (error) throw core::io_error(folder_.string() + ": can't be made: " + error.message() + "; data.cache needs a folder");
  const FolderLock lock(folder_);
  remove_abandoned(folder_);
  lock.set_total(bytes_of(entries_of(folder_)));
}

fs::path FrameCache::path_of(const std::string& key) const { return folder_ / (key + std::string(kSuffix)); }

std::optional<std::string> FrameCache::key_of(const Sample& sample, const Processor& processor) {
  std::string text = settings_of(processor, !sample.video.empty());
  try {
    for (const auto& file : sample.video.empty() ? sample.images : std::vector<fs::path>{sample.video}) {
      if (!fs::is_regular_file(file)) return std::nullopt;
      text += core::sha256_file(file) + "\n";
    }
  } catch (const std::exception&) {
    return std::nullopt;   // whoever decodes it says what is wrong
  }
  return core::sha256_hex(text);
}

std::optional<ModelFrames> FrameCache::find(const std::string& key) {
  const fs::path path = path_of(key);
  std::error_code error;
  if (fs::symlink_status(path, error).type() != fs::file_type::regular) return std::nullopt;   // nor a link, nor a pipe that would never answer
  try {
    auto frames = decode(core::read_file(path), key);
    if (frames) fs::last_write_time(path, fs::file_time_type::clock::now(), error);
    else {
      log_.warn(path.string() + ": is damaged; made again");
      fs::remove(path, error);
    }
    return frames;
  } catch (const core::Error&) {
    return std::nullopt;   // another rank has just removed it
  }
}

void FrameCache::put(const std::string& key, const ModelFrames& frames) {
  if (!writable_ || !frames.pixels.levels_NCHW.defined()) return;
  try {
    add(key, encode(frames, key));
  } catch (const std::exception& error) {
    if (writable_.exchange(false)) log_.warn(std::string(error.what()) + "; frames are not cached from here on");
  }
}

void FrameCache::add(const std::string& key, const std::string& bytes) {
  const auto size = static_cast<int64_t>(bytes.size());
  const FolderLock lock(folder_);
  const fs::path path = path_of(key);
  if (fs::symlink_status(path).type() == fs::file_type::regular) return;   // another rank was quicker
  int64_t total = lock.total().value_or(-1);
  if (total < 0) total = bytes_of(entries_of(folder_));
  const bool fits = make_room(total, size);
  if (fits) {
    const fs::path temporary = folder_ / (std::string(kTemporary) + std::to_string(::getpid()) + "-" + std::to_string(written_++));
    const bool written = write_new(temporary, bytes);
    std::error_code error;
    if (written) fs::rename(temporary, path, error);
    if (!written || error) {
      fs::remove(temporary, error);
      throw core::io_error(path.string() + ": can't be written; is the disk full?");
    }
    total += size;
  }
  lock.set_total(total);
}

// Under the lock. `total`: bytes of all entries.
bool FrameCache::make_room(int64_t& total, int64_t bytes) const {
  if (total + bytes <= max_bytes_) return true;
  if (bytes > max_bytes_) return false;
  auto entries = entries_of(folder_);
  total = bytes_of(entries);
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.used < b.used; });
  for (const auto& entry : entries) {
    if (total + bytes <= max_bytes_ || entry.used >= start_) break;
    std::error_code error;
    if (fs::remove(entry.path, error)) total -= entry.bytes;
  }
  return total + bytes <= max_bytes_;
}

}  // namespace mvrm::data
