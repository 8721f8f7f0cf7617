// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>
#include <algorithm>
#include <mvrm/core/safetensors.h>
#include <nlohmann/json.hpp>
#include <tuple>

#include "atomic_file.h"
#include "safetensors_header.h"

namespace mvrm::core {
namespace {

struct Entry {
  std::string name;
  Tensor tensor;
  const safetensors::Dtype* dtype = nullptr;
};

Entry checked_entry(const std::string& name, const Tensor& tensor) {
  const std::string label = "tensor '" + printable(name) + "'";
  safetensors::check_name(name);
  if (name == safetensors::kMetadataKey) throw model_error(label + ": the name is reserved");
  if (!tensor.defined()) throw model_error(label + " is undefined");
  const auto* dtype = safetensors::dtype_from_type(tensor.scalar_type());
  if (!dtype) throw model_error(label + ": dtype " + at::toString(tensor.scalar_type()) + " can't be stored");
  if (tensor.dim() > static_cast<int64_t>(safetensors::kMaxRank))
    throw model_error(label + ": rank " + std::to_string(tensor.dim()) + " is above " + std::to_string(safetensors::kMaxRank));
  return {name, tensor, dtype};
}

std::vector<Entry> ordered_entries(const NamedTensors& tensors) {
  if (tensors.size() > safetensors::kMaxTensors) throw model_error("more than " + std::to_string(safetensors::kMaxTensors) + " tensors");
  std::vector<Entry> entries;
  for (const auto& [name, tensor] : tensors) entries.push_back(checked_entry(name, tensor));
  // kDtypes is ordered, so comparing places in it puts the largest elements first and keeps every tensor aligned.
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.dtype, a.name) < std::tie(b.dtype, b.name);
  });
  std::vector<std::string> names;
  for (const Entry& entry : entries) names.push_back(entry.name);
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) throw model_error("tensor '" + printable(*twice) + "' is given twice");
  return entries;
}

// The text the reference writer makes: metadata first, tensors in file order, padded with spaces to 8 bytes.
std::string header_text(const std::vector<Entry>& entries, const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json root = nlohmann::ordered_json::object();
  if (!metadata.empty()) root[std::string(safetensors::kMetadataKey)] = metadata;
  std::string text = root.dump();
  text.pop_back();   // the closing brace; entries are appended as text, for ordered_json looks keys up one by one
  uint64_t position = 0;
  for (const Entry& entry : entries) {
    const uint64_t end = position + static_cast<uint64_t>(entry.tensor.numel()) * entry.dtype->bytes;
    nlohmann::ordered_json value;
    value["dtype"] = entry.dtype->name;
    value["shape"] = entry.tensor.sizes().vec();
    value["data_offsets"] = {position, end};
    if (text.size() > 1) text += ',';
    text += nlohmann::json(entry.name).dump() + ":" + value.dump();
    position = end;
  }
  text += '}';
  text.append((8 - text.size() % 8) % 8, ' ');
  return text;
}

// What is copied before it is written, because it lies elsewhere or isn't contiguous, is copied in pieces.
std::vector<Tensor> blocks_of(const Tensor& tensor) {
  constexpr size_t kBlockBytes = size_t{64} << 20;
  if (tensor.dim() == 0 || tensor.is_contiguous() || tensor.nbytes() <= kBlockBytes) return {tensor};
  const auto rows = static_cast<int64_t>(kBlockBytes / std::max<size_t>(1, tensor.nbytes() / static_cast<size_t>(tensor.size(0))));
  return tensor.split(std::max<int64_t>(1, rows));
}

}  // namespace

void write_safetensors(const std::filesystem::path& path, const NamedTensors& tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<Entry> entries;
  std::string header;
  try {
    entries = ordered_entries(tensors);
    header = header_text(entries, metadata);
  } catch (const Error& cause) {
    throw model_error(path.string() + ": " + cause.what());
  } catch (const nlohmann::json::exception& cause) {   // a name or a metadata string that isn't UTF-8
    throw model_error(path.string() + ": " + cause.what());
  }
  unsigned char length[8];
  for (int i = 0; i < 8; ++i) length[i] = static_cast<unsigned char>(static_cast<uint64_t>(header.size()) >> (8 * i));
  AtomicFile file(path);
  file.write(length, sizeof length);
  file.write(header.data(), header.size());
  for (const Entry& entry : entries) {
    for (const Tensor& block : blocks_of(entry.tensor.detach())) {
      const Tensor data = block.to(at::kCPU).contiguous();
      if (data.numel() > 0) file.write(data.data_ptr(), static_cast<size_t>(data.numel()) * entry.dtype->bytes);
    }
  }
  file.commit();
}

}  // namespace mvrm::core
