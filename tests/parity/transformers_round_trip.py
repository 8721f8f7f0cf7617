# SPDX-License-Identifier: Apache-2.0
"""Loads a model directory that mvrm wrote into transformers' Idefics2, scores the batch beside it, saves it again: round_trip_test.cpp.

usage: transformers_round_trip.py MODEL_DIR TARGET_DIR   in the environment of scripts/make_golden.py
MODEL_DIR also holds batch.safetensors (inputs); TARGET_DIR gets the checkpoint in small shards and scores.safetensors.
"""
import pathlib
import sys

import torch
from safetensors.torch import load_file, save_file

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))
from golden import reference  # noqa: E402
from transformers import Idefics2Config  # noqa: E402
from transformers.models.idefics2.modeling_idefics2 import Idefics2PreTrainedModel  # noqa: E402


class Idefics2ForSequenceClassification(Idefics2PreTrainedModel):
    """from_pretrained and save_pretrained for the model with a head: names and shapes must be those of the files."""

    def __init__(self, config):
        super().__init__(config)
        inner = reference.RewardModel(config)
        self.model, self.score = inner.model, inner.score
        self.post_init()


def main(source, target):
    config = Idefics2Config.from_pretrained(source)
    with reference.behaviour("videoscore"):
        model, report = Idefics2ForSequenceClassification.from_pretrained(source, config=config, attn_implementation="eager", output_loading_info=True)
        assert not any(report.values()), report
        batch = load_file(source / "batch.safetensors")
        with torch.no_grad():
            scores = reference.RewardModel.forward(model.eval(), batch)["scores"]
        model.save_pretrained(target, max_shard_size="10KB")
    save_file({"scores": scores.contiguous()}, target / "scores.safetensors")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
