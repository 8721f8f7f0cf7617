// SPDX-License-Identifier: Apache-2.0
// One JSON object of a config.json, read key by key; every complaint names file, key, value and the remedy.
#pragma once
#include <filesystem>
#include <mvrm/core/error.h>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

namespace mvrm::model {

class ConfigSection {
 public:
  ConfigSection(nlohmann::json object, std::string prefix, std::filesystem::path file)
      : object_(std::move(object)), prefix_(std::move(prefix)), file_(std::move(file)) {
    if (!object_.is_object()) throw core::model_error(file_.string() + ": " + where("") + "must be an object, got " + object_.type_name());
  }

  [[noreturn]] void fail(const std::string& key, const std::string& why) const {
    throw core::model_error(file_.string() + ": " + prefix_ + key + ": " + why);
  }
  // nullptr when the key is missing; null counts as a value.
  const nlohmann::json* find(const std::string& key) const {
    const auto it = object_.find(key);
    return it == object_.end() ? nullptr : &*it;
  }
  bool is_null_or_missing(const std::string& key) const { return !find(key) || find(key)->is_null(); }

  static constexpr int64_t kHighest = int64_t{1} << 24;
  static constexpr int64_t kMostLayers = 1024;   // each costs memory before a weight is read

  // A count: an integer in [low, high].
  int64_t integer(const std::string& key, int64_t fallback, int64_t low = 1, int64_t high = kHighest) const {
    const nlohmann::json* value = find(key);
    if (!value) return fallback;
    if (!value->is_number_integer()) fail(key, "must be an integer, got " + shown(*value));
    const bool huge = value->is_number_unsigned() && value->get<uint64_t>() > static_cast<uint64_t>(high);
    if (huge || value->get<int64_t>() < low || value->get<int64_t>() > high)
      fail(key, "must lie in " + std::to_string(low) + ".." + std::to_string(high) + ", got " + value->dump());
    return value->get<int64_t>();
  }
  double positive(const std::string& key, double fallback) const {
    const nlohmann::json* value = find(key);
    if (!value) return fallback;
    if (!value->is_number() || !(value->get<double>() > 0) || value->get<double>() > 1e12)
      fail(key, "must be a positive number, got " + shown(*value));
    return value->get<double>();
  }
  // The layers know one activation each; another one must not pass silently.
  void expect_text(const std::string& key, const std::string& only) const {
    const nlohmann::json* value = find(key);
    if (value && *value != nlohmann::json(only)) fail(key, "only \"" + only + "\" is supported, got " + shown(*value));
  }
  ConfigSection child(const std::string& key) const {
    return {is_null_or_missing(key) ? nlohmann::json::object() : *find(key), prefix_ + key + ".", file_};
  }

 // A value in a message of one line.
  static std::string shown(const nlohmann::json& value) {
    constexpr size_t kMost = 200;
    const std::string text = value.dump();
    return text.size() > kMost ? text.substr(0, kMost) + "…" : text;
  }

 private:
  std::string where(const std::string& key) const {
    const std::string path = prefix_ + key;
    return path.empty() ? "" : path.substr(0, path.size() - (path.back() == '.' ? 1 : 0)) + ": ";
  }

  nlohmann::json object_;
  std::string prefix_;
  std::filesystem::path file_;
};

}  // namespace mvrm::model
