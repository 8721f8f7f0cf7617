// SPDX-License-Identifier: Apache-2.0
#include "safetensors_header.h"

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

namespace mvrm::core::safetensors {
namespace {

using nlohmann::json;

uint64_t unsigned_number(const json& value, const std::string& what) {
  if (!value.is_number_unsigned()) throw model_error(what + " must be a non-negative integer");
  return value.get<uint64_t>();
}

const json& field(const json& entry, const char* key, const std::string& tensor) {
  const auto found = entry.find(key);
  if (found == entry.end()) throw model_error(tensor + " has no '" + key + "'");
  return *found;
}

// Bytes that dtype and shape ask for. A shape whose product overflows is refused even when another axis is 0.
uint64_t bytes_of(const std::vector<int64_t>& shape, uint64_t element_bytes, const std::string& tensor) {
  uint64_t bytes = element_bytes;
  bool overflow = false;
  for (const int64_t size : shape) overflow |= __builtin_mul_overflow(bytes, static_cast<uint64_t>(size), &bytes);
  if (overflow || bytes > static_cast<uint64_t>(INT64_MAX)) throw model_error(tensor + ": its shape overflows 64 bits");
  return bytes;
}

TensorInfo parse_tensor(const std::string& name, const json& entry) {
  check_name(name);
  const std::string label = "tensor '" + printable(name) + "'";
  if (!entry.is_object()) throw model_error(label + " is not an object");
  TensorInfo info;
  info.name = name;

  const json& dtype_value = field(entry, "dtype", label);
  if (!dtype_value.is_string()) throw model_error(label + ": dtype must be a string");
  const Dtype* dtype = dtype_from_name(dtype_value.get_ref<const std::string&>());
  if (!dtype) throw model_error(label + ": unsupported dtype '" + printable(dtype_value.get_ref<const std::string&>()) + "'");
  info.dtype = dtype->type;

  const json& shape = field(entry, "shape", label);
  if (!shape.is_array()) throw model_error(label + ": shape must be an array");
  if (shape.size() > kMaxRank)
    throw model_error(label + ": rank " + std::to_string(shape.size()) + " is above " + std::to_string(kMaxRank));
  for (const json& size : shape) {
    const uint64_t value = unsigned_number(size, label + ": a size in shape");
    if (value > static_cast<uint64_t>(INT64_MAX)) throw model_error(label + ": its shape overflows 64 bits");
    info.shape.push_back(static_cast<int64_t>(value));
  }

  const json& offsets = field(entry, "data_offsets", label);
  if (!offsets.is_array() || offsets.size() != 2) throw model_error(label + ": data_offsets must be [begin, end]");
  info.begin = unsigned_number(offsets[0], label + ": begin of data_offsets");
  info.end = unsigned_number(offsets[1], label + ": end of data_offsets");
  if (info.begin > info.end) throw model_error(label + ": data_offsets begin after their end");
  const uint64_t wanted = bytes_of(info.shape, dtype->bytes, label);
  if (info.end - info.begin != wanted)
    throw model_error(label + ": dtype and shape need " + std::to_string(wanted) + " bytes, data_offsets span " +
                      std::to_string(info.end - info.begin));
  return info;
}

std::map<std::string, std::string> parse_metadata(const json& entry) {
  if (!entry.is_object()) throw model_error("__metadata__ is not an object");
  std::map<std::string, std::string> metadata;
  for (const auto& [key, value] : entry.items()) {
    if (!value.is_string()) throw model_error("__metadata__ '" + printable(key) + "' is not a string");
    metadata.emplace(key, value.get<std::string>());
  }
  return metadata;
}

// Calls `visit` for each entry of an object that is known to be valid JSON. A tree of the whole header would take ten times its size.
void for_each_entry(std::string_view object, const std::function<void(const std::string&, const json&)>& visit) {
  size_t begin = 1, colon = 0;
  int depth = 0;
  bool in_string = false;
  const auto flush = [&](size_t end) {
    if (colon == 0) return;
    const std::string_view name = object.substr(begin, colon - begin), value = object.substr(colon + 1, end - colon - 1);
    visit(json::parse(name.begin(), name.end()).get<std::string>(), json::parse(value.begin(), value.end()));
    begin = end + 1;
    colon = 0;
  };
  for (size_t i = 1; i < object.size() && depth >= 0; ++i) {
    const char c = object[i];
    if (in_string) {
      if (c == '\\') ++i;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (c == '}' || c == ']') {
      if (--depth < 0) flush(i);
    } else if (depth == 0 && c == ':') {
      colon = i;
    } else if (depth == 0 && c == ',') {
      flush(i);
    }
  }
}

// The tensors tile the body: each byte belongs to exactly one.
void check_layout(const std::vector<TensorInfo>& tensors, uint64_t body_bytes) {
  uint64_t position = 0;
  for (const TensorInfo& info : tensors) {
    const std::string label = "tensor '" + printable(info.name) + "'";
    if (info.end > body_bytes)
      throw model_error(label + " ends at byte " + std::to_string(info.end) + " of the data, which has " + std::to_string(body_bytes) +
                        ": the file is truncated or its header is wrong");
    if (info.begin < position) throw model_error(label + " overlaps the tensor before it");
    if (info.begin > position) throw model_error("a gap of " + std::to_string(info.begin - position) + " bytes before " + label);
    position = info.end;
  }
  if (position != body_bytes) throw model_error(std::to_string(body_bytes - position) + " trailing bytes belong to no tensor");
}

}  // namespace

const Dtype* dtype_from_name(std::string_view name) {
  const auto* found = std::find_if(std::begin(kDtypes), std::end(kDtypes), [&](const Dtype& d) { return d.name == name; });
  return found == std::end(kDtypes) ? nullptr : found;
}

const Dtype* dtype_from_type(at::ScalarType type) {
  const auto* found = std::find_if(std::begin(kDtypes), std::end(kDtypes), [&](const Dtype& d) { return d.type == type; });
  return found == std::end(kDtypes) ? nullptr : found;
}

void check_name(std::string_view name) {
  for (const char c : name)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      throw model_error("tensor name '" + printable(name) + "' holds a control character");
}

Header parse_header(std::string_view json_text, uint64_t body_bytes) {
  const size_t first = json_text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || json_text[first] != '{') throw model_error("the header is not a JSON object");
  check_json(json_text, {.depth = kMaxDepth, .values = 32 * kMaxTensors, .root_keys = kMaxTensors + 1, .root_key_name = "keys"}, "the header");
  Header header;
  for_each_entry(json_text.substr(first), [&](const std::string& name, const json& entry) {
    if (name == kMetadataKey) {
      header.metadata = parse_metadata(entry);
    } else {
      header.tensors.push_back(parse_tensor(name, entry));
    }
    if (header.tensors.size() > kMaxTensors) throw model_error("more than " + std::to_string(kMaxTensors) + " tensors");
  });
  std::stable_sort(header.tensors.begin(), header.tensors.end(), [](const TensorInfo& a, const TensorInfo& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  check_layout(header.tensors, body_bytes);
  return header;
}

}  // namespace mvrm::core::safetensors
