// SPDX-License-Identifier: Apache-2.0
// How the result of `mvrm explain` is shown: a table, JSON, a curve (SVG) and frames with their regions coloured (PNG).
#include <ATen/ATen.h>
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <mvrm/core/error.h>
#include <mvrm/report/markup.h>
#include <mvrm/report/table.h>
#include <mvrm/run/explain_run.h>
#include <nlohmann/json.hpp>
#include <png.h>

namespace mvrm::run {

namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kColours[] = {"#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f"};

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(); }

Json rows_of(const at::Tensor& table_FK, int64_t k) {
  Json values = Json::array();
  for (int64_t f = 0; f < table_FK.size(0); ++f) values.push_back(number(table_FK[f][k].item<double>()));
  return values;
}

std::string svg_text(double x, double y, const std::string& text, const std::string& more = "") {
  char place[64];
  std::snprintf(place, sizeof place, "<text x=\"%.1f\" y=\"%.1f\"", x, y);
  return place + (more.empty() ? "" : " " + more) + ">" + report::escaped(text) + "</text>\n";
}

struct Range { double low = 0, high = 0; };

Range range_of(const at::Tensor& values) {
  const at::Tensor finite = values.masked_select(values.isfinite());
  if (finite.numel() == 0) return {0, 1};
  const double low = finite.min().item<double>(), high = finite.max().item<double>(), room = std::max(0.05 * (high - low), 0.05);
  return {low - room, high + room};
}

std::string png_of(const at::Tensor& picture_HWC) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.height = static_cast<png_uint_32>(picture_HWC.size(0));
  image.width = static_cast<png_uint_32>(picture_HWC.size(1));
  image.format = PNG_FORMAT_RGB;
  const at::Tensor bytes = picture_HWC.contiguous();
  png_alloc_size_t size = 0;
  if (png_image_write_to_memory(&image, nullptr, &size, 0, bytes.const_data_ptr<uint8_t>(), 0, nullptr) == 0) {
    throw core::io_error(std::string("a picture can't be encoded: ") + image.message);
  }
  std::string content(size, '\0');
  png_image_write_to_memory(&image, content.data(), &size, 0, bytes.const_data_ptr<uint8_t>(), 0, nullptr);
  content.resize(size);
  return content;
}

}  // namespace

namespace {

std::string region_name(int64_t region, int64_t grid) {
  return "frame " + std::to_string(region / (grid * grid)) + " row " + std::to_string(region / grid % grid) + " column " + std::to_string(region % grid);
}

// The region that is named in the table, and its reward: hidden, the one that brings the reward nearest to the label, if any does; alone,
// the one of the lowest reward.
std::array<std::string, 2> named_region(const influence::Localisation& parts, int64_t k, double label) {
  if (parts.lone_region_FGGK.defined()) {
    const at::Tensor alone_V = parts.lone_region_FGGK.select(3, k).flatten();
    const int64_t lowest = alone_V.argmin().item<int64_t>();
    return {region_name(lowest, parts.lone_region_FGGK.size(1)), report::fixed(alone_V[lowest].item<double>(), 3)};
  }
  if (!parts.hidden_region_FGGK.defined() || !std::isfinite(label)) return {"-", "-"};
  const at::Tensor hidden_V = parts.hidden_region_FGGK.select(3, k).flatten();
  const int64_t best = (hidden_V - label).abs().argmin().item<int64_t>();
  const double value = hidden_V[best].item<double>();
  if (std::abs(value - label) >= std::abs(parts.reward_K[k].item<double>() - label)) return {"-", "-"};
  return {region_name(best, parts.hidden_region_FGGK.size(1)), report::fixed(value, 3)};
}

}  // namespace

