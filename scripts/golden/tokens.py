# SPDX-License-Identifier: Apache-2.0
"""Ids that transformers' fast Llama tokenizer and Idefics2Processor give, for a small vocabulary and, where it is given, Mistral's."""
import contextlib
import io
import random

import sentencepiece
from PIL import Image
from transformers import AddedToken, Idefics2ImageProcessor, Idefics2Processor, LlamaTokenizerFast

SPECIAL = ["<fake_token_around_image>", "<image>", "<end_of_utterance>"]
PROMPT = ('\nRate this clip from 1.0 to 4.0:\nquality: 3.2\nmotion: 2.7\n\nprompt is "a red fox, running",\nframes:\n<image> <image> <image> ')
STRINGS = ["Hello world", "", " ", "  two leading spaces", "trailing space ", "line one\nline two\n\n\tindented", "<image>", "<image> ", "<image><image>",
           "<image> <image> ", "before<image>after", "caf\u00e9 \u00fcber na\u00efve \u65e5\u672c\u8a9e \u0440\u0443\u0441", "emoji \U0001f600\U0001f3ac\u200d\U0001f469 ok", "a<end_of_utterance>\nb",
           "<fake_token_around_image> x", "score: 3.25 / 4.0", "x  y   z    w", "</s> and <s> and <unk>", "\u2581already", "tab\there\r\n", "nul\x00byte", PROMPT]
EXPANDED = ["<image>", "<image> <image> ", "<image><image>look", "see <image>\n<image> end", PROMPT]
WORDS = ("a the of and video clip dog cat fox bird river city light frame quality motion prompt running playing slow fast bright dark "
         "scene camera shows moves consistent dynamic degree factual rate from to red blue green ball street water mountain").split()


def train(path, pieces, seed):
    """A SentencePiece model like Mistral's (BPE with byte fall-back, nothing normalised), small enough to commit."""
    words = random.Random(seed)
    lines = [" ".join(words.choices(WORDS, k=words.randint(3, 12))) + words.choice([".", ",", "!", ": 3.2", "\u00e9"]) for _ in range(4000)]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, model_type="bpe", vocab_size=pieces, byte_fallback=True, character_coverage=1.0,
        normalization_rule_name="identity", add_dummy_prefix=True, remove_extra_whitespaces=False, escape_whitespaces=True, hard_vocab_limit=False,
        allow_whitespace_only_pieces=True, split_digits=True, unk_id=0, bos_id=1, eos_id=2, pad_id=-1, num_threads=1, minloglevel=2)
    path.write_bytes(model.getvalue())


def ids_of(path, per_segment):
    tokenizer = LlamaTokenizerFast(vocab_file=str(path), legacy=per_segment, add_prefix_space=True)
    tokenizer.add_special_tokens({"additional_special_tokens": [AddedToken(text, normalized=False, special=True) for text in SPECIAL]})
    encode = [{"text": text, "ids": tokenizer(text)["input_ids"]} for text in STRINGS]
    expanded = []
    for length, splitting in ((64, False), (3, False), (2, True)):
        image_processor = Idefics2ImageProcessor(size={"shortest_edge": 16, "longest_edge": 16}, do_image_splitting=splitting)
        processor = Idefics2Processor(image_processor, tokenizer, image_seq_len=length)
        for text in EXPANDED:
            images = [Image.new("RGB", (16, 16), "red")] * text.count("<image>")
            with contextlib.redirect_stdout(io.StringIO()):
                ids = processor(text=text, images=[images])["input_ids"][0]
            expanded.append({"text": text, "image_seq_len": length, "do_image_splitting": splitting, "ids": list(ids)})
    added = {text: tokenizer.convert_tokens_to_ids(text) for text in ["<unk>", "<s>", "</s>"] + SPECIAL}
    return added, {"encode": encode, "processor": expanded}


def make(path):
    """One vocabulary's part of tokenizer.json."""
    plain = sentencepiece.SentencePieceProcessor(model_file=str(path))
    added, per_segment = ids_of(path, True)
    _, first_only = ids_of(path, False)
    without_special = [text for text in STRINGS if "<" not in text]
    return {"added": added, "sp_plain": [{"text": text, "ids": plain.encode(text)} for text in without_special],
            "modes": {"per_segment": per_segment, "first_only": first_only}}
