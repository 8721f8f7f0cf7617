// SPDX-License-Identifier: Apache-2.0
// Files that must be refused, each kind by its own name, with one line that names the file and the cause.
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/core/safetensors.h>
#include <ostream>

#include "tests/support/program.h"

namespace {

using mvrm::core::SafetensorsFile;
using mvrm::test::Scratch;

std::string with_length(uint64_t length, const std::string& rest) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(length >> (8 * i)));
  return bytes + rest;
}
std::string file_bytes(const std::string& header, size_t body_bytes) {
  return with_length(header.size(), header + std::string(body_bytes, '\0'));
}
// One tensor "x" described by the given fields, and 4 bytes of data.
std::string one(const std::string& fields) { return file_bytes("{\"x\":{" + fields + "}}", 4); }
std::string repeated(const std::string& text, int count) {
  std::string result;
  for (int i = 0; i < count; ++i) result += text;
  return result;
}
std::string many_tensors(int count) {
  std::string header = "{";
  for (int i = 0; i < count; ++i)
    header += (i ? ",\"" : "\"") + std::to_string(i) + "\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}";
  return file_bytes(header + "}", 0);
}

const std::string kGood = R"("dtype":"F32","shape":[1],"data_offsets":[0,4])";
const std::string kTwo = R"("dtype":"F32","shape":[1],"data_offsets":)";

struct Broken {
  const char* name;
  std::string bytes;
  std::string cause;   // a part of the message
};
void PrintTo(const Broken& broken, std::ostream* out) { *out << broken.name; }

class BrokenSafetensors : public testing::TestWithParam<Broken> {};

TEST_P(BrokenSafetensors, IsRefusedInOneLine) {
  const Scratch scratch("broken");
  const auto path = scratch.path / "model.safetensors";
  mvrm::core::write_file_atomic(path, GetParam().bytes);
  try {
    SafetensorsFile::open(path);
  } catch (const mvrm::core::Error& error) {
    const std::string message = error.what();
    EXPECT_EQ(error.status(), mvrm::core::ExitStatus::model);
    EXPECT_EQ(message.rfind(path.string() + ": ", 0), 0U) << message;
    EXPECT_NE(message.find(GetParam().cause), std::string::npos) << message;
    EXPECT_EQ(message.find_first_of(std::string("\n\r\0", 3)), std::string::npos);
    EXPECT_LT(message.size(), 700U);
    return;
  }
  FAIL() << "accepted";
}

