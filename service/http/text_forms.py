"""What a text must look like, in words: a pattern is no help to who reads an answer.

By the pattern, as fields of bodies, paths and queries have it. `tests/contract/test_openapi.py` names one that has no
words.
"""

from collections.abc import Mapping

from jobs.labels import METADATA_NAME, SUBJECT

WORDS: Mapping[str, str] = {
    SUBJECT: "takes a pseudonym of up to 128 letters, digits and . _ : - that begins with a letter or a digit, such as "
    "user-4711: have a table of yours, or a digest, where your own names for people have other characters",
    METADATA_NAME: "takes up to 64 letters, digits and . _ - and begins with a letter or a digit",
    METADATA_NAME.removesuffix("$") + "=": "takes a name, = and a text, such as order=77",
    r"^[A-Za-z0-9_-]{1,64}$": "takes an id, of up to 64 letters, digits and _ -",
    r"^([a-z][a-z0-9]{0,15}-)?img_[0-9a-f]{32}$": "takes the id that POST /v1/images gave, which begins with img_",
    r"^(auto|[1-9][0-9]{0,3}x[1-9][0-9]{0,3})$": "takes width x height, such as 512x512, or auto",
}


def in_words(pattern: str) -> str:
    """What a text of this pattern must look like."""
    return WORDS.get(pattern, "has another form than is needed")
