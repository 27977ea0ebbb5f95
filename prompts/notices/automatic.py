"""What to say about an edit whose settings were chosen."""

from collections.abc import Iterator

from jobs.model import Notice
from p2p.change.reading import read
from p2p.spec import EditSpec
from p2p.words import written


def of_choices(sent: EditSpec) -> Iterator[Notice]:
    """What the sender of targets without edits may not expect.

    Args:
        sent: as it was asked for.
    """
    source = written(sent.source.prompt)
    for index, target in enumerate(sent.targets):
        if target.edits is not None:
            continue
        reading, pointer = read(source, written(target.prompt)), f"/targets/{index}/prompt"
        if not reading.related:
            detail = (
                "the prompts have nothing in common, so this is a new picture from the source's noise: change some "
                "words of the source's prompt to keep the rest"
            )
            yield Notice(code="prompts_unrelated", pointer=pointer, detail=detail)
        elif sent.source.image is not None and any(c.kind == "add" for c in reading.changes):
            detail = (
                "something is added to the picture, for which its layout is made anew: name in `source.prompt` what it "
                "stands in place of, or say in `local_blend.mask` where it goes"
            )
            yield Notice(code="added_to_picture", pointer=pointer, detail=detail)