const Broken kBroken[] = {
    {"Empty", "", "0 bytes are too few"},
    {"SevenBytes", std::string(7, '\0'), "7 bytes are too few"},
    {"HeaderLengthZero", with_length(0, ""), "not a JSON object"},
    {"HeaderBeyondTheFile", with_length(3, "{}"), "beyond the end of the file"},
    {"HeaderLengthHuge", with_length(uint64_t{1} << 63, "{}"), "is above 16000000"},
    {"HeaderLengthAllOnes", with_length(~uint64_t{0}, "{}"), "is above 16000000"},
    {"HeaderAbove16Megabytes", with_length(16'000'001, "{}"), "is above 16000000"},
    {"NotJson", file_bytes("{\"x\":", 0), "not JSON"},
    {"JunkBehindTheHeader", file_bytes("{} {}", 0), "not JSON"},
    {"Array", file_bytes("[]", 0), "not a JSON object"},
    {"Number", file_bytes("1", 0), "not a JSON object"},
    {"Spaces", file_bytes("        ", 0), "not a JSON object"},
    {"ByteOrderMark", file_bytes("\xef\xbb\xbf{}", 0), "not a JSON object"},
    {"NulBehindTheObject", file_bytes(std::string("{}\0abc", 6), 0), "NUL byte"},
    {"BadUtf8", file_bytes("{\"\xff\":{" + kGood + "}}", 4), "not JSON"},
    {"LoneSurrogate", file_bytes("{\"\\ud800\":{" + kGood + "}}", 4), "not JSON"},
    {"TruncatedBody", file_bytes("{\"x\":{" + kGood + "}}", 3), "truncated"},
    {"TrailingBytes", file_bytes("{\"x\":{" + kGood + "}}", 5), "1 trailing bytes"},
    {"BodyWithoutTensors", file_bytes("{}", 8), "8 trailing bytes"},
    {"Overlap", file_bytes("{\"x\":{" + kTwo + "[0,4]},\"y\":{" + kTwo + "[2,6]}}", 6), "overlaps"},
    {"SameRangeTwice", file_bytes("{\"x\":{" + kTwo + "[0,4]},\"y\":{" + kTwo + "[0,4]}}", 4), "overlaps"},
    {"Gap", file_bytes("{\"x\":{" + kTwo + "[0,4]},\"y\":{" + kTwo + "[6,10]}}", 10), "a gap of 2 bytes"},
    {"GapAtTheStart", file_bytes("{\"x\":{" + kTwo + "[4,8]}}", 8), "a gap of 4 bytes"},
    {"BeginBehindEnd", one(R"("dtype":"F32","shape":[1],"data_offsets":[4,0])"), "begin after their end"},
    {"NegativeOffset", one(R"("dtype":"F32","shape":[1],"data_offsets":[-4,0])"), "non-negative integer"},
    {"FractionalOffset", one(R"("dtype":"F32","shape":[1],"data_offsets":[0,4.0])"), "non-negative integer"},
    {"HugeOffset", one(R"("dtype":"F32","shape":[1],"data_offsets":[18446744073709551612,18446744073709551616])"), "non-negative integer"},
    {"OffsetsNearTheLimit", one(R"("dtype":"F32","shape":[1],"data_offsets":[18446744073709551611,18446744073709551615])"), "of the data"},
    {"OneOffset", one(R"("dtype":"F32","shape":[1],"data_offsets":[0])"), "must be [begin, end]"},
    {"ThreeOffsets", one(R"("dtype":"F32","shape":[1],"data_offsets":[0,4,4])"), "must be [begin, end]"},
    {"OffsetsNotAList", one(R"("dtype":"F32","shape":[1],"data_offsets":4)"), "must be [begin, end]"},
    {"UnknownDtype", one(R"("dtype":"F33","shape":[1],"data_offsets":[0,4])"), "unsupported dtype 'F33'"},
    {"LowerCaseDtype", one(R"("dtype":"f32","shape":[1],"data_offsets":[0,4])"), "unsupported dtype 'f32'"},
    {"DtypeNotText", one(R"("dtype":32,"shape":[1],"data_offsets":[0,4])"), "dtype must be a string"},
    {"MissingDtype", one(R"("shape":[1],"data_offsets":[0,4])"), "has no 'dtype'"},
    {"MissingShape", one(R"("dtype":"F32","data_offsets":[0,4])"), "has no 'shape'"},
    {"MissingOffsets", one(R"("dtype":"F32","shape":[1])"), "has no 'data_offsets'"},
    {"ShapeUnlikeBytes", one(R"("dtype":"F32","shape":[2],"data_offsets":[0,4])"), "need 8 bytes, data_offsets span 4"},
    {"ShapeOverflow", one(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0])"), "overflows"},
    {"ShapeOverflowTimesElement", one(R"("dtype":"F32","shape":[4611686018427387905],"data_offsets":[0,4])"), "overflows"},
    {"ShapeOverflowWithZero", one(R"("dtype":"F32","shape":[4294967296,4294967296,0],"data_offsets":[0,0])"), "overflows"},
    {"ShapeAbove63Bits", one(R"("dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,4])"), "overflows"},
    {"NegativeShape", one(R"("dtype":"F32","shape":[-1],"data_offsets":[0,4])"), "non-negative integer"},
    {"BooleanShape", one(R"("dtype":"F32","shape":[true],"data_offsets":[0,4])"), "non-negative integer"},
    {"FractionalShape", one(R"("dtype":"F32","shape":[1.0],"data_offsets":[0,4])"), "non-negative integer"},
    {"ShapeNotAList", one(R"("dtype":"F32","shape":1,"data_offsets":[0,4])"), "shape must be an array"},
    {"Rank9", one(R"("dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4])"), "rank 9 is above 8"},
    {"TensorNotAnObject", file_bytes(R"({"x":[0,4]})", 4), "is not an object"},
    {"DuplicateTensor", file_bytes("{\"x\":{" + kGood + "},\"x\":{" + kGood + "}}", 4), "duplicate key 'x'"},
    {"DuplicateEscapedTensor", file_bytes("{\"x\":{" + kGood + "},\"\\u0078\":{" + kGood + "}}", 4), "duplicate key 'x'"},
    {"DuplicateField", one(R"("dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4])"), "duplicate key 'dtype'"},
    {"NulInName", file_bytes("{\"a\\u0000b\":{" + kGood + "}}", 4), "holds a control character"},
    {"LineBreakInName", file_bytes("{\"a\\nb\":{" + kGood + "}}", 4), "holds a control character"},
    {"MetadataNumber", file_bytes(R"({"__metadata__":{"epoch":1}})", 0), "'epoch' is not a string"},
    {"MetadataNested", file_bytes(R"({"__metadata__":{"a":{"b":"c"}}})", 0), "'a' is not a string"},
    {"MetadataList", file_bytes(R"({"__metadata__":[]})", 0), "__metadata__ is not an object"},
    {"DeepObjects", file_bytes("{\"x\":" + repeated("{\"x\":", 5000) + "1" + repeated("}", 5001), 0), "nests deeper than 4"},
    {"DeepLists", file_bytes("{\"x\":" + repeated("[", 5000) + repeated("]", 5000) + "}", 0), "nests deeper than 4"},
    {"TooManyTensors", many_tensors(100'001), "more than 100000 tensors"},
};
INSTANTIATE_TEST_SUITE_P(Safetensors, BrokenSafetensors, testing::ValuesIn(kBroken), [](const auto& broken) { return broken.param.name; });

TEST(BrokenSafetensorsFile, EveryTruncationIsRefused) {
  const Scratch scratch("truncated");
  const std::string whole = file_bytes("{\"x\":{" + kGood + "}}", 4);
  for (size_t size = 0; size < whole.size(); ++size) {
    mvrm::core::write_file_atomic(scratch.path / "a", whole.substr(0, size));
    EXPECT_THROW(SafetensorsFile::open(scratch.path / "a"), mvrm::core::Error) << size;
  }
  mvrm::core::write_file_atomic(scratch.path / "a", whole);
  EXPECT_NO_THROW(SafetensorsFile::open(scratch.path / "a"));
}

// No byte that is changed to any of these values may do worse than an error or another valid file.
TEST(BrokenSafetensorsFile, NoChangedByteCrashes) {
  const Scratch scratch("flipped");
  const std::string whole = file_bytes("{\"__metadata__\":{\"a\":\"b\"},\"x\":{" + kGood + "}}", 4);
  size_t refused = 0;
  for (size_t i = 0; i < whole.size(); ++i) {
    for (const char c : {'\0', '\x01', '\x7f', '\xff', '"', '{', '}', '9', '-', ' '}) {
      std::string changed = whole;
      changed[i] = c;
      std::ofstream(scratch.path / "a", std::ios::binary) << changed;
      try {
        const auto file = SafetensorsFile::open(scratch.path / "a");
        for (const auto& info : file.tensors()) file.tensor(info.name);
      } catch (const mvrm::core::Error&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, whole.size() * 5);
}

TEST(BrokenSafetensorsFile, AbsentFilesAndFoldersAreNamed) {
  const Scratch scratch("absent");
  EXPECT_THROW(SafetensorsFile::open(scratch.path), mvrm::core::Error);
  EXPECT_THROW(SafetensorsFile::open("/dev/zero"), mvrm::core::Error);
  try {
    SafetensorsFile::open(scratch.path / "model.safetensors");
    FAIL() << "no error";
  } catch (const mvrm::core::Error& error) {
    EXPECT_EQ(error.what(), (scratch.path / "model.safetensors").string() + ": can't open: No such file or directory");
    EXPECT_EQ(error.status(), mvrm::core::ExitStatus::model);
  }
}

}  // namespace
