// SPDX-License-Identifier: Apache-2.0
#include "profile_store.h"

#include <ATen/ATen.h>
#include <fcntl.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/core/safetensors.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <exception>
#include <limits>

namespace mvrm::influence {

namespace fs = std::filesystem;

void allocate(Profile& profile, const ProfileShape& shape) {
  const auto nan = [](at::IntArrayRef sizes, at::ScalarType dtype = at::kFloat) {
    return at::full(sizes, std::numeric_limits<float>::quiet_NaN(), dtype);
  };
  const int64_t rows = shape.rows, dimensions = shape.dimensions;
  profile.residual_NK = nan({rows, dimensions});
  profile.prediction_NK = nan({rows, dimensions});
  profile.label_NK = nan({rows, dimensions});
  profile.feature_sq_norm_N = nan({rows});
  profile.self_influence_NK = nan({rows, dimensions});
  profile.prefix_prediction_NFK = shape.frames > 0 ? nan({rows, shape.frames, dimensions}) : at::Tensor();
  profile.kernel_NKK = shape.kernel ? nan({rows, dimensions, dimensions}) : at::Tensor();
  profile.running_loss_NK = shape.running_loss ? nan({rows, dimensions}) : at::Tensor();
  profile.done_N = at::zeros({rows}, at::kByte);
  if (shape.feature_width == 0) profile.feature_ND = at::Tensor();
  else if (shape.stored_features) profile.feature_ND = nan({1, shape.feature_width}, shape.feature_dtype).expand({rows, shape.feature_width});
  else profile.feature_ND = nan({rows, shape.feature_width}, shape.feature_dtype);
}

std::vector<std::pair<std::string, core::Tensor*>> tensors_of(Profile& profile) {
  return {{"self_influence", &profile.self_influence_NK},
          {"residual", &profile.residual_NK},
          {"prediction", &profile.prediction_NK},
          {"label", &profile.label_NK},
          {"feature_sq_norm", &profile.feature_sq_norm_N},
          {"prefix_prediction", &profile.prefix_prediction_NFK},
          {"kernel", &profile.kernel_NKK},
          {"running_loss", &profile.running_loss_NK},
          {"done", &profile.done_N},
          {"feature", &profile.feature_ND}};
}

std::string feature_dtype_name(const Profile& profile) {
  if (!profile.feature_ND.defined()) return "";
  const at::ScalarType dtype = profile.feature_ND.scalar_type();
  return dtype == at::kHalf ? "f16" : dtype == at::kBFloat16 ? "bf16" : "f32";
}

at::ScalarType feature_dtype_from_name(const std::string& name) {
  return name == "f16" ? at::kHalf : name == "bf16" ? at::kBFloat16 : at::kFloat;
}

namespace {

constexpr const char* kFileName = "profile.safetensors";

core::SafetensorsFile open_file(const fs::path& directory) {
  try {
    return core::SafetensorsFile::open(directory / kFileName);
  } catch (const core::Error& error) {
    std::throw_with_nested(core::DataError(error.what()));  // it is data here, not a model
  }
}

// [begin, end) of rows that follow on each other.
std::vector<std::pair<int64_t, int64_t>> runs_of(const std::map<int64_t, core::Tensor>& rows) {
  std::vector<std::pair<int64_t, int64_t>> runs;
  for (const auto& [n, feature_D] : rows) {
    if (runs.empty() || runs.back().second != n) runs.emplace_back(n, n);
    runs.back().second = n + 1;
  }
  return runs;
}

}  // namespace

void ProfileStore::create(const fs::path& directory, const Profile& profile) {
  Profile copy = profile;
  core::NamedTensors tensors;
  for (const auto& [name, tensor] : tensors_of(copy)) {
    if (tensor->defined()) tensors.emplace_back(name, *tensor);
  }
  core::write_safetensors(directory / kFileName, tensors);
}

void read_rows(const fs::path& directory, Profile& profile, bool map_features) {
  const auto file = open_file(directory);
  for (const auto& [name, tensor] : tensors_of(profile)) {
    if (!tensor->defined()) continue;
    const auto* info = file.find(name);
    if (info == nullptr || info->shape != tensor->sizes().vec() || info->dtype != tensor->scalar_type()) {
      throw core::DataError((directory / kFileName).string() + ": '" + name +
                            "' is missing or of another shape; delete the folder to profile anew");
    }
    *tensor = map_features && name == "feature" ? file.tensor(name) : file.tensor(name).clone();
  }
}

core::Tensor stored_features(const fs::path& directory) { return open_file(directory).tensor("feature"); }

ProfileStore::ProfileStore(const fs::path& directory, Profile profile) : path_(directory / kFileName) {
  const auto file = open_file(directory);
  descriptor_ = ::open(path_.c_str(), O_RDWR | O_CLOEXEC);
  uint64_t header = 0;
  if (descriptor_ < 0 || ::pread(descriptor_, &header, sizeof header, 0) != static_cast<ssize_t>(sizeof header)) {
    throw core::io_error(path_.string() + ": can't be opened for writing: " + std::strerror(errno));
  }
  for (const auto& [name, tensor] : tensors_of(profile)) {
    if (!tensor->defined()) continue;
    const uint64_t offset = sizeof header + header + file.find(name)->begin;
    if (name == "done") done_offset_ = offset;
    else if (name == "feature") feature_offset_ = offset, feature_dtype_ = tensor->scalar_type();
    else columns_.push_back({*tensor, offset});
  }
  thread_ = std::thread([this] { serve(); });
}

ProfileStore::~ProfileStore() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake_.notify_all();
  thread_.join();
  try {
    flush();   // on the way out of an error: rows that are finished stay finished
  } catch (...) {
    // The rows are computed again; the error that is on its way says more.
  }
  ::close(descriptor_);
}

