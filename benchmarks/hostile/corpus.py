"""Requests that are made to keep the API busy: of each kind as large as may be, from a seed.

A kind is a function that makes a body of about so many characters. Texts are of every sort that a reader of words, of
weights or of tokens treats in a way of its own.
"""

import base64
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: `MAX_BODY_BYTES` by default, and what is worked on at once (`layers.computing.SMALL`).
LARGEST, SMALL = 262_144, 2_048
#: What uvicorn reads of a head.
HEAD = 60_000

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Request:
    """A request as it is sent."""

    kind: str
    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=lambda: JSON)


#: Characters that texts are made of: one of these sets, or two of them in turn.
ALPHABETS: Mapping[str, Sequence[str]] = {
    "word": ["cat", "dog", "house", "a"],
    "letter": ["a"],
    "letters": ["a", "b"],
    "digits": ["0", "1"],
    "punctuation": ["!", ",", ".", "'", "-"],
    "one mark": ["!"],
    "round": ["("],
    "closed": ["(a)"],
    "square": ["["],
    "schedule": ["[a:b:0.5]", "[", "|"],
    "weights": ["(a:1.2)", "((b))", "[c]"],
    "numbers": ["(a:", "1.5)", "1e3", "::2"],
    "escapes": ["\\", "\\("],
    "braces": ["{a", "}", "{"],
    "lora": ["<lora:", "a", ">"],
    "embedding": ["embedding:", "__a", "__"],
    "commands": ["BREAK", "AND", "--ar", "++"],
    "accent": ["é", "ß", "ﬁ"],
    "combining": ["e\u0301", "\u0301", "\u0327"],
    "one accent": ["\u0301"],
    "han": ["猫", "犬"],
    "hangul": ["\u1112\u1161\u11ab", "한"],
    "emoji": ["👩\u200d👩\u200d👧", "👍🏽"],
    "joiner": ["\u200d", "\u200b"],
    "arabic": ["قطة", "\u202e"],
    "quotes": ["\u2019", "\u2032", "`"],
    "control": ["\x7f", "\x01"],
    "spaces": ["\u3000", "\u00a0", " "],
    "expanding": ["\ufdfa", "ŉ", "İ"],
}
JOINTS = ("", " ", ",", "-")


def text(rng: random.Random, characters: int) -> str:
    """A text of so many characters at most, none of them space at its ends."""
    alphabet = [*ALPHABETS[rng.choice(list(ALPHABETS))]]
    if rng.random() < 0.4:
        alphabet += ALPHABETS[rng.choice(list(ALPHABETS))]
    joint, made, length = rng.choice(JOINTS), [], 0
    while length < characters:
        made.append(rng.choice(alphabet) if rng.random() < 0.5 else alphabet[0])
        length += len(made[-1]) + len(joint)
    return joint.join(made)[:characters].strip() or "a"


def name(rng: random.Random, prompt: str) -> str:
    """A name: a part of a prompt, or another text."""
    if rng.random() < 0.8:
        start, length = rng.randrange(len(prompt)), rng.choice((1, 2, 5, 20, 100, 200))
        return prompt[start : start + length].strip() or "a"
    return text(rng, rng.choice((1, 5, 200)))


def names(rng: random.Random, prompt: str, number: int = 32, **more: Any) -> list[dict[str, Any]]:
    """Names of a prompt."""
    occurrence = [{}, {"occurrence": 1}, {"occurrence": 2}, {"occurrence": 500}]
    return [{"word": name(rng, prompt), **more, **rng.choice(occurrence)} for _ in range(number)]


