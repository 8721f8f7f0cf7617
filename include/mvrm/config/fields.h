// SPDX-License-Identifier: Apache-2.0
// Describe a configuration once: each stage owns a struct and one `describe`, and reading, writing and docs/config.md follow.
//
//   struct SamplerConfig { double fps = 1.0; int64_t max_frames = 16; };
//   template <class Visitor> void describe(Visitor& v, SamplerConfig& c) {     // in the namespace of SamplerConfig
//     v("fps", c.fps, "frames per second of video time", config::positive);
//     v("max_frames", c.max_frames, "upper bound after sampling", config::at_least(1));
//   }
//   struct DataConfig { std::filesystem::path train; SamplerConfig sampler; };
//   template <class Visitor> void describe(Visitor& v, DataConfig& c) {
//     v("train", c.train, "training data file", config::required);
//     v.group("sampler", c.sampler, "which frames are used");
//   }
//
// Nothing of YAML here; see yaml_reader.h.
#pragma once
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace mvrm::config {

// A field that is one number, a number per name, or a word: alpha: 0.5 | {visual quality: 0.1} | auto. Exactly one is set after reading.
struct ScalarOrMap {
  std::optional<double> scalar = std::nullopt;
  std::map<std::string, double> map = {};
  std::string word = {};
};

// A condition on the values that are read; defaults are the describer's own business.
// Numeric conditions hold for each number of a list or a map, one_of for each word.
struct Check {
  enum class Kind { required, positive, at_least, in_range, one_of };
  Kind kind = Kind::required;
  double low = 0, high = 0;
  std::vector<std::string> words = {};
};
struct Required {
  operator Check() const { return {.kind = Check::Kind::required}; }   // NOLINT(google-explicit-constructor)
};
struct Positive {
  operator Check() const { return {.kind = Check::Kind::positive}; }   // NOLINT(google-explicit-constructor)
};
inline constexpr Required required;   // the key must be given, and a text not empty
inline constexpr Positive positive;   // > 0
inline Check at_least(double low) { return {.kind = Check::Kind::at_least, .low = low}; }
// Both ends belong to the range.
inline Check in_range(double low, double high) { return {.kind = Check::Kind::in_range, .low = low, .high = high}; }
inline Check one_of(std::vector<std::string> words) { return {.kind = Check::Kind::one_of, .words = std::move(words)}; }

// The types a leaf may have. A new one needs an overload in src/config/values.cpp and in the two writers.
using FieldPointer = std::variant<int64_t*, uint64_t*, double*, bool*, std::string*, std::filesystem::path*, std::optional<int64_t>*,
                                  std::optional<double>*, std::vector<double>*, std::vector<std::string>*, std::map<std::string, double>*,
                                  ScalarOrMap*>;

// One described key: a leaf that points at its variable, or a group of fields.
struct Field {
  std::string key;
  std::string help;
  std::optional<FieldPointer> value;   // empty: a group
  std::vector<Check> checks;
  std::vector<Field> fields;           // of a group, in the order of description
};

// What `describe` is called with; collects the fields, which point into the described struct.
class Visitor {
 public:
  template <class T, class... Checks>
  void operator()(const char* key, T& value, const char* help, const Checks&... checks) {
    fields_.push_back({.key = key, .help = help, .value = FieldPointer(&value), .checks = {Check(checks)...}, .fields = {}});
  }
  template <class T>
  void group(const char* key, T& sub, const char* help) {
    Visitor inner;
    describe(inner, sub);
    fields_.push_back({.key = key, .help = help, .value = std::nullopt, .checks = {}, .fields = std::move(inner.fields_)});
  }
  const std::vector<Field>& fields() const { return fields_; }

 private:
  std::vector<Field> fields_;
};

// The fields of a described struct. They point into `config`, which must outlive them.
template <class T>
std::vector<Field> fields_of(T& config) {
  Visitor visitor;
  describe(visitor, config);
  return visitor.fields();
}

}  // namespace mvrm::config