void ProfileStore::serve() {
  std::unique_lock lock(mutex_);
  while (!error_ && !wake_.wait_for(lock, std::chrono::milliseconds(250), [this] { return closing_; })) {
    lock.unlock();
    std::exception_ptr error;
    try {
      flush();
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    if (error) error_ = error;
  }
}

void ProfileStore::write_at(uint64_t offset, const void* bytes, size_t size) {
  const auto* at = static_cast<const char*>(bytes);
  while (size > 0) {
    const ssize_t written = ::pwrite(descriptor_, at, size, static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) throw core::io_error(path_.string() + ": can't be written: " + std::strerror(errno));
    at += written;
    offset += static_cast<uint64_t>(written);
    size -= static_cast<size_t>(written);
  }
}

void ProfileStore::write_rows(const Column& column, int64_t begin, int64_t end) {
  const size_t row_bytes = column.table.nbytes() / static_cast<size_t>(column.table.size(0)), from = static_cast<size_t>(begin) * row_bytes;
  write_at(column.offset + from, static_cast<const char*>(column.table.const_data_ptr()) + from, static_cast<size_t>(end - begin) * row_bytes);
}

void ProfileStore::write_features(const Rows& rows, int64_t begin, int64_t end) {
  std::vector<at::Tensor> block;
  for (int64_t n = begin; n < end; ++n) block.push_back(rows.at(n));
  const at::Tensor block_BD = at::stack(block).to(*feature_dtype_).contiguous();
  const size_t row_bytes = block_BD.nbytes() / static_cast<size_t>(end - begin);
  write_at(feature_offset_ + static_cast<uint64_t>(begin) * row_bytes, block_BD.const_data_ptr(), block_BD.nbytes());
}

void ProfileStore::add_row(int64_t n, const core::Tensor& feature_D) {
  MVRM_CHECK(!feature_dtype_ || feature_D.defined(), "row ", n, " has no feature");
  const std::lock_guard lock(mutex_);
  if (error_) std::rethrow_exception(error_);
  pending_[n] = feature_dtype_ ? feature_D : core::Tensor();
}

void ProfileStore::flush() {
  const std::lock_guard file_lock(file_mutex_);
  Rows rows;
  {
    const std::lock_guard lock(mutex_);
    if (error_) std::rethrow_exception(error_);
    rows.swap(pending_);
  }
  if (rows.empty()) return;
  const auto runs = runs_of(rows);
  for (const auto& column : columns_) {
    for (const auto& [begin, end] : runs) write_rows(column, begin, end);
  }
  if (feature_dtype_) {
    for (const auto& [begin, end] : runs) write_features(rows, begin, end);
  }
  if (::fdatasync(descriptor_) != 0) throw core::io_error(path_.string() + ": can't be synchronised: " + std::strerror(errno));
  for (const auto& [begin, end] : runs) {
    const std::vector<uint8_t> done(static_cast<size_t>(end - begin), 1);
    write_at(done_offset_ + static_cast<uint64_t>(begin), done.data(), done.size());
  }
}

}  // namespace mvrm::influence