std::string explain_table(const ExplainResult& result) {
  const bool alone = std::any_of(result.samples.begin(), result.samples.end(), [](const auto& sample) { return sample.localisation.lone_region_FGGK.defined(); });
  report::Table table{.header = {"id", "dimension", "label", "reward", "frame of the step", "frame of blame", "reward without it",
                                 alone ? "lowest region" : "region of blame", alone ? "reward of it alone" : "reward with it hidden"}, .rows = {}};
  for (const auto& sample : result.samples) {
    const auto& parts = sample.localisation;
    for (size_t k = 0; k < result.dimensions.size(); ++k) {
      const auto at_k = static_cast<int64_t>(k);
      const double label = sample.label_K.empty() ? std::nan("") : static_cast<double>(sample.label_K[k]), reward = parts.reward_K[at_k].item<double>();
      std::vector<std::string> row{sample.id, result.dimensions[k], report::fixed(label, 1), report::fixed(reward, 3)};
      row.push_back(sample.frame_of_step_K[k] < 0 ? "-" : std::to_string(sample.frame_of_step_K[k]));
      const int64_t blame = sample.frame_of_blame_K[k];
      row.push_back(blame < 0 ? "-" : std::to_string(blame));
      row.push_back(blame < 0 ? "-" : report::fixed(parts.without_frame_FK[blame][at_k].item<double>(), 3));
      for (auto& cell : named_region(parts, at_k, label)) row.push_back(std::move(cell));
      table.rows.push_back(std::move(row));
    }
  }
  return report::to_text(table);
}

std::string explain_json(const ExplainResult& result) {
  Json document{{"dimensions", result.dimensions}, {"results", Json::array()}};
  for (const auto& sample : result.samples) {
    const auto& parts = sample.localisation;
    Json all = Json::object();
    const auto dimensions = static_cast<int64_t>(result.dimensions.size());
    const at::Tensor label_K = sample.label_K.empty() ? at::full({dimensions}, std::nanf(""), at::kFloat) : at::tensor(at::ArrayRef<float>(sample.label_K), at::kFloat);
    const at::Tensor step_FK = influence::prefix_steps(parts), influence_FK = influence::prefix_self_influence(parts, label_K);
    for (size_t k = 0; k < result.dimensions.size(); ++k) {
      const auto at_k = static_cast<int64_t>(k);
      all[result.dimensions[k]] = {{"label", number(sample.label_K.empty() ? std::nan("") : static_cast<double>(sample.label_K[k]))},
                                   {"reward", number(parts.reward_K[at_k].item<double>())},
                                   {"reward_up_to_frame", rows_of(parts.prefix_reward_FK, at_k)},
                                   {"reward_step", rows_of(step_FK, at_k)},
                                   {"prefix_self_influence", rows_of(influence_FK, at_k)},
                                   {"frame_of_step", sample.frame_of_step_K[k] < 0 ? Json() : Json(sample.frame_of_step_K[k])},
                                   {"reward_without_frame", rows_of(parts.without_frame_FK, at_k)},
                                   {"frame_of_blame", sample.frame_of_blame_K[k] < 0 ? Json() : Json(sample.frame_of_blame_K[k])}};
    }
    document["results"].push_back({{"id", sample.id}, {"frame_indices", sample.frame_indices}, {"dimensions", all}});
  }
  return document.dump(2);
}

