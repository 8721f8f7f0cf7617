#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains the small SentencePiece vocabulary of the demo's model on the captions that `mvrm synth` writes.

Needs the PyPI package sentencepiece (0.2.1). Writes tokenizer.model, added_tokens.json and tokenizer_config.json
into configs/demo/init. The captions are listed in src/synth/renderer.cpp; keep both lists the same.
"""
import io
import json
import pathlib

import sentencepiece

COLOURS = ["red", "green", "blue"]
SHAPES = ["ball", "box", "triangle"]
PHRASES = ["three {c} squares above a moving {s}", "a moving {s} below three {c} squares", "{c} squares and a {s} that moves"]
ADDED = ["<fake_token_around_image>", "<image>", "<end_of_utterance>"]


def main():
    folder = pathlib.Path(__file__).resolve().parent.parent / "configs" / "demo" / "init"
    folder.mkdir(parents=True, exist_ok=True)
    sentences = [p.format(c=c, s=s) for p in PHRASES for c in COLOURS for s in SHAPES]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences), model_writer=model, model_type="bpe", vocab_size=352, byte_fallback=True,
        hard_vocab_limit=False, character_coverage=1.0, add_dummy_prefix=True, remove_extra_whitespaces=False,
        normalization_rule_name="identity", unk_id=0, bos_id=1, eos_id=2, pad_id=-1, num_threads=1, minloglevel=2)
    (folder / "tokenizer.model").write_bytes(model.getvalue())
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    for word in COLOURS + SHAPES:
        assert len(processor.encode(word)) == 1, f"'{word}' is not one piece"
    size = processor.get_piece_size()
    added = {token: size + i for i, token in enumerate(ADDED)}
    (folder / "added_tokens.json").write_text(json.dumps(added, indent=2) + "\n")
    config = {"add_bos_token": True, "add_eos_token": False, "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<unk>",
              "unk_token": "<unk>", "padding_side": "left", "tokenizer_class": "LlamaTokenizer", "legacy": True}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    print(f"{size} pieces, {size + len(ADDED)} tokens")


if __name__ == "__main__":
    main()