def target(rng: random.Random, characters: int, number: int) -> dict[str, Any]:
    """A target with a long prompt and many names."""
    prompt = text(rng, characters)
    edits: list[Any] = [{"kind": rng.choice(("refine", "replace"))}]
    edits += [{"kind": "reweight", "weights": names(rng, prompt, number, weight=2)} for _ in range(rng.randint(0, 7))]
    made: dict[str, Any] = {"prompt": prompt, "edits": edits}
    if rng.random() < 0.7:
        made["word_windows"] = names(rng, prompt, number, window={"start": 0, "stop": rng.choice((1, 2, -1, 1e308))})
    if rng.random() < 0.7:
        fields = ("words", "source_words", "subtract_words", "source_subtract_words")
        made["local_blend"] = {each: names(rng, prompt, number) for each in fields}
    return made


def edit(rng: random.Random, size: int) -> dict[str, Any]:
    """An edit of about so many characters."""
    characters = min(2_000, max(10, rng.choice((10, 60, 300, 2_000)), size // 100))
    characters, number = min(characters, size // 4), rng.choice((1, 8, 32))
    source = rng.choice((text(rng, characters), "a cat on a beach"))
    made: dict[str, Any] = {"source": {"prompt": source}, "targets": [], "sampling": {}}
    made["prompt_syntax"] = rng.choice(("text", "weights"))
    if rng.random() < 0.3:
        made["sampling"]["negative_prompt"] = text(rng, characters)
    return grown(made, made["targets"], lambda: target(rng, characters, number), size, most=64)


def repeats(rng: random.Random, size: int) -> dict[str, Any]:
    """Names that stand at nearly every place of their prompts."""
    word, joint = rng.choice((("a", " "), ("a", ""), ("!", " "), ("猫", ""), ("a!", ""), ("a b", " ")))
    length = min(2_000 // len(word + joint), size // 8)
    prompt = joint.join([word] * length)[:1_990]
    fields = ("words", "source_words", "subtract_words", "source_subtract_words")
    made: dict[str, Any] = {"source": {"prompt": prompt}, "targets": []}
    counts = iter(range(1, 10**6))

    def one() -> dict[str, Any]:
        number = rng.choice((1, 8, 32)) if size > SMALL else 2
        named = {
            each: [{"word": joint.join([word] * (next(counts) % 60 + 1))} for _ in range(number)] for each in fields
        }
        own = f"{prompt[: -rng.randint(1, 99)]}b"
        return {"prompt": own, "edits": [{"kind": "refine"}], "local_blend": named}

    return grown(made, made["targets"], one, size, most=64)


def plain_edit(rng: random.Random, size: int) -> dict[str, Any]:
    """An edit that is accepted, with as many names as it may have."""
    prompt = " ".join(rng.choice(("cat", "dog", "house", "beach")) for _ in range(rng.choice((2, 8, 20))))
    words = [{"word": rng.choice(prompt.split()), "occurrence": 1} for _ in range(32)]
    targets: list[Any] = []
    made = {"source": {"prompt": prompt}, "targets": targets, "sampling": {"seed": rng.randrange(2**32)}}

    def one() -> dict[str, Any]:
        blend = {"words": words, "subtract_words": words}
        return {"prompt": prompt, "edits": [{"kind": "refine"}], "local_blend": blend if rng.random() < 0.9 else None}

    return grown(made, targets, one, size, most=8)


def batch(rng: random.Random, size: int) -> dict[str, Any]:
    """A batch of edits of all sizes."""
    edits: list[Any] = []
    each = rng.choice((200, 2_000, 20_000))
    make = rng.choice((edit, plain_edit))
    return grown({"edits": edits}, edits, lambda: make(rng, each), size, most=64)


def alignment(rng: random.Random, size: int) -> dict[str, Any]:
    """Prompts to align, with names."""
    characters, number = min(rng.choice((30, 100, 2_000)), size // 4), rng.choice((0, 5, 40, 500))
    prompt = rng.choice((text(rng, characters), "a " * 14 + "a", "cat, dog, a house"))
    targets: list[Any] = []
    made = {"source": {"prompt": prompt, "names": names(rng, prompt, min(number, size // 100))}, "targets": targets}

    def one() -> dict[str, Any]:
        own = rng.choice((prompt, text(rng, characters)))
        return {"prompt": own, "names": names(rng, own, min(number, size // 100))}

    return grown(made, targets, one, size, most=64)


def picture(rng: random.Random, size: int) -> dict[str, Any]:
    """An edit of a picture that stands in the body, and masks that do."""
    data = base64.b64encode(rng.randbytes(max(1, size // 4))).decode()
    urls = [
        f"data:image/png;base64,{data}",
        "data:," + "%41" * (size // 4),
        "data:" + ";a=b" * (size // 6) + ",",
        "data:" + ";" * (size // 2) + " base64" + " " * (size // 4) + ",a",
        "https://" + "a." * (size // 4),
        "https://[" + ":" * (size // 2) + "]/",
        "http://" + "1" * (size // 2) + "/",
        "data:;base64," + "=" * (size // 2),
    ]
    made = plain_edit(rng, min(size // 8, 2_000))
    if rng.random() < 0.5:
        made["source"]["image"] = {"url": rng.choice(urls)}
    else:
        made["targets"][0]["local_blend"] = {"mask": {"url": rng.choice(urls)}}
    return made


def mistakes(rng: random.Random, size: int) -> Any:
    """A body of nothing but mistakes."""
    value: Any = rng.choice((0, None, "", "x", [], {}, [0], {"word": 0}, {"kind": 0}, 1e308, True))
    number = size // (len(json.dumps(value)) + 1)
    many, fields = [value] * number, {f"f{index}": value for index in range(number // 8)}
    made = plain_edit(rng, 1_000)
    where = rng.randrange(9)
    if where == 0:
        return many
    if where == 1:
        return {**made, **fields}
    if where == 2:
        made["targets"] = many
    elif where == 3:
        made["targets"][0] |= fields
    elif where == 4:
        made["targets"][0]["edits"] = many
    elif where == 5:
        made["targets"][0]["edits"] = [{"kind": "reweight", "weights": many}]
    elif where == 6:
        made["sampling"] = {"seeds": many}
    elif where == 7:
        made["targets"][0]["local_blend"] = {"words": many}
    else:
        made["targets"] = [{"prompt": 0, "edits": [0] * 8, **{f"f{index}": 0 for index in range(20)}}] * (size // 260)
    return made


def written(rng: random.Random, size: int) -> bytes:
    """Text that is JSON, or nearly."""
    return rng.choice(
        (
            "[" * size,
            "[" * 100 + "]" * 100 + " " * size,
            '{"a":' * (size // 5),
            "[" + "{}," * (size // 3),
            '{"source":"' + "\\u0041" * (size // 7) + '"}',
            '{"source":"' + "\\" * (size - 20),
            '"' * size,
            "9" * size,
            "[" + "0," * (size // 2 - 2) + "0]",
            "[" + "1e5," * (size // 4 - 2) + "0]",
            '{"source":' + "-" * (size - 10),
            "{" + ",".join(f'"a":{index}' for index in range(size // 11)) + "}",
            " " * size,
            '{"source":{"prompt":"' + "\\ud83d" * (size // 7) + '"}}',
            "\ufeff" * (size // 3),
        )
    ).encode()[:size]


def grown(made: dict[str, Any], into: list[Any], one: Callable[[], Any], size: int, *, most: int) -> dict[str, Any]:
    """A body with so many things in one of its lists as it has room for."""
    left = size - len(json.dumps(made).encode()) - 10
    while len(into) < most:
        each = one()
        left -= len(json.dumps(each, separators=(",", ":"), ensure_ascii=False).encode()) + 1
        if left < 0:
            break
        into.append(each)
    if not into:
        into.append(one())
    return made


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")


def _headers(rng: random.Random) -> Mapping[str, str]:
    """Headers of which one is as long as may be."""
    long = rng.choice(('"' + ";" * HEAD, ";" * HEAD, ",wait=1" * (HEAD // 8), "a" * HEAD, "wait=" + " " * HEAD))
    which = rng.choice(
        (
            "Content-Type",
            "Prefer",
            "Traceparent",
            "Idempotency-Key",
            "Authorization",
            "If-None-Match",
            "Accept",
            "Cookie",
        )
    )
    first = {"Content-Type": "application/json;", "Authorization": "Bearer p2p_", "Traceparent": "00-" + "a" * 32}
    return {**JSON, which: first.get(which, "") + long[: HEAD - 100]}


def _form(rng: random.Random, size: int) -> tuple[bytes, Mapping[str, str]]:
    """A form with a file, or many."""
    line = b"--b\r\n"
    part = line + b'Content-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
    body = rng.choice(
        (
            part + rng.randbytes(size) + b"\r\n--b--\r\n",
            (part + b"\r\n") * min(900, size // 70),
            part + b"\r\n--" * (size // 4),
            part + b"\r\n--b" * (size // 5),
            (line + b"A: " + b"a" * 4_000 + b"\r\n") * (size // 4_010),
            line + b"Content-Disposition: form-data; " + b'name="' + b";" * 4_000 + b"\r\n\r\n",
            b"\r\n" * (size // 2),
        )
    )
    return body, {"Content-Type": "multipart/form-data; boundary=b"}


def corpus(seed: int, number: int) -> Iterator[Request]:
    """So many requests."""
    rng = random.Random(seed)
    bodies: Mapping[str, tuple[str, str, Callable[[random.Random, int], Any]]] = {
        "edit": ("POST", "/v1/edits", edit),
        "plain edit": ("POST", "/v1/edits", plain_edit),
        "repeats": ("POST", "/v1/edits", repeats),
        "put": ("PUT", "/v1/edits/order-{}", edit),
        "batch": ("POST", "/v1/batches", batch),
        "alignment": ("POST", "/v1/alignments", alignment),
        "picture": ("POST", "/v1/edits", picture),
        "inversion": ("POST", "/v1/inversions", picture),
        "mistakes": ("POST", "/v1/edits", mistakes),
        "mistakes of a batch": ("POST", "/v1/batches", lambda rng, size: {"edits": mistakes(rng, size - 20)}),
        "mistakes of an alignment": ("POST", "/v1/alignments", mistakes),
    }
    kinds = [*bodies, "written", "headers", "ids", "query", "form", "lists"]
    for index in range(number):
        kind = kinds[index % len(kinds)]
        size = SMALL if rng.random() < 0.3 else LARGEST
        if kind in bodies:
            method, path, make = bodies[kind]
            made = _json(make(rng, size))
            headers = {**JSON, "Idempotency-Key": f"order-{index}"} if rng.random() < 0.3 else JSON
            yield Request(kind, method, path.format(index), made[:LARGEST], headers)
        elif kind == "written":
            yield Request(kind, "POST", rng.choice(("/v1/edits", "/v1/batches", "/v1/alignments")), written(rng, size))
        elif kind == "headers":
            yield Request(kind, "POST", "/v1/edits", _json(plain_edit(rng, 500)), _headers(rng))
        elif kind == "ids":
            long = rng.choice(("a" * HEAD, "%41" * (HEAD // 3), "/" * HEAD, "-" * 64, "0" * 32))
            yield Request(kind, rng.choice(("GET", "DELETE")), rng.choice(("/v1/edits/", "/v1/batches/", "/")) + long)
        elif kind == "query":
            query = rng.choice(("a&" * (HEAD // 2), "status=" + "a" * HEAD, "cursor=" + "A" * 200, "limit=1&" * 7_000))
            yield Request(kind, "GET", f"/v1/edits?{query}")
        elif kind == "form":
            yield Request(kind, "POST", "/v1/images", *_form(rng, LARGEST))
        else:
            yield Request(kind, "GET", rng.choice(("/v1/edits?limit=100", "/v1/images?limit=100", "/v1/models")))
