// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>
#include <cstring>
#include <fcntl.h>
#include <mvrm/core/safetensors.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unordered_map>

#include "descriptor.h"
#include "safetensors_header.h"

namespace mvrm::core {
namespace {

constexpr uint64_t kLengthBytes = 8;

uint64_t little_endian_u64(const unsigned char* bytes) {
  uint64_t value = 0;
  for (int i = 7; i >= 0; --i) value = (value << 8) | bytes[i];
  return value;
}

}  // namespace

struct SafetensorsFile::Mapping {
  std::filesystem::path path;
  void* bytes = MAP_FAILED;
  uint64_t size = 0;
  const unsigned char* body = nullptr;
  safetensors::Header header;
  std::unordered_map<std::string, size_t> index_of_name;

  Mapping() = default;
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() {
    if (bytes != MAP_FAILED) ::munmap(bytes, size);
  }

  void map() {
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.get() < 0) throw model_error(errno_error(path, "open").what());
    struct stat status {};
    if (::fstat(file.get(), &status) != 0) throw model_error(errno_error(path, "stat").what());
    if (!S_ISREG(status.st_mode)) throw model_error(path.string() + ": not a regular file");
    size = static_cast<uint64_t>(status.st_size);
    if (size < kLengthBytes) throw model_error(path.string() + ": " + std::to_string(size) + " bytes are too few for a safetensors file");
    bytes = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
    if (bytes == MAP_FAILED) throw model_error(errno_error(path, "map").what());
  }

  // Every length is compared before it is used: nothing is allocated for a header that can't be there.
  void parse() {
    const auto* start = static_cast<const unsigned char*>(bytes);
    const uint64_t header_bytes = little_endian_u64(start);
    if (header_bytes > safetensors::kMaxHeaderBytes)
      throw model_error("header length " + std::to_string(header_bytes) + " is above " + std::to_string(safetensors::kMaxHeaderBytes));
    if (header_bytes > size - kLengthBytes)
      throw model_error("header length " + std::to_string(header_bytes) + " is beyond the end of the file");
    body = start + kLengthBytes + header_bytes;
    const std::string_view text(reinterpret_cast<const char*>(start) + kLengthBytes, header_bytes);
    header = safetensors::parse_header(text, size - kLengthBytes - header_bytes);
    for (size_t i = 0; i < header.tensors.size(); ++i) index_of_name.emplace(header.tensors[i].name, i);
  }
};

SafetensorsFile SafetensorsFile::open(const std::filesystem::path& path) {
  auto mapping = std::make_shared<Mapping>();
  mapping->path = path;
  mapping->map();
  try {
    mapping->parse();
  } catch (const Error& cause) {
    throw model_error(path.string() + ": " + cause.what());
  }
  SafetensorsFile file;
  file.mapping_ = std::move(mapping);
  return file;
}

const std::vector<TensorInfo>& SafetensorsFile::tensors() const { return mapping_->header.tensors; }
const std::map<std::string, std::string>& SafetensorsFile::metadata() const { return mapping_->header.metadata; }

const TensorInfo* SafetensorsFile::find(const std::string& name) const {
  const auto found = mapping_->index_of_name.find(name);
  return found == mapping_->index_of_name.end() ? nullptr : &mapping_->header.tensors[found->second];
}

Tensor SafetensorsFile::tensor(const std::string& name) const {
  const TensorInfo* info = find(name);
  if (!info) throw model_error(mapping_->path.string() + ": no tensor '" + printable(name) + "'");
  const auto options = at::TensorOptions().dtype(info->dtype);
  const uint64_t count = info->end - info->begin;
  if (count == 0) return at::empty(info->shape, options);
  const unsigned char* data = mapping_->body + info->begin;
  if (reinterpret_cast<uintptr_t>(data) % safetensors::dtype_from_type(info->dtype)->bytes != 0) {
    Tensor copy = at::empty(info->shape, options);   // kernels load whole elements: an unaligned view is undefined behaviour
    std::memcpy(copy.data_ptr(), data, count);
    return copy;
  }
  // from_blob wants a mutable pointer; the pages themselves are read-only.
  return at::from_blob(const_cast<unsigned char*>(data), info->shape, [keep = mapping_](void*) {}, options);
}

void SafetensorsFile::release(const std::string& name, uint64_t begin, uint64_t end) const {
  const TensorInfo* info = find(name);
  if (!info || begin >= end || end > info->end - info->begin) return;
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  // Whole pages only: neighbours may be in use.
  const auto first = (reinterpret_cast<uintptr_t>(mapping_->body) + info->begin + begin + page - 1) / page * page;
  const auto last = (reinterpret_cast<uintptr_t>(mapping_->body) + info->begin + end) / page * page;
  if (first < last) ::madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

}  // namespace mvrm::core
