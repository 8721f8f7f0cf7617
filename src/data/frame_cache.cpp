// SPDX-License-Identifier: Apache-2.0
// N frames of C x H x W levels, with a mask where they were padded.
#include "frame_cache.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/core/random.h>
#include <sys/file.h>
#include <unistd.h>

namespace mvrm::data {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kMagic = "MVRMFRM1";
constexpr std::string_view kSuffix = ".frames", kTemporary = ".tmp-";
constexpr std::chrono::hours kAbandoned{1};   // a temporary file of that age has no writer any more

struct Head {
  uint64_t checksum = 0;   // of all that follows, and of the key
  int64_t frames = 0, channels = 0, height = 0, width = 0, masked = 0, indices = 0;
};
static_assert(std::endian::native == std::endian::little);

// Eight bytes at a time: several times faster than reading them, and nobody forges entries.
uint64_t checksum_of(std::string_view bytes, const std::string& key) {
  uint64_t hash = core::hash64(key);
  for (size_t i = 0; i < bytes.size(); i += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + i, std::min(sizeof word, bytes.size() - i));
    hash = (std::rotl(hash, 29) ^ word) * 0x9e3779b97f4a7c15ULL;
  }
  return core::mix64(hash ^ bytes.size());
}

void append(std::string& out, const core::Tensor& tensor) {
  const core::Tensor whole = tensor.contiguous();
  out.append(static_cast<const char*>(whole.const_data_ptr()), whole.nbytes());
}

// Takes `shape` bytes off the front.
core::Tensor take(std::string_view& bytes, at::IntArrayRef shape, at::ScalarType dtype) {
  core::Tensor tensor = at::empty(shape, dtype);
  std::memcpy(tensor.mutable_data_ptr(), bytes.data(), tensor.nbytes());
  bytes.remove_prefix(tensor.nbytes());
  return tensor;
}

// An exclusive lock between threads, ranks and runs. The file holds the bytes of all entries.
class FolderLock {
 public:
  explicit FolderLock(const fs::path& folder) : path_(folder / ".lock"), descriptor_(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
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

std::string settings_of(const Processor& processor, bool video) {
  const auto& rule = processor.sample_rule;
  const auto& image = processor.image_config;
  std::string text = std::string(kMagic) + "\n" + video::name_of(rule.sampling) + " " + std::to_string(rule.sampling == video::Sampling::all ? 0 : rule.max_frames) +
                     "\n" + std::to_string(image.do_resize) + " " + std::to_string(image.shortest_edge) + " " + std::to_string(image.longest_edge) + " " +
                     std::to_string(image.do_image_splitting) + "\n";
  return text + (video ? "libav " + video::library_version() : std::string("pictures")) + "\n";
}

}  // namespace

std::string encode(const ModelFrames& frames, const std::string& key) {
  const auto& levels = frames.pixels.levels_NCHW;
  Head head{.frames = levels.size(0), .channels = levels.size(1), .height = levels.size(2), .width = levels.size(3),
            .masked = frames.pixels.mask_NHW.defined() ? 1 : 0, .indices = static_cast<int64_t>(frames.frame_indices.size())};
  std::string bytes(kMagic);
  bytes.append(reinterpret_cast<const char*>(&head), sizeof head);
  bytes.append(reinterpret_cast<const char*>(frames.frame_indices.data()), frames.frame_indices.size() * sizeof(int64_t));
  append(bytes, levels);
  if (head.masked != 0) append(bytes, frames.pixels.mask_NHW);
  head.checksum = checksum_of(std::string_view(bytes).substr(kMagic.size() + sizeof head.checksum), key);
  std::memcpy(bytes.data() + kMagic.size(), &head.checksum, sizeof head.checksum);
  return bytes;
}

std::optional<ModelFrames> decode(std::string_view bytes, const std::string& key) {
  Head head;
  if (bytes.size() < kMagic.size() + sizeof head || !bytes.starts_with(kMagic)) return std::nullopt;
  bytes.remove_prefix(kMagic.size());
  std::memcpy(&head, bytes.data(), sizeof head);
  if (checksum_of(bytes.substr(sizeof head.checksum), key) != head.checksum) return std::nullopt;
  bytes.remove_prefix(sizeof head);
  // Behind the checksum these are what encode() wrote; they are looked at all the same, since buffers hang on them.
  constexpr int64_t kMost = 100'000;   // of each: products stay far below 2^63
  const auto fits = [](int64_t size) { return size >= 0 && size <= kMost; };
  if (!fits(head.frames) || !fits(head.height) || !fits(head.width) || !fits(head.indices) || head.channels != 3 || (head.masked != 0 && head.masked != 1)) return std::nullopt;
  const int64_t pixels = head.frames * head.height * head.width;
  if (pixels * (head.channels + head.masked) + head.indices * 8 != static_cast<int64_t>(bytes.size())) return std::nullopt;
  ModelFrames frames{.pixels = {}, .frame_indices = std::vector<int64_t>(static_cast<size_t>(head.indices))};
  std::memcpy(frames.frame_indices.data(), bytes.data(), frames.frame_indices.size() * sizeof(int64_t));
  bytes.remove_prefix(frames.frame_indices.size() * sizeof(int64_t));
  frames.pixels.levels_NCHW = take(bytes, {head.frames, head.channels, head.height, head.width}, at::kByte);
  if (head.masked != 0) frames.pixels.mask_NHW = take(bytes, {head.frames, head.height, head.width}, at::kBool);
  return frames;
}

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
  if (!fs::exists(path, error)) return std::nullopt;
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
  if (fs::exists(path)) return;   // another rank was quicker
  int64_t total = lock.total().value_or(-1);
  if (total < 0) total = bytes_of(entries_of(folder_));
  const bool fits = make_room(total, size);
  if (fits) {
    const fs::path temporary = folder_ / (std::string(kTemporary) + std::to_string(::getpid()) + "-" + std::to_string(written_++));
    std::ofstream file(temporary, std::ios::binary);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    file.close();
    std::error_code error;
    if (file) fs::rename(temporary, path, error);
    if (!file || error) {
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
