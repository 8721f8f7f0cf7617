// SPDX-License-Identifier: Apache-2.0
// The order of Idefics2's image processor: split, resize, pad; normalisation later, by a table over the 256 levels.
#include <ATen/ATen.h>
#include <algorithm>
#include <mvrm/core/error.h>
#include <mvrm/core/model_files.h>
#include <mvrm/preprocess/image_transform.h>
#include <nlohmann/json.hpp>

namespace mvrm::preprocess {

namespace {

using Json = nlohmann::json;

template <class T> void read_key(const Json& object, const char* key, T& value, const std::filesystem::path& path) {
  if (!object.contains(key)) return;
  try {
    if (object[key].is_null()) throw std::invalid_argument("null");
    value = object[key].get<T>();
  } catch (const std::exception&) {
    throw core::model_error(path.string() + ": '" + key + "' has a value of the wrong type: " + object[key].dump().substr(0, 60));
  }
}

video::Frame crop(const video::Frame& frame, int64_t top, int64_t left, Size size) {
  video::Frame part{.height = size.height, .width = size.width, .rgb_HWC = {}};
  for (int64_t y = 0; y < size.height; ++y) {
    const auto row = frame.rgb_HWC.begin() + 3 * ((top + y) * frame.width + left);
    part.rgb_HWC.insert(part.rgb_HWC.end(), row, row + 3 * size.width);
  }
  return part;
}

// Top left, top right, bottom left, bottom right, whole; odd remainders go right and down.
std::vector<video::Frame> split(const video::Frame& frame) {
  const int64_t h = frame.height / 2, w = frame.width / 2;
  return {crop(frame, 0, 0, {h, w}), crop(frame, 0, w, {h, frame.width - w}), crop(frame, h, 0, {frame.height - h, w}),
          crop(frame, h, w, {frame.height - h, frame.width - w}), frame};
}

void copy_planes(const video::Frame& frame, uint8_t* target, int64_t height, int64_t width) {
  for (int64_t channel = 0; channel < 3; ++channel) {
    for (int64_t y = 0; y < frame.height; ++y) {
      const uint8_t* source = frame.rgb_HWC.data() + 3 * y * frame.width + channel;
      uint8_t* row = target + (channel * height + y) * width;
      for (int64_t x = 0; x < frame.width; ++x) row[x] = source[3 * x];
    }
  }
}

}  // namespace

ImageTransformConfig load_image_transform(const std::filesystem::path& model_dir) {
  const auto path = model_dir / "preprocessor_config.json";
  ImageTransformConfig config;
  if (!core::is_there(path)) throw core::model_error(path.string() + ": not there; it says how frames are resized: copy it from the model that this one was made from");
  const Json object = core::read_model_json(path);
  read_key(object, "do_resize", config.do_resize, path);
  read_key(object, "do_rescale", config.do_rescale, path);
  read_key(object, "do_normalize", config.do_normalize, path);
  read_key(object, "do_image_splitting", config.do_image_splitting, path);
  read_key(object, "rescale_factor", config.rescale_factor, path);
  read_key(object, "image_mean", config.mean, path);
  read_key(object, "image_std", config.std, path);
  if (object.contains("size")) {
    if (!object["size"].is_object()) throw core::model_error(path.string() + ": 'size' must hold shortest_edge and longest_edge");
    read_key(object["size"], "shortest_edge", config.shortest_edge, path);
    read_key(object["size"], "longest_edge", config.longest_edge, path);
  }
  if (config.shortest_edge < 1 || config.longest_edge < config.shortest_edge || config.longest_edge > 16384) {
    throw core::model_error(path.string() + ": 'size' needs 1 <= shortest_edge <= longest_edge <= 16384");
  }
  for (const float s : config.std) {
    if (!(s > 0)) throw core::model_error(path.string() + ": 'image_std' must be positive");
  }
  return config;
}

Size resized_size(Size input, const ImageTransformConfig& config) {
  auto [height, width] = input;
  const double aspect = static_cast<double>(width) / static_cast<double>(height);
  if (width >= height && width > config.longest_edge) {
    width = config.longest_edge;
    height = static_cast<int64_t>(static_cast<double>(width) / aspect);
  } else if (height > width && height > config.longest_edge) {
    height = config.longest_edge;
    width = static_cast<int64_t>(static_cast<double>(height) * aspect);
  }
  return {std::max(height, config.shortest_edge), std::max(width, config.shortest_edge)};
}

Pixels transform(const video::Frames& frames, const ImageTransformConfig& config) {
  std::vector<video::Frame> pictures;
  Size largest{0, 0};
  for (const auto& frame : frames.frames) {
    for (const auto& part : config.do_image_splitting ? split(frame) : std::vector<video::Frame>{frame}) {
      if (part.height < 1 || part.width < 1) throw core::DataError("a picture of " + std::to_string(frame.width) + "x" + std::to_string(frame.height) + " pixels is too small to be split");
      pictures.push_back(config.do_resize ? resize_bilinear(part, resized_size({part.height, part.width}, config)) : part);
      largest = {std::max(largest.height, pictures.back().height), std::max(largest.width, pictures.back().width)};
    }
  }
  Pixels pixels;
  if (pictures.empty()) return pixels;
  const auto count = static_cast<int64_t>(pictures.size());
  pixels.levels_NCHW = at::zeros({count, 3, largest.height, largest.width}, at::kByte);
  const bool padded = std::any_of(pictures.begin(), pictures.end(), [&](const auto& p) { return p.height != largest.height || p.width != largest.width; });
  if (padded) pixels.mask_NHW = at::zeros({count, largest.height, largest.width}, at::kBool);
  for (int64_t n = 0; n < count; ++n) {
    const auto& picture = pictures[static_cast<size_t>(n)];
    copy_planes(picture, pixels.levels_NCHW.mutable_data_ptr<uint8_t>() + n * 3 * largest.height * largest.width, largest.height, largest.width);
    if (padded) pixels.mask_NHW[n].slice(0, 0, picture.height).slice(1, 0, picture.width).fill_(true);
  }
  return pixels;
}

at::Tensor normalise(const Pixels& pixels, const ImageTransformConfig& config) {
  const at::Tensor levels_NCHW = pixels.levels_NCHW.contiguous();
  float table[3][256];
  for (int channel = 0; channel < 3; ++channel) {
    for (int level = 0; level < 256; ++level) {
      float value = config.do_rescale ? static_cast<float>(static_cast<double>(level) * config.rescale_factor) : static_cast<float>(level);
      if (config.do_normalize) value = (value - config.mean[static_cast<size_t>(channel)]) / config.std[static_cast<size_t>(channel)];
      table[channel][level] = value;
    }
  }
  at::Tensor out_NCHW = at::empty(levels_NCHW.sizes(), at::kFloat);
  const auto* level = levels_NCHW.const_data_ptr<uint8_t>();
  auto* out = out_NCHW.mutable_data_ptr<float>();
  const int64_t plane = levels_NCHW.size(2) * levels_NCHW.size(3);
  for (int64_t p = 0; p < levels_NCHW.size(0) * 3; ++p) {
    const float* lookup = table[p % 3];
    for (int64_t i = 0; i < plane; ++i) out[p * plane + i] = lookup[level[p * plane + i]];
  }
  if (pixels.mask_NHW.defined()) out_NCHW.masked_fill_(pixels.mask_NHW.logical_not().unsqueeze(1), 0.0F);
  return out_NCHW;
}

}  // namespace mvrm::preprocess
