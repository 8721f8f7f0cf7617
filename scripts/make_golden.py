#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes reference data in the layout of tests/golden out of Hugging Face's Idefics2, for any seed and size.

usage: make_golden.py --out DIR [--seed N] [--sizes tiny|odd] [--mistral FILE]

--sizes    "tiny" has the sizes of tests/golden, "odd" others in every place (scripts/golden/cases.py)
--mistral  mistral-common's tokenizer.model.v1; without it tokenizer.json holds only the small vocabulary

Runs in an environment of its own, never in .venv (torch's Python package needs its CUDA libraries; about 5 GB):
  python3 -m venv env && env/bin/pip install torch==2.13.0 transformers==4.57.6 Pillow==12.2.0 sentencepiece==0.2.3 \\
    protobuf==7.36.2 mistral-common==1.13.1
The reference behaviour is that of VideoScore's own code; scripts/golden/reference.py says what it undoes in transformers 4.57.6.
Numbers that come out differ from those of another processor by rounding; the same machine gives the same bytes.
Then: MVRM_GOLDEN_DIR=DIR ctest --preset ci -L parity; scripts/subset_golden.py packs a set for tests/golden.
"""
import argparse
import json
import os
import pathlib
import sys

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
WANTED = {"torch": "2.13.0", "transformers": "4.57.6", "PIL": "12.2.0"}
VARIANT_CASES = ("c1_single", "c2_batch", "c4_sliding6")
BF16_CASES = ("c1_single", "c2_batch", "c5_video")
TRAIN = {"lr": 1e-3, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.01, "clip_full": 1.0, "clip_head": None, "steps": 3, "case": "c2_batch"}
SELECTED = ("modality_projection.gate_proj.weight", "perceiver_resampler.latents", "text_model.layers.0.self_attn.k_proj.weight",
            "text_model.norm.weight", "patch_embedding.weight", "position_embedding.weight", "score.weight", "score.bias")


def check_versions():
    for name, version in WANTED.items():
        found = __import__(name).__version__
        if found.split("+")[0] != version:
            sys.exit(f"make_golden: {name} {version} is needed, found {found}; see the text on top of this file")


def converted(inputs, dtype):
    return {key: value.to(dtype) if value.is_floating_point() else value for key, value in inputs.items()}


def traced(model, inputs):
    """Every intermediate by name; hooks on the modules of transformers."""
    parts, out, handles = model.model, {}, []

    def keep(name):
        def hook(module, arguments, result):
            out[name] = result if torch.is_tensor(result) else getattr(result, "last_hidden_state", result[0])
        return hook

    resampler = parts.connector.perceiver_resampler
    named = [("vision_embeddings", parts.vision_model.embeddings), ("vision_last_hidden", parts.vision_model.post_layernorm),
             ("modality_projection", parts.connector.modality_projection), ("connector_out", resampler)]
    for prefix, layers in (("vision_layer", parts.vision_model.encoder.layers), ("perceiver_layer", resampler.layers),
                           ("decoder_layer", parts.text_model.layers)):
        named += [(f"{prefix}_{i}", layer) for i, layer in enumerate(layers)]
    handles = [module.register_forward_hook(keep(name)) for name, module in named]
    handles.append(parts.text_model.register_forward_pre_hook(
        lambda module, arguments, kwargs: out.__setitem__("merged_embeddings", kwargs["inputs_embeds"]), with_kwargs=True))
    out.update(model(inputs))
    for handle in handles:
        handle.remove()
    out["loss"] = torch.nn.functional.mse_loss(out["scores"], inputs["labels"])
    return out


def masks(config, inputs, variant, dtype):
    """What the program must find out about the pictures of a case."""
    pixels = inputs["pixel_values"].flatten(0, 1)
    real = (pixels != 0).flatten(1).any(1)
    vision = config.vision_config
    mask = reference.patch_mask(inputs["pixel_attention_mask"].flatten(0, 1)[real], vision.patch_size, variant)
    ids = reference.position_ids(mask, vision.image_size // vision.patch_size, variant, dtype)
    return {"real_image": real, "patch_attention_mask": mask, "vision_position_ids": ids}


def run_case(model, config, inputs, dtype, window, gradients):
    """`gradients`: "all", "selected" or "none"."""
    config.text_config.sliding_window = window
    cast = converted(inputs, dtype)
    model.zero_grad()
    out = traced(model, cast)
    found = {}
    if gradients != "none":
        out["loss"].backward()
        for name, parameter in model.named_parameters():
            if parameter.grad is not None and (gradients == "all" or name.endswith(SELECTED)):
                found[f"grad.{name}"] = parameter.grad.clone()
            elif gradients == "all":
                found[f"grad.{name}"] = torch.zeros_like(parameter)
    return {**{key: value.detach() for key, value in out.items()}, **found}


def model_files(config, model, made, directory):
    files = {"f32": {}, "f64": {}, "bf16": {}}
    for name, (inputs, window) in made.items():
        files["f32"].update({f"{name}.in.{key}": value for key, value in inputs.items()})
        for kind, dtype in (("f32", torch.float32), ("f64", torch.float64), ("bf16", torch.bfloat16)):
            if kind == "bf16" and name not in BF16_CASES:
                continue
            typed = reference.RewardModel(config)
            typed.load_state_dict(model.state_dict())
            gradients = "none" if kind == "bf16" else "all" if name == "c2_batch" else "selected"
            out = run_case(typed.to(dtype), config, inputs, dtype, window, gradients)
            if kind == "f32":
                out |= masks(config, inputs, "videoscore", dtype)
            if kind != "f32":
                del out["pool_index"]
            files[kind].update({f"{name}.out.{key}": value for key, value in out.items()})
    for kind, tensors in files.items():
        save(directory / f"model_{kind}.safetensors", tensors)


def variant_file(config, model, made, directory):
    tensors = {}
    for variant in ("hf523", "hf457"):
        with reference.behaviour(variant):
            for name in VARIANT_CASES:
                inputs, window = made[name]
                out = run_case(model, config, inputs, torch.float32, window, "none") | masks(config, inputs, variant, torch.float32)
                for key in ("patch_attention_mask", "vision_position_ids", "connector_out", "scores", "loss"):
                    tensors[f"{variant}.{name}.{key}"] = out[key]
    save(directory / "model_variants.safetensors", tensors)


def train_file(config, model, made, directory):
    inputs, window = made[TRAIN["case"]]
    config.text_config.sliding_window = window
    tensors = {}
    for run, dtype, clip in (("full_f32", torch.float32, TRAIN["clip_full"]), ("full_f64", torch.float64, TRAIN["clip_full"]),
                             ("head_f32", torch.float32, TRAIN["clip_head"])):
        typed = reference.RewardModel(config)
        typed.load_state_dict(model.state_dict())
        typed = typed.to(dtype)
        trained = list(typed.score.parameters()) if run.startswith("head") else list(typed.parameters())
        optimizer = torch.optim.AdamW(trained, lr=TRAIN["lr"], betas=TRAIN["betas"], eps=TRAIN["eps"], weight_decay=TRAIN["weight_decay"])
        cast, losses, norms = converted(inputs, dtype), [], []
        for step in range(TRAIN["steps"] + 1):
            typed.zero_grad()
            loss = torch.nn.functional.mse_loss(typed(cast)["scores"], cast["labels"])
            losses.append(loss.item())
            if step == TRAIN["steps"]:
                break
            loss.backward()
            norms.append(torch.nn.utils.clip_grad_norm_(trained, float("inf") if clip is None else clip).item())
            optimizer.step()
        tensors[f"{run}.losses"] = torch.tensor(losses, dtype=torch.float64)
        tensors[f"{run}.grad_norms"] = torch.tensor(norms, dtype=torch.float64)
        for name, parameter in typed.named_parameters():
            if name.endswith(("score.weight", "score.bias") if run.startswith("head") else SELECTED):
                tensors[f"{run}.param.{name}"] = parameter.detach()
    save(directory / "train.safetensors", tensors)


def checkpoint_names():
    """Names and shapes of VideoScore's checkpoint, from the model on the meta device with the class defaults (spec/idefics2.md section 1)."""
    config = cases.Idefics2Config(
        vision_config={"model_type": "idefics2_vision", "hidden_size": 1152, "image_size": 980, "intermediate_size": 4304, "num_attention_heads": 16,
                       "num_hidden_layers": 27, "patch_size": 14},
        text_config={"model_type": "mistral", "vocab_size": 32003, "pad_token_id": 0, "rms_norm_eps": 1e-5}, image_token_id=32001)
    config.num_labels = 5
    with torch.device("meta"):
        model = reference.RewardModel(config)
    return {name: list(value.shape) for name, value in model.state_dict().items()}


def save(path, tensors):
    save_file({name: value.contiguous().clone() for name, value in tensors.items()}, str(path))


def write_json(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--seed", type=int, default=1234)
    parser.add_argument("--sizes", choices=sorted(cases.SIZES), default="tiny")
    parser.add_argument("--mistral", type=pathlib.Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    sizes, out = cases.SIZES[options.sizes], options.out
    (out / "tiny").mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(options.seed)
    config = cases.make_config(sizes)
    with reference.behaviour("videoscore"):
        model = reference.RewardModel(config).eval()
        cases.fill_parameters(model, generator)
        made = cases.make_cases(sizes, generator)
        config.text_config.sliding_window = 4096
        (out / "tiny" / "config.json").write_text(json.dumps(config.to_dict(), indent=1, sort_keys=True, default=str) + "\n")
        save_file({name: value.contiguous().clone() for name, value in model.state_dict().items()}, str(out / "tiny" / "model.safetensors"),
                  metadata={"format": "pt"})
        model_files(config, model, made, out)
        train_file(config, model, made, out)
    variant_file(config, model, made, out)
    images, image_manifest = pictures.make(numpy.random.default_rng(options.seed))
    save(out / "image.safetensors", images)
    tokens.train(out / "tiny_tokenizer.model", sizes["pieces"], options.seed)
    vocabularies = {"tiny": tokens.make(out / "tiny_tokenizer.model")}
    if options.mistral:
        vocabularies["mistral_v1"] = tokens.make(options.mistral)
    write_json(out / "tokenizer.json", vocabularies)
    write_json(out / "posids_P70.json", {variant: {str(n): reference.position_buckets(n, 70, variant).tolist() for n in range(1, 71)}
                                         for variant in reference.VARIANTS})
    names = checkpoint_names()
    write_json(out / "names_videoscore_8b.json", names)
    write_json(out / "manifest.json", {
        **{name: __import__(name).__version__ for name in ("transformers", "torch")}, "pillow": __import__("PIL").__version__,
        "seed": options.seed, "variant": "videoscore", "case_sliding_window": {name: window for name, (_, window) in made.items()},
        "image_token": sizes["image_token"], "n_latents": sizes["perceiver"]["resampler_n_latents"], "image": image_manifest,
        "videoscore_8b": {"tensors": len(names), "parameters": sum(math.prod(shape) for shape in names.values())}, "train": TRAIN})


if __name__ == "__main__":
    if "-h" not in sys.argv and "--help" not in sys.argv:
        check_versions()
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
    import math

    import numpy
    import torch
    from golden import cases, pictures, reference, tokens
    from safetensors.torch import save_file
    main()
