// SPDX-License-Identifier: Apache-2.0
// The JSON header of a safetensors file: parsing with every check, and the dtype table. Private to core.
#pragma once
#include <mvrm/core/error.h>
#include <mvrm/core/safetensors.h>
#include <string_view>

#include "json_guard.h"

namespace mvrm::core::safetensors {

constexpr uint64_t kMaxHeaderBytes = 16'000'000;    // the reference takes 100 MB; 100,000 tensors fit, and reading stays small
constexpr size_t kMaxTensors = 100'000;
constexpr size_t kMaxRank = 8;
constexpr size_t kMaxDepth = 4;                     // root, tensor, shape; one level for fields we ignore
constexpr std::string_view kMetadataKey = "__metadata__";

struct Dtype {
  std::string_view name;
  at::ScalarType type;
  uint64_t bytes;
};
// Largest elements first; equal sizes in the order in which the reference writer lays them out.
constexpr Dtype kDtypes[] = {
    {"I64", at::kLong, 8}, {"F64", at::kDouble, 8}, {"F32", at::kFloat, 4}, {"I32", at::kInt, 4}, {"BF16", at::kBFloat16, 2},
    {"F16", at::kHalf, 2}, {"I16", at::kShort, 2},  {"I8", at::kChar, 1},   {"U8", at::kByte, 1}, {"BOOL", at::kBool, 1},
};
const Dtype* dtype_from_name(std::string_view name);    // nullptr when unknown
const Dtype* dtype_from_type(at::ScalarType type);

struct Header {
  std::vector<TensorInfo> tensors;                      // in the order of their offsets
  std::map<std::string, std::string> metadata;
};

// `body_bytes` is the size of what follows the header. Throws Error (model) whose message holds the cause only;
// the caller puts the file's name before it.
Header parse_header(std::string_view json_text, uint64_t body_bytes);

// Throws the same for names that aren't accepted: control characters.
void check_name(std::string_view name);

}  // namespace mvrm::core::safetensors
