// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/core/safetensors.h>

#include "tests/support/program.h"

namespace {

using mvrm::core::NamedTensors;
using mvrm::core::read_file;
using mvrm::core::SafetensorsFile;
using mvrm::core::write_safetensors;
using mvrm::test::Scratch;

// A file out of header text and data; the length is written for the caller.
std::string file_bytes(const std::string& header, const std::string& body) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(header.size() >> (8 * i)));
  return bytes + header + body;
}

TEST(Safetensors, WritesAndReadsBack) {
  const Scratch scratch("st1");
  const auto path = scratch.path / "a.safetensors";
  const at::Tensor weight = at::arange(6, at::kFloat).view({2, 3});
  write_safetensors(path, {{"weight", weight}, {"step", at::scalar_tensor(7, at::kLong)}}, {{"format", "pt"}});
  const auto file = SafetensorsFile::open(path);
  EXPECT_TRUE(at::equal(file.tensor("weight"), weight));
  EXPECT_EQ(file.tensor("step").item<int64_t>(), 7);
  EXPECT_EQ(file.metadata().at("format"), "pt");
  EXPECT_EQ(file.find("absent"), nullptr);
  EXPECT_THROW(file.tensor("absent"), mvrm::core::Error);
}

// Worked out by hand from the format's description: length, JSON padded with spaces to 8 bytes, data; the wider type first.
TEST(Safetensors, TheBytesAreThoseOfTheFormat) {
  const Scratch scratch("st2");
  const auto path = scratch.path / "a.safetensors";
  const at::Tensor a = at::tensor({1, 2, 3}, at::kByte), b = at::tensor({1, -2}, at::kShort), c = at::ones({1}, at::kFloat);
  write_safetensors(path, {{"b", b}, {"a", a}, {"c", c}});
  const std::string header =
      R"({"c":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"I16","shape":[2],"data_offsets":[4,8]},)"
      R"("a":{"dtype":"U8","shape":[3],"data_offsets":[8,11]}})";
  const std::string padded = header + std::string((8 - header.size() % 8) % 8, ' ');
  EXPECT_EQ(read_file(path), file_bytes(padded, std::string("\0\0\x80\x3f\x01\0\xfe\xff\x01\x02\x03", 11)));
}

TEST(Safetensors, EachDtypeSurvives) {
  const Scratch scratch("st3");
  NamedTensors tensors;
  for (const auto type :
       {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kLong, at::kInt, at::kShort, at::kChar, at::kByte, at::kBool})
    tensors.emplace_back(at::toString(type), at::tensor({0, 1, 1, 0, 1}, at::kInt).to(type));
  tensors.emplace_back("empty", at::empty({0, 3}));
  tensors.emplace_back("transposed", at::arange(6, at::kFloat).view({2, 3}).t());   // not contiguous
  write_safetensors(scratch.path / "a", tensors);
  const auto file = SafetensorsFile::open(scratch.path / "a");
  EXPECT_EQ(file.tensors().size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    EXPECT_EQ(file.tensor(name).scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(at::equal(file.tensor(name), tensor)) << name;
  }
}

TEST(Safetensors, SameInputSameBytesInAnyOrder) {
  const Scratch scratch("st4");
  const at::Tensor a = at::ones({3}), b = at::zeros({2}, at::kLong), c = at::ones({1}, at::kDouble);
  write_safetensors(scratch.path / "1", {{"a", a}, {"b", b}, {"c", c}}, {{"x", "1"}, {"y", "2"}});
  write_safetensors(scratch.path / "2", {{"c", c}, {"b", b}, {"a", a}}, {{"y", "2"}, {"x", "1"}});
  EXPECT_EQ(read_file(scratch.path / "1"), read_file(scratch.path / "2"));
}

// The reference implementation wrote this file; reading and writing it again must give each byte back.
TEST(Safetensors, RewritesTheReferenceFileByteForByte) {
  const auto golden = std::filesystem::path(MVRM_SOURCE_DIR) / "tests/golden/tiny/model.safetensors";
  if (!std::filesystem::exists(golden)) GTEST_SKIP() << "no tests/golden/tiny/model.safetensors in this checkout";
  const Scratch scratch("st5");
  const auto file = SafetensorsFile::open(golden);
  EXPECT_EQ(file.tensors().size(), 84U);
  NamedTensors tensors;
  for (const auto& info : file.tensors()) tensors.emplace_back(info.name, file.tensor(info.name));
  write_safetensors(scratch.path / "again", tensors, file.metadata());
  EXPECT_EQ(mvrm::core::sha256_file(scratch.path / "again"), mvrm::core::sha256_file(golden));
}

TEST(Safetensors, UnalignedDataIsCopied) {
  const Scratch scratch("st6");
  const std::string header =
      R"({"flag":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"x":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}})";
  mvrm::core::write_file_atomic(scratch.path / "a", file_bytes(header, std::string("\x05\0\0\x80\x3f", 5)));
  const auto file = SafetensorsFile::open(scratch.path / "a");
  const at::Tensor x = file.tensor("x");
  EXPECT_EQ(x.item<float>(), 1.0F);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(x.data_ptr()) % alignof(float), 0U);
  EXPECT_EQ(file.tensor("flag").item<uint8_t>(), 5);
}

TEST(Safetensors, ATensorKeepsTheMappingAlive) {
  const Scratch scratch("st7");
  write_safetensors(scratch.path / "a", {{"x", at::full({1000}, 3.0)}});
  at::Tensor x;
  {
    const auto file = SafetensorsFile::open(scratch.path / "a");
    x = file.tensor("x");
  }
  std::filesystem::remove(scratch.path / "a");
  EXPECT_EQ(x.sum().item<double>(), 3000.0);
}

TEST(Safetensors, AFileWithoutTensorsIsFine) {
  const Scratch scratch("st8");
  write_safetensors(scratch.path / "a", {});
  EXPECT_TRUE(SafetensorsFile::open(scratch.path / "a").tensors().empty());
}

TEST(Safetensors, WhatCannotBeReadIsNotWritten) {
  const Scratch scratch("st9");
  const at::Tensor x = at::ones({1});
  const auto path = scratch.path / "a";
  EXPECT_THROW(write_safetensors(path, {{"x", x}, {"x", x}}), mvrm::core::Error);
  EXPECT_THROW(write_safetensors(path, {{"__metadata__", x}}), mvrm::core::Error);
  EXPECT_THROW(write_safetensors(path, {{"a\nb", x}}), mvrm::core::Error);
  EXPECT_THROW(write_safetensors(path, {{"\xff", x}}), mvrm::core::Error);
  EXPECT_THROW(write_safetensors(path, {{"x", at::Tensor()}}), mvrm::core::Error);
  EXPECT_THROW(write_safetensors(path, {{"x", at::ones({1}, at::kComplexFloat)}}), mvrm::core::Error);
  EXPECT_THROW(write_safetensors(path, {{"x", at::ones({1, 1, 1, 1, 1, 1, 1, 1, 1})}}), mvrm::core::Error);
  EXPECT_TRUE(std::filesystem::is_empty(scratch.path));
}

}  // namespace
