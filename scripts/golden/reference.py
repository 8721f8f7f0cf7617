# SPDX-License-Identifier: Apache-2.0
"""Hugging Face's Idefics2 in the behaviour that produced VideoScore's published numbers (mantis 0.0.5, transformers 4.40 to 4.44).

transformers 4.57.6 differs from it in which patches count as real, in position ids and in the perceiver's epsilon; `behaviour` undoes the
first two for as long as it is active, the configuration states the third. `hf523` and `hf457` are what newer versions do.
"""
import contextlib

import torch
from torch import nn
from transformers.models.idefics2 import modeling_idefics2 as idefics2
from transformers.models.mistral import modeling_mistral as mistral

VARIANTS = ("videoscore", "hf523", "hf457")


def fractions(n, variant, pixel_dtype):
    """Where the n patches of one side lie, as numbers in [0, 1)."""
    if variant == "videoscore":
        # The step is a float32 tensor in the original; torch.arange takes its value as a double.
        return torch.arange(0, 1 - 1e-6, (torch.ones(()) / n).item(), dtype=torch.float32)
    if variant == "hf523":
        return torch.clamp(torch.arange(n, dtype=torch.float32) * (1.0 / torch.tensor(n)), max=1.0 - 1e-6)
    return torch.arange(n, dtype=pixel_dtype) / n * (1 - 1e-6)


def position_buckets(n, side, variant, pixel_dtype=torch.float32):
    boundaries = torch.arange(1 / side, 1.0, 1 / side)
    return torch.bucketize(fractions(n, variant, pixel_dtype), boundaries, right=True)


def position_ids(patch_mask, side, variant, pixel_dtype):
    ids = torch.zeros(patch_mask.shape[0], patch_mask.shape[1] * patch_mask.shape[2], dtype=torch.int64)
    for image, mask in enumerate(patch_mask):
        rows = position_buckets(int(mask[:, 0].sum()), side, variant, pixel_dtype)
        columns = position_buckets(int(mask[0].sum()), side, variant, pixel_dtype)
        ids[image][mask.flatten()] = (rows[:, None] * side + columns).flatten()
    return ids


def patch_mask(pixel_mask, patch, variant):
    windows = pixel_mask.unfold(1, patch, patch).unfold(2, patch, patch).sum(dim=(-1, -2))
    return windows > 0 if variant == "videoscore" else windows == patch * patch


def statistics_dtype(x):
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def rms_norm(self, x):
    wide = x.to(statistics_dtype(x))
    wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)
    return self.weight * wide.to(x.dtype)


def eager_attention(module, query, key, value, attention_mask, scaling, dropout=0.0, **unused):
    groups = getattr(module, "num_key_value_groups", 1)
    key, value = mistral.repeat_kv(key, groups), mistral.repeat_kv(value, groups)
    weights = torch.matmul(query, key.transpose(2, 3)) * scaling
    if attention_mask is not None:
        weights = weights + attention_mask[:, :, :, :key.shape[-2]]
    weights = nn.functional.softmax(weights, dim=-1, dtype=statistics_dtype(query)).to(query.dtype)
    return torch.matmul(weights, value).transpose(1, 2).contiguous(), weights


def rotary(self, x, positions):
    dtype = statistics_dtype(x)
    head_dim = 2 * self.inv_freq.shape[0]
    inverse = 1.0 / (self.config.rope_theta ** (torch.arange(0, head_dim, 2, dtype=torch.int64).to(dtype) / head_dim))
    angle = positions[:, :, None].to(dtype) * inverse[None, None, :]
    angle = torch.cat((angle, angle), dim=-1)
    return angle.cos().to(x.dtype), angle.sin().to(x.dtype)


def embeddings_forward(variant):
    def forward(self, pixel_values, patch_attention_mask):
        patches = self.patch_embedding(pixel_values).flatten(2).transpose(1, 2)
        ids = position_ids(patch_attention_mask, self.num_patches_per_side, variant, pixel_values.dtype)
        return patches + self.position_embedding(ids)
    return forward


def image_features(variant):
    def get_image_features(self, pixel_values, pixel_attention_mask=None):
        pixels = pixel_values.to(self.dtype).flatten(0, 1)
        real = (pixels == 0.0).sum(dim=(-1, -2, -3)) != pixels.shape[1:].numel()
        mask = patch_mask(pixel_attention_mask.flatten(0, 1)[real], self.config.vision_config.patch_size, variant)
        hidden = self.vision_model(pixel_values=pixels[real].contiguous(), patch_attention_mask=mask).last_hidden_state
        return self.connector(hidden, attention_mask=mask.flatten(1)).flatten(0, 1)
    return get_image_features


@contextlib.contextmanager
def behaviour(variant):
    """hf457 is the library as it is, except that sums in float64 stay in float64."""
    changes = [(idefics2.Idefics2RMSNorm, "forward", rms_norm), (mistral.MistralRMSNorm, "forward", rms_norm),
               (idefics2, "eager_attention_forward", eager_attention), (mistral, "eager_attention_forward", eager_attention),
               (mistral.MistralRotaryEmbedding, "forward", torch.no_grad()(rotary))]
    if variant != "hf457":
        changes += [(idefics2.Idefics2VisionEmbeddings, "forward", embeddings_forward(variant)),
                    (idefics2.Idefics2Model, "get_image_features", image_features(variant))]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in changes]
    try:
        for owner, name, function in changes:
            setattr(owner, name, function)
        yield
    finally:
        for owner, name, function in before:
            setattr(owner, name, function)


class RewardModel(nn.Module):
    """Idefics2Model with mantis' head: linear with bias, pooled at the position before the first pad token."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.model = idefics2.Idefics2Model._from_config(config, attn_implementation="eager")
        self.score = nn.Linear(config.text_config.hidden_size, config.num_labels, bias=True)

    def forward(self, inputs):
        images = {}
        if inputs["pixel_values"].shape[1] > 0:
            images = {"pixel_values": inputs["pixel_values"], "pixel_attention_mask": inputs["pixel_attention_mask"]}
        ids = inputs["input_ids"]
        hidden = self.model(input_ids=ids, attention_mask=inputs["attention_mask"], use_cache=False, **images).last_hidden_state
        length = ids.shape[1]
        first_pad = (ids == self.config.pad_token_id).int().argmax(-1)
        pool = (first_pad - 1) % length
        scores = self.score(hidden)
        rows = torch.arange(ids.shape[0])
        return {"final_hidden": hidden, "pool_index": pool, "pooled": hidden[rows, pool], "scores": scores[rows, pool]}
