// SPDX-License-Identifier: Apache-2.0
#include "figures.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>
#include <mvrm/report/markup.h>
#include <mvrm/report/table.h>

namespace mvrm::experiment {

namespace {

constexpr std::array kColours{"#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#17becf"};

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

std::string label(double x, double y, const std::string& text, const char* anchor = "start", const std::string& colour = "#333") {
  return "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" text-anchor=\"" + anchor + "\" fill=\"" + colour + "\">" + report::escaped(text) + "</text>\n";
}

std::string line(double x1, double y1, double x2, double y2, const char* colour = "#999") {
  return "<line x1=\"" + number(x1) + "\" y1=\"" + number(y1) + "\" x2=\"" + number(x2) + "\" y2=\"" + number(y2) + "\" stroke=\"" + colour + "\"/>\n";
}

std::string opened(double width, double height) {
  return "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + number(width) + " " + number(height) + "\" font-family=\"sans-serif\" font-size=\"11\">\n" +
         "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n";
}

// From blue over grey to red.
std::string colour_of(double share) {
  const double t = std::clamp(share, 0.0, 1.0);
  char text[16];
  std::snprintf(text, sizeof text, "#%02x%02x%02x", static_cast<int>(60 + 160 * t), static_cast<int>(90 + 60 * (1 - std::abs(2 * t - 1))),
                static_cast<int>(220 - 170 * t));
  return text;
}

}  // namespace

std::string curves_svg(const std::vector<std::string>& places, const std::vector<Curve>& curves, const std::string& axis) {
  constexpr double kLeft = 55, kTop = 15, kWidth = 420, kHeight = 240, kTotal = 700;
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (const auto& curve : curves) {
    for (const double x : curve.values) {
      if (!std::isfinite(x)) continue;
      low = std::min(low, x);
      high = std::max(high, x);
    }
  }
  if (!(low <= high)) low = high = 0;
  const double room = std::max(0.05 * (high - low), 1e-6);
  low -= room;
  high += room;
  const auto x_of = [&](size_t i) { return kLeft + kWidth * (places.size() > 1 ? static_cast<double>(i) / static_cast<double>(places.size() - 1) : 0.5); };
  const auto y_of = [&](double value) { return kTop + kHeight * (high - value) / (high - low); };
  std::string svg = opened(kTotal, kTop + kHeight + 45) + line(kLeft, kTop, kLeft, kTop + kHeight) + line(kLeft, kTop + kHeight, kLeft + kWidth, kTop + kHeight);
  for (int i = 0; i <= 4; ++i) {
    const double value = low + (high - low) * i / 4;
    svg += label(kLeft - 5, y_of(value) + 4, report::fixed(value, high - low < 5 ? 2 : 1), "end");
  }
  for (size_t i = 0; i < places.size(); ++i) svg += label(x_of(i), kTop + kHeight + 16, places[i], "middle");
  svg += label(kLeft + kWidth / 2, kTop + kHeight + 34, axis, "middle");
  for (size_t c = 0; c < curves.size(); ++c) {
    const std::string colour = curves[c].name == "mean" ? "#000" : kColours[c % kColours.size()];
    std::string points;
    for (size_t i = 0; i < curves[c].values.size(); ++i) {
      if (!std::isfinite(curves[c].values[i])) continue;
      points += number(x_of(i)) + "," + number(y_of(curves[c].values[i])) + " ";
    }
    svg += "<polyline fill=\"none\" stroke=\"" + colour + "\" stroke-width=\"" + (curves[c].name == "mean" ? "2.5" : "1.5") + "\" points=\"" + points + "\"/>\n";
    svg += label(kLeft + kWidth + 15, kTop + 14 + 17 * static_cast<double>(c), curves[c].name, "start", colour);
  }
  return svg + "</svg>\n";
}

std::string scatter_svg(const at::Tensor& risk_NK, const at::Tensor& colour_N, const std::vector<std::string>& dimensions) {
  constexpr double kPanel = 200, kGap = 45, kTop = 20;
  constexpr size_t kAcross = 4;
  const at::Tensor risk = risk_NK.to(at::kDouble).contiguous(), colour = colour_N.to(at::kDouble).contiguous();
  const int64_t rows = risk.size(0), columns = risk.size(1);
  std::string panels;
  size_t panel = 0;
  for (int64_t j = 0; j < columns; ++j) {
    for (int64_t k = j + 1; k < columns; ++k, ++panel) {
      const double left = 30 + static_cast<double>(panel % kAcross) * (kPanel + kGap), top = kTop + static_cast<double>(panel / kAcross) * (kPanel + kGap);
      panels += line(left, top, left, top + kPanel) + line(left, top + kPanel, left + kPanel, top + kPanel);
      panels += label(left + kPanel / 2, top + kPanel + 14, dimensions[static_cast<size_t>(j)], "middle");
      panels += "<g transform=\"rotate(-90 " + number(left - 6) + " " + number(top + kPanel / 2) + ")\">" +
                label(left - 6, top + kPanel / 2, dimensions[static_cast<size_t>(k)], "middle") + "</g>\n";
      for (int64_t n = 0; n < rows; ++n) {
        const double x = risk.const_data_ptr<double>()[n * columns + j], y = risk.const_data_ptr<double>()[n * columns + k];
        if (!std::isfinite(x) || !std::isfinite(y)) continue;
        panels += "<circle cx=\"" + number(left + kPanel * x) + "\" cy=\"" + number(top + kPanel * (1 - y)) + "\" r=\"2\" fill=\"" +
                  colour_of(colour.const_data_ptr<double>()[n]) + "\" fill-opacity=\"0.7\"/>\n";
      }
    }
  }
  const size_t lines = (panel + kAcross - 1) / kAcross;
  return opened(30 + kAcross * (kPanel + kGap), kTop + static_cast<double>(lines) * (kPanel + kGap)) + panels + "</svg>\n";
}

}  // namespace mvrm::experiment
