// SPDX-License-Identifier: Apache-2.0
#include "layouts.h"

#include <mvrm/text/prompt.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "row_keys.h"
#include "row_reader.h"

namespace mvrm::data {

namespace {

// The caption inside a complete prompt, as VideoScore's scripts find it (spec/videoscore.md 3.8).
std::string caption_in(const std::string& prompt) {
  const std::string mark = "text prompt is \"";
  const auto begin = prompt.find(mark);
  if (begin == std::string::npos) return {};
  const auto end = prompt.find("\",\n", begin + mark.size());
  return end == std::string::npos ? "" : prompt.substr(begin + mark.size(), end - begin - mark.size());
}

bool has_text(const Json& row, const char* key) { return row.contains(key) && row[key].is_string(); }

std::string caption_of(const Written& from) {
  if (!from.sample.prompt_is_complete) return from.sample.prompt;
  return has_text(from.row.object, "text prompt") ? from.row.object["text prompt"].get<std::string>() : caption_in(from.sample.prompt);
}

std::string complete_prompt_of(const Written& from) {
  return from.sample.prompt_is_complete ? from.sample.prompt : text::fill(text::videoscore_template(), from.sample.prompt);
}

bool is_whole(const Json& value) { return value.is_number() && value.get<double>() == std::floor(value.get<double>()); }

bool is_videofeedback_dimension(const std::string& name) {
  const auto names = videofeedback_dimensions();
  return std::find(names.begin(), names.end(), name) != names.end();
}

void count_lost_keys(const Written& from, const std::set<std::string>& lost, Losses& losses) {
  for (const auto& [key, value] : from.row.object.items()) {
    if (!value.is_null() && (lost.contains(key) || !sample_keys().contains(key))) ++losses["'" + excerpt(key, 80) + "'"];
  }
}

void put_media(const Written& from, Json& to) {
  if (!from.video.empty())
    to["video"] = from.video;
  else
    to["images"] = from.images;
}

// Under "prompt" where reading it back gives the same, else as a conversation.
void put_prompt(const Written& from, Json& to) {
  const Sample& sample = from.sample;
  const std::string caption = sample.prompt_is_complete && has_text(from.row.object, "text prompt") ? caption_of(from) : "";
  if (!sample.prompt_is_complete || (!caption.empty() && sample.prompt == text::fill(text::videoscore_template(), caption))) {
    to["prompt"] = sample.prompt_is_complete ? caption : sample.prompt;
  } else if (holds_instructions(sample.prompt)) {
    to["prompt"] = sample.prompt;
    if (!caption.empty()) to["text prompt"] = caption;
  } else {
    to["conversations"] = Json::array({Json{{"from", "human"}, {"value", sample.prompt}}});
    if (!caption.empty()) to["text prompt"] = caption;
  }
}

}  // namespace

std::optional<Json> as_mvrm(const Written& from, Losses&) {
  const Json& row = from.row.object;
  Json to{{"id", from.sample.id}};
  put_media(from, to);
  put_prompt(from, to);
  if (from.labels && !from.labels->any_scale) to["labels"] = from.labels->values;
  for (const auto& [key, value] : row.items()) {
    const bool carried = key == "preference" || key == "score_list" || (key == "video link" && from.video.empty());
    if (!sample_keys().contains(key) || carried) to[key] = value;
  }
  return to;
}

std::optional<Json> as_videofeedback(const Written& from, Losses& losses) {
  const Json& row = from.row.object;
  Json to{{"id", from.sample.id}, {"images", from.images}, {"text prompt", caption_of(from)}};
  if (!from.video.empty())
    to["video link"] = from.video;
  else if (row.contains("video link"))
    to["video link"] = row["video link"];
  if (caption_of(from).empty() && from.sample.prompt_is_complete) ++losses["a caption apart from the instructions (none can be told)"];
  std::string answer;
  const bool columns = from.labels && !from.labels->any_scale;
  for (const auto& name : videofeedback_dimensions()) {
    const Json value = columns && from.labels->values.contains(name) ? from.labels->values[name] : Json();
    to[name] = is_whole(value) ? Json(static_cast<int64_t>(value.get<double>())) : Json();
    if (is_whole(value))
      answer += (answer.empty() ? "" : "\n") + name + ": " + to[name].dump();
    else if (!value.is_null())
      ++losses["labels that are not whole numbers"];
  }
  if (columns) {
    for (const auto& [name, value] : from.labels->values.items()) {
      if (!is_videofeedback_dimension(name) && !value.is_null()) ++losses["labels of '" + excerpt(name, 80) + "'"];
    }
  }
  to["conversations"] =
      Json::array({Json{{"from", "human"}, {"value", complete_prompt_of(from)}}, Json{{"from", "gpt"}, {"value", answer}}});
  for (const char* key : {"score_list", "preference"}) {
    if (row.contains(key)) to[key] = row[key];
  }
  count_lost_keys(from, {}, losses);
  return to;
}

std::optional<Json> as_videoscore_train(const Written& from, Losses& losses) {
  if (!from.video.empty()) {
    ++losses["rows whose media is a clip (the training file lists frames)"];
    return std::nullopt;
  }
  Json labels = Json::object();
  for (const auto& name : videofeedback_dimensions()) {
    if (from.labels && from.labels->values.contains(name) && from.labels->values[name].is_number())
      labels[name] = from.labels->values[name].get<double>();
  }
  if (labels.size() != videofeedback_dimensions().size()) {
    ++losses["rows without all of the five labels (VideoScore's loader goes out of step there)"];
    return std::nullopt;
  }
  for (const auto& [name, value] : from.labels->values.items()) {
    if (!is_videofeedback_dimension(name) && !value.is_null()) ++losses["labels of '" + excerpt(name, 80) + "'"];
  }
  count_lost_keys(from, {"video link", "preference", "score_list"}, losses);
  return Json{{"id", from.sample.id}, {"images", from.images}, {"prompt", complete_prompt_of(from)}, {"labels", labels}};
}

}  // namespace mvrm::data
