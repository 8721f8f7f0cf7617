# SPDX-License-Identifier: Apache-2.0
"""Sizes of the small models, their random parameters, and the five cases that exercise every rule of the forward pass."""
import torch
from transformers import Idefics2Config

SIZES = {
    # As committed in tests/golden.
    "tiny": {
        "vision": {"hidden_size": 40, "num_attention_heads": 2, "num_hidden_layers": 2, "intermediate_size": 56, "image_size": 98, "patch_size": 14},
        "perceiver": {"resampler_n_latents": 4, "resampler_depth": 2, "resampler_n_heads": 4, "resampler_head_dim": 12, "num_key_value_heads": 2},
        "text": {"hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 112, "num_hidden_layers": 2,
                 "vocab_size": 320, "max_position_embeddings": 512},
        "labels": 5, "image_token": 301, "fake_token": 300, "eps": 1e-5, "window": 6, "pieces": 700,
    },
    # Every size is another one, so that a number written into a test instead of read from the set shows.
    "odd": {
        "vision": {"hidden_size": 48, "num_attention_heads": 3, "num_hidden_layers": 3, "intermediate_size": 72, "image_size": 80, "patch_size": 10},
        "perceiver": {"resampler_n_latents": 3, "resampler_depth": 3, "resampler_n_heads": 6, "resampler_head_dim": 8, "num_key_value_heads": 2},
        "text": {"hidden_size": 60, "num_attention_heads": 6, "num_key_value_heads": 3, "intermediate_size": 88, "num_hidden_layers": 4,
                 "vocab_size": 410, "max_position_embeddings": 256},
        "labels": 3, "image_token": 407, "fake_token": 405, "eps": 3e-5, "window": 5, "pieces": 600,
    },
}


def make_config(sizes):
    config = Idefics2Config(
        vision_config={"model_type": "idefics2_vision", **sizes["vision"]},
        perceiver_config={"model_type": "idefics2_perceiver", "hidden_size": sizes["text"]["hidden_size"], "rms_norm_eps": sizes["eps"],
                          **sizes["perceiver"]},
        text_config={"model_type": "mistral", "rms_norm_eps": sizes["eps"], "pad_token_id": 0, "sliding_window": 4096, **sizes["text"]},
        image_token_id=sizes["image_token"], pad_token_id=0, tie_word_embeddings=False)
    config.num_labels = sizes["labels"]
    config.problem_type = "regression"
    config.architectures = ["Idefics2ForSequenceClassification"]
    return config


def fill_parameters(model, generator):
    """Gains near 1 instead of Hugging Face's 0.02, so that every operation moves the result."""
    def normal(shape):
        return torch.randn(shape, generator=generator)

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.copy_(0.1 * normal(parameter.shape))
            elif "norm" in name:
                parameter.copy_(1 + 0.1 * normal(parameter.shape))
            elif "embed" in name and "patch" not in name or name.endswith("latents"):
                parameter.copy_(0.7 * normal(parameter.shape))
            else:
                parameter.copy_(1.3 * normal(parameter.shape) / parameter[0].numel() ** 0.5)


class CaseMaker:
    def __init__(self, sizes, generator):
        self.sizes, self.generator = sizes, generator
        self.side = sizes["vision"]["image_size"] // sizes["vision"]["patch_size"]

    def text(self, count):
        low, high = 3, min(self.sizes["fake_token"], self.sizes["image_token"])
        return torch.randint(low, high, (count,), generator=self.generator).tolist()

    def image(self, images=1):
        """Adjacent images share the fake token between them."""
        block = [self.sizes["image_token"]] * self.sizes["perceiver"]["resampler_n_latents"]
        ids = [self.sizes["fake_token"]]
        for _ in range(images):
            ids += block + [self.sizes["fake_token"]]
        return ids

    def patches(self, rows, columns):
        """Height and width in pixels of a picture of that many patches, fractions allowed."""
        patch = self.sizes["vision"]["patch_size"]
        return int(rows * patch), int(columns * patch)

    def make(self, rows, image_sizes, left=False):
        """rows: ids per sample; image_sizes: (height, width) of each image per sample."""
        length = max(len(row) for row in rows)
        ids = torch.zeros(len(rows), length, dtype=torch.int64)
        for b, row in enumerate(rows):
            start = length - len(row) if left else 0
            ids[b, start:start + len(row)] = torch.tensor(row)
        most = max(len(sizes) for sizes in image_sizes)
        height = max(size[0] for sizes in image_sizes for size in sizes)
        width = max(size[1] for sizes in image_sizes for size in sizes)
        pixels = torch.zeros(len(rows), most, 3, height, width)
        mask = torch.zeros(len(rows), most, height, width, dtype=torch.int64)
        for b, sizes in enumerate(image_sizes):
            for n, (h, w) in enumerate(sizes):
                levels = torch.randint(0, 256, (3, h, w), generator=self.generator)
                pixels[b, n, :, :h, :w] = ((levels.double() * 0.00392156862745098).float() - 0.5) / 0.5
                mask[b, n, :h, :w] = 1
        labels = 1 + 3 * torch.rand(len(rows), self.sizes["labels"], generator=self.generator)
        return {"input_ids": ids, "attention_mask": (ids != 0).long(), "pixel_values": pixels, "pixel_attention_mask": mask, "labels": labels}


def make_cases(sizes, generator):
    """name -> (inputs, keys that the sliding window shows)"""
    m = CaseMaker(sizes, generator)
    full, bos = m.side, [1]
    plain = sizes["text"].get("sliding_window", 4096)
    video = bos + m.text(11)
    for _ in range(4):
        video += m.image() + [sizes["fake_token"] - 41]
    return {
        "c1_single": (m.make([bos + m.text(5) + m.image() + m.text(7)], [[m.patches(full - 3, full)]]), plain),
        # Two images, one and none; the second image of the first sample ends inside a patch.
        "c2_batch": (m.make([bos + m.text(3) + m.image() + m.text(1) + m.image() + m.text(4), bos + m.image() + m.text(9), bos + m.text(12)],
                            [[m.patches(full - 2, full), m.patches(3.6, 6.45)], [m.patches(full, 3)], []]), plain),
        "c3_leftpad": (m.make([bos + m.text(2) + m.image() + m.text(3), bos + m.text(4) + m.image(2) + m.text(6)],
                              [[m.patches(full - 3, full - 2)], [m.patches(full - 1, full), m.patches(full - 1, full)]], left=True), plain),
        "c4_sliding6": (m.make([bos + m.text(9) + m.image() + m.text(14)], [[m.patches(full, full)]]), sizes["window"]),
        # Each frame is followed by one token, where the last one is pooled: the shape of VideoScore's prompt.
        "c5_video": (m.make([video], [[m.patches(full - 2, full - 1)] * 4]), plain),
    }
