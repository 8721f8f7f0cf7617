# SPDX-License-Identifier: Apache-2.0
"""The same model and clips as mvrm_gpu_bench in Python: Hugging Face transformers' Idefics2 with a score head.

Forward passes and gradients (gradient checkpointing, bfloat16 gradients, as VideoScore's trainer has them) on one GPU; prints rows for the
same table. usage: python gpu_peer.py [PEAK_TFLOPS] [FORWARD_TFLOP]   (the latter from mvrm_gpu_bench's heading)
"""
import statistics
import sys
import time

import torch
import transformers
from transformers import Idefics2Config, Idefics2Model

FRAMES, HEIGHT, WIDTH, TEXT, AROUND, LATENTS, IMAGE = 16, 378, 512, 220, 3, 64, 32001


def build(tiny=False):
    vision = dict(hidden_size=1152, intermediate_size=4304, num_hidden_layers=27, num_attention_heads=16, image_size=980, patch_size=14)
    perceiver = dict(resampler_n_latents=LATENTS, resampler_depth=3, resampler_n_heads=16, resampler_head_dim=96, num_key_value_heads=4, hidden_size=4096)
    text = dict(model_type="mistral", vocab_size=32003, hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32,
                num_key_value_heads=8, head_dim=128, max_position_embeddings=32768, sliding_window=4096, rms_norm_eps=1e-5, pad_token_id=0)
    if tiny:
        vision.update(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4)
        perceiver.update(resampler_n_heads=2, resampler_head_dim=16, num_key_value_heads=1, hidden_size=64)
        text.update(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=16)
    config = Idefics2Config(vision_config=vision, perceiver_config=perceiver, text_config=text, image_token_id=IMAGE, attn_implementation="sdpa")
    return config


def clips(count, device):
    length = TEXT + FRAMES * (LATENTS + AROUND)
    ids = torch.randint(3, 32000, (count, length))
    for f in range(FRAMES):
        start = TEXT + f * (LATENTS + AROUND) + 1
        ids[:, start:start + LATENTS] = IMAGE
    pixels = torch.rand(count, FRAMES, 3, HEIGHT, WIDTH) * 2 - 1
    return dict(input_ids=ids.to(device), attention_mask=torch.ones_like(ids).to(device), pixel_values=pixels.to(device, torch.bfloat16),
                pixel_attention_mask=torch.ones(count, FRAMES, HEIGHT, WIDTH, dtype=torch.bool, device=device))


def seconds(work, repeats):
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main():
    peak = float(sys.argv[1]) if len(sys.argv) > 1 else 989.0
    forward_tflop = float(sys.argv[2]) if len(sys.argv) > 2 else float("nan")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokens = TEXT + FRAMES * (LATENTS + AROUND)
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device(device):
        model = Idefics2Model(build(tiny=device == "cpu"))
        score = torch.nn.Linear(model.config.text_config.hidden_size, 5)
    torch.set_default_dtype(torch.float32)

    def row(what, count, time, passes):
        memory = torch.cuda.max_memory_allocated() / 2**30 if device == "cuda" else 0
        rate = passes * count * forward_tflop / time
        print(f"| transformers {transformers.__version__}, {what} | {time:.3f} s | {count / time:.2f} | {count * tokens / time:.0f} | {rate:.0f} | {100 * rate / peak:.1f} % | {memory:.1f} GiB |", flush=True)

    def reset():
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()

    def rewards(batch):
        return score(model(**batch, use_cache=False).last_hidden_state[:, -1])

    model.eval()
    for count in (1, 4, 8):
        batch = clips(count, device)

        def forward():
            with torch.inference_mode():
                rewards(batch).float().cpu()

        reset()
        row(f"score, {count} clip{'s' if count > 1 else ''} a pass", count, seconds(forward, 5), 1)

    model.train()
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    for count in (1, 2):
        batch = clips(count, device)

        def gradient():
            loss = (rewards(batch).float() - 2).square().mean()
            loss.backward()
            loss.item()
            score.weight.grad.sum().item()

        reset()
        row(f"gradient, {count} clip{'s' if count > 1 else ''}", count, seconds(gradient, 3), 3)


if __name__ == "__main__":
    main()