std::string curve_svg(const ExplainedSample& sample, const std::vector<std::string>& dimensions) {
  const at::Tensor& prefix_FK = sample.localisation.prefix_reward_FK;
  const int64_t frames = prefix_FK.size(0);
  const double width = 560, height = 300, left = 50, top = 40, bottom = 40;
  const Range range = range_of(at::cat({prefix_FK, sample.localisation.without_frame_FK}));
  const auto x = [&](int64_t f) { return left + (frames > 1 ? static_cast<double>(f) / static_cast<double>(frames - 1) : 0.5) * width; };
  const auto y = [&](double value) { return top + (range.high - value) / (range.high - range.low) * height; };
  std::string svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"880\" height=\"" + std::to_string(static_cast<int>(top + height + bottom + 10)) +
                    "\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
  svg += svg_text(left, 20, sample.id + ": reward of the clip cut behind each frame (lines) and without each frame (dots)");
  char buffer[160];
  for (int i = 0; i <= 4; ++i) {
    const double value = range.low + (range.high - range.low) * i / 4;
    std::snprintf(buffer, sizeof buffer, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>\n", left, left + width, y(value), y(value));
    svg += buffer;
    svg += svg_text(left - 8, y(value) + 4, report::fixed(value, 2), "text-anchor=\"end\"");
  }
  for (int64_t f = 0; f < frames; ++f) svg += svg_text(x(f), top + height + 18, std::to_string(f), "text-anchor=\"middle\"");
  for (size_t k = 0; k < dimensions.size(); ++k) {
    const std::string colour = kColours[k % std::size(kColours)];
    std::string points;
    for (int64_t f = 0; f < frames; ++f) {
      const double line = prefix_FK[f][static_cast<int64_t>(k)].item<double>(), dot = sample.localisation.without_frame_FK[f][static_cast<int64_t>(k)].item<double>();
      std::snprintf(buffer, sizeof buffer, "%.1f,%.1f ", x(f), y(line));
      if (std::isfinite(line)) points += buffer;
      std::snprintf(buffer, sizeof buffer, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"", x(f), y(dot));
      if (std::isfinite(dot)) svg += buffer + colour + "\"/>\n";
    }
    svg += "<polyline fill=\"none\" stroke=\"" + colour + "\" stroke-width=\"2\" points=\"" + points + "\"/>\n";
    svg += svg_text(left + width + 20, top + 16 + 20 * static_cast<double>(k), dimensions[k], "fill=\"" + colour + "\"");
  }
  return svg + "</svg>\n";
}

std::string overlay_png(const ExplainedSample& sample) {
  const bool alone = sample.localisation.lone_region_FGGK.defined();
  const at::Tensor& region_FGGK = alone ? sample.localisation.lone_region_FGGK : sample.localisation.hidden_region_FGGK;
  if (!region_FGGK.defined()) return {};
  const int64_t frames = region_FGGK.size(0), grid = region_FGGK.size(1), dimensions = region_FGGK.size(3);
  const int64_t height = sample.levels_NCHW.size(2), width = sample.levels_NCHW.size(3), zoom = std::max<int64_t>(1, 112 / std::max(height, width)), gap = 4;
  at::Tensor sheet = at::full({dimensions * (height * zoom + gap), frames * (width * zoom + gap), 3}, 255.0, at::kFloat);
  const auto index = [&](int64_t size) { return (at::arange(size, at::kLong) * grid).floor_divide(size); };
  for (int64_t k = 0; k < dimensions; ++k) {
    const at::Tensor reward_FGG = region_FGGK.select(3, k);
    // > 0: the region pushes the reward up; alone: it is better than the clip's regions are on average.
    const at::Tensor push_FGG = alone ? reward_FGG - reward_FGG.mean() : sample.localisation.reward_K[k] - reward_FGG;
    const double largest = std::max(push_FGG.abs().max().item<double>(), 1e-12);
    for (int64_t f = 0; f < frames; ++f) {
      const at::Tensor push_HW1 = (push_FGG[f] / largest).index_select(0, index(height)).index_select(1, index(width)).unsqueeze(2);
      const at::Tensor colour_HWC = at::where(push_HW1 < 0, at::tensor({230.0f, 20.0f, 20.0f}), at::tensor({20.0f, 60.0f, 230.0f}));
      const at::Tensor picture = sample.levels_NCHW[f].permute({1, 2, 0}).to(at::kFloat), alpha = 0.65 * push_HW1.abs();
      const at::Tensor mixed = (picture * (1 - alpha) + colour_HWC * alpha).repeat_interleave(zoom, 0).repeat_interleave(zoom, 1);
      sheet.narrow(0, k * (height * zoom + gap), height * zoom).narrow(1, f * (width * zoom + gap), width * zoom).copy_(mixed);
    }
  }
  return png_of(sheet.round().clamp(0, 255).to(at::kByte));
}

}  // namespace mvrm::run
