#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the Parquet files of tests/data/parquet: the published layouts with a few rows each, and files that lie.

    .venv/bin/python scripts/make_parquet_fixtures.py [FOLDER]

Needs pyarrow (third_party/requirements-parquet.txt). The rows are made up; column names and types are those of
TIGER-Lab/VideoFeedback, TIGER-Lab/VideoScore-Bench and TIGER-Lab/GenAI-Bench (spec/videoscore.md section 3).
"""
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent / "tests" / "data" / "parquet")
DIMENSIONS = ["visual quality", "temporal consistency", "dynamic degree", "text-to-video alignment", "factual consistency"]
TURN = pa.list_(pa.struct([("from", pa.string()), ("value", pa.string())]))


def write(name, table, **options):
    pq.write_table(table, FOLDER / name, compression="zstd", store_schema=False, **options)


def human(caption, frames=2):
    return ("\nSuppose you are an expert in judging and evaluating the quality of AI-generated videos.\n"
            f'For this video, the text prompt is "{caption}",\nall the frames of video are as follows: \n' + "<image> " * frames)


def feedback(ids, labels):
    answers = ["\n".join(f"{name}: {value}" for name, value in zip(DIMENSIONS, row)) for row in labels]
    captions = [f"clip number {i}  " for i in ids]
    columns = {
        "id": pa.array(ids),
        "images": pa.array([[f"{i}_00.jpg", f"{i}_01.jpg"] for i in ids]),
        "text prompt": pa.array(captions),
        "video link": pa.array([f"https://example.org/{i}.mp4" for i in ids]),
    }
    for k, name in enumerate(DIMENSIONS):
        columns[name] = pa.array([row[k] for row in labels], pa.int64())
    columns["conversations"] = pa.array(
        [[{"from": "human", "value": human(c)}, {"from": "gpt", "value": a}] for c, a in zip(captions, answers)], TURN)
    return pa.table(columns)


def published_layouts():
    annotated = feedback(["7001917", "1000231", "4002004", "8100001", "0000012"],
                         [[3, 1, 3, 3, 1], [1, 2, 3, 4, 1], [4, 4, 4, 4, 4], [2, 2, 3, 1, 2], [1, 1, 1, 1, 1]])
    write("annotated_train.parquet", annotated, row_group_size=2)
    write("real_test.parquet", feedback(["r000001"], [[4, 4, 4, 4, 4]]))
    turns = pa.array([[{"from": "human", "value": human("a cat", 1)}]] * 2, TURN)
    write("bench_eval_crafter.parquet", pa.table({
        "id": ["pika_0000", "gen2_0001"], "images": [["pika_0000_00.jpg"], ["gen2_0001_00.jpg"]], "conversations": turns,
        "score_list": pa.array([[0.533, 0.8, -1.0, 0.267, -1.0], [0.4, 0.2, -1.0, 1.0, -1.0]])}))
    write("bench_genaibench.parquet", pa.table({
        "id": ["0000_left", "0000_right"], "images": [["0000_left_00.jpg"], ["0000_right_00.jpg"]], "conversations": turns,
        "score_list": pa.array([[-1.0] * 5] * 2), "preference": pa.array([1.0, 0.0])}))
    models = ["cogvideo", "videocraft", "modelscope", "lavie"]
    write("bench_vbench.parquet", pa.table({
        "id": ["technical_quality_0_cogvideo", "technical_quality_0_lavie"], "images": [["c_00.jpg"], ["l_00.jpg"]],
        "conversations": turns,
        "preference": pa.array([{"videocraft": 0.5, "modelscope": 1.0, "lavie": 0.0}, {"cogvideo": 1.0}],
                               pa.struct([(m, pa.float64()) for m in models]))}))
    write("genai_bench.parquet", pa.table({
        "prompt": ["a cute dog", "a cat"], "left_video": ["l/0.mp4", "l/1.mp4"], "right_video": ["r/0.mp4", "r/1.mp4"],
        "vote_type": ["leftvote", "tievote"]}))
    write("own_rows.parquet", pa.table({
        "id": ["a", "b"], "video": ["a.mp4", "b.mp4"], "prompt": ["p", "q"],
        "labels": pa.array([{"quality": 3.5, "motion": None}, {"quality": 1.0, "motion": 2.0}],
                           pa.struct([("quality", pa.float32()), ("motion", pa.float64())])),
        "made at": pa.array([0, 1], pa.timestamp("s"))}))


def minimal(**columns):
    rows = len(next(iter(columns.values())))
    base = {"id": [f"x{n}" for n in range(rows)], "video": ["x.mp4"] * rows, "prompt": ["p"] * rows}
    return pa.table({**base, **columns})


def wrong_types_and_values():
    write("id_int64.parquet", minimal(id=pa.array([9007199254740993, 1])))
    write("images_of_ints.parquet", minimal(video=pa.nulls(1, pa.string()), images=pa.array([[1, 2]])))
    write("images_binary.parquet", minimal(images=pa.array([[{"bytes": b"\xff\xd8", "path": "a.jpg"}]])))
    write("prompt_binary.parquet", minimal(prompt=pa.array([b"p"])))
    write("label_text.parquet", minimal(**{"visual quality": pa.array(["3"])}))
    write("label_bool.parquet", minimal(**{"visual quality": pa.array([True])}))
    write("label_nan.parquet", minimal(**{"visual quality": pa.array([3.0, float("nan")])}))
    write("label_5.parquet", minimal(**{"visual quality": pa.array([3, 5])}))
    write("labels_date.parquet", minimal(**{"visual quality": pa.array([1], pa.date32())}))
    write("score_list_of_texts.parquet", minimal(score_list=pa.array([["1", "2", "3", "4", "4"]])))
    write("duplicate_id.parquet", minimal(id=["x", "x"]))
    write("null_id.parquet", minimal(id=pa.array(["x", None])))
    write("null_turn.parquet", minimal(prompt=pa.nulls(1, pa.string()), conversations=pa.array([[None]], TURN)))
    invalid = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xc3\x28")])
    write("invalid_utf8.parquet", minimal(prompt=invalid))
    write("zero_rows.parquet", pa.table({"id": pa.array([], pa.string()), "video": pa.array([], pa.string())}))
    write("escapes.parquet", minimal(video=["../x.mp4"]))


def bombs():
    """Kilobytes on disk that would be gigabytes in memory: a long text that every row repeats through the dictionary."""
    rows = 200_000
    same = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["a" * 1_000_000]))
    ids = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["x"]))
    write("dictionary_bomb.parquet", pa.table({"id": ids, "video": ids, "note": same}), use_dictionary=True, dictionary_pagesize_limit=1 << 30)
    wide = pa.DictionaryArray.from_arrays(pa.array([0] * 64, pa.int32()), pa.array(["a" * 60_000_000]))
    write("wide_bomb.parquet", pa.table({"id": ids[:64], "note": wide}), use_dictionary=True, dictionary_pagesize_limit=1 << 30)


def changed_footer(source, name, accept, old, new):
    """The first single byte `old` -> `new` of the footer after which `accept(metadata)` holds: a lie of one varint."""
    data = bytearray((FOLDER / source).read_bytes())
    start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    for at in range(start, len(data) - 8):
        if data[at] != old:
            continue
        data[at] = new
        (FOLDER / name).write_bytes(data)
        try:
            if accept(pq.read_metadata(FOLDER / name)):
                return
        except (pa.ArrowException, OSError):
            pass
        data[at] = old
    raise SystemExit(f"{name}: no byte of the footer does it")


def lies():
    write("three_rows.parquet", minimal(id=["a", "b", "c"]))
    rows, more = 3 << 1, 60 << 1   # zigzag varints
    changed_footer("three_rows.parquet", "file_claims_more_rows.parquet", lambda m: m.num_rows == 60 and m.row_group(0).num_rows == 3, rows, more)
    changed_footer("three_rows.parquet", "group_claims_more_rows.parquet", lambda m: m.num_rows == 3 and m.row_group(0).num_rows == 60, rows, more)
    changed_footer("file_claims_more_rows.parquet", "both_claim_more_rows.parquet",
                   lambda m: m.num_rows == 60 and m.row_group(0).num_rows == 60, rows, more)
    changed_footer("three_rows.parquet", "negative_rows.parquet", lambda m: m.row_group(0).num_rows == -3, rows, (3 << 1) - 1)


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("*.parquet"):
        old.unlink()
    published_layouts()
    wrong_types_and_values()
    bombs()
    lies()
    print(f"{len(list(FOLDER.glob('*.parquet')))} files, {sum(f.stat().st_size for f in FOLDER.glob('*.parquet'))} bytes in {FOLDER}")


if __name__ == "__main__":
    main()
