# SPDX-License-Identifier: Apache-2.0
"""What Idefics2's image processor (the Pillow one) makes of random pictures."""
import numpy
import torch
from PIL import Image
from transformers.image_utils import ChannelDimension
from transformers.models.idefics2.image_processing_idefics2 import Idefics2ImageProcessor, convert_to_rgb, get_resize_output_image_size

RESIZES = [((37, 53), (42, 60)), ((101, 67), (98, 65)), ((45, 131), (42, 98)), ((23, 17), (42, 42)), ((64, 64), (64, 64)), ((5, 200), (40, 20)),
           ((1, 1), (3, 7)), ((90, 30), (45, 30)), ((33, 99), (33, 50)), ((200, 150), (13, 149)), ((31, 47), (378, 378))]
RULE_SIZES = ["320x512", "512x320", "256x256", "720x1280", "1280x720", "1080x1920", "480x854", "378x378", "980x980", "981x980", "980x981", "1500x100",
              "100x1500", "333x999", "1000x3000", "576x1024", "360x640", "1x1", "2000x1999"]
SMALL, REAL = {"shortest_edge": 42, "longest_edge": 98}, {"shortest_edge": 378, "longest_edge": 980}
# name -> (size, splitting, sizes of the pictures of each sample)
SETS = {
    "p0_mixed": (SMALL, False, [[(37, 53), (101, 67)], [(45, 131)]]),
    "p1_single": (SMALL, False, [[(61, 47)]]),
    "p2_split": (SMALL, True, [[(61, 47)], [(130, 101)]]),
    "p3_portrait": (SMALL, False, [[(257, 64), (99, 98), (98, 99)]]),
    "p4_real": (REAL, False, [[(60, 300)]]),
}


def make(random):
    """Tensors of image.safetensors, and the "image" part of the manifest. `random`: numpy.random.Generator."""
    def picture(height, width, channels=3):
        # Half noise, half a gradient: rounding shows in smooth areas, clipping in noise.
        noise = random.integers(0, 256, (height, width, channels), dtype=numpy.uint8)
        slope = numpy.linspace(0, 255, width, dtype=numpy.float64)[None, :, None].repeat(height, 0).repeat(channels, 2).astype(numpy.uint8)
        return numpy.where((numpy.arange(height) % 16 < 8)[:, None, None], noise, slope)

    def jitter(size):
        return tuple(side if side < 4 else side + int(random.integers(0, 5)) for side in size)

    tensors, manifest = {}, {"sets": {}, "resize_rule": {}}
    for number, (source, target) in enumerate(RESIZES):
        array = picture(*(source if source == target else jitter(source)))
        tensors[f"resize.{number}.src"] = array
        tensors[f"resize.{number}.dst"] = numpy.asarray(Image.fromarray(array).resize(target[::-1], Image.Resampling.BILINEAR))
    for name, (size, splitting, samples) in SETS.items():
        processor = Idefics2ImageProcessor(size=size, do_image_splitting=splitting)
        images = [[picture(*jitter(s)) for s in sizes] for sizes in samples]
        for b, row in enumerate(images):
            for n, array in enumerate(row):
                tensors[f"{name}.src.{b}.{n}"] = array
        pil = [[Image.fromarray(array) for array in row] for row in images]
        raw = {"do_rescale": False, "do_normalize": False} if name == "p4_real" else {}
        out = processor(pil, return_tensors="np", **raw)
        values, mask = numpy.asarray(out["pixel_values"]), numpy.asarray(out["pixel_attention_mask"])
        key = f"{name}.pixel_values_u8" if raw else f"{name}.pixel_values"
        tensors[key] = values.astype(numpy.uint8 if raw else numpy.float32)
        tensors[f"{name}.pixel_attention_mask"] = mask.astype(numpy.uint8)
        manifest["sets"][name] = {"size": size, "do_image_splitting": splitting, "out_shape": list(values.shape), "mask_dtype": str(mask.dtype)}
    levels = numpy.arange(256, dtype=numpy.uint8).reshape(16, 16, 1).repeat(3, 2)
    plain = Idefics2ImageProcessor(do_resize=False)([[Image.fromarray(levels)]], return_tensors="np")["pixel_values"]
    tensors["normalise_lut"] = numpy.asarray(plain)[0, 0, 0].reshape(256).astype(numpy.float32)
    rgba = random.integers(0, 256, (6, 7, 4), dtype=numpy.uint8)
    tensors["rgba.src"] = rgba
    tensors["rgba.rgb"] = numpy.asarray(convert_to_rgb(Image.fromarray(rgba)))
    for text in RULE_SIZES:
        height, width = map(int, text.split("x"))
        shape = numpy.empty((height, width, 0), dtype=numpy.uint8)
        manifest["resize_rule"][text] = list(map(int, get_resize_output_image_size(shape, REAL, ChannelDimension.LAST)))
    return {name: torch.tensor(array) for name, array in tensors.items()}, manifest
