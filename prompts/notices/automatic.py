"""What to say about an edit whose settings were chosen, or that would be better off if they were."""

from collections.abc import Iterator

from jobs.model import Notice
from p2p.change.choosing import changes_of
from p2p.change.fading import without
from p2p.change.reading import read
from p2p.spec import EditSpec, Reweight, Target, WordName
from p2p.words import WrittenPrompt, written

#: Kinds that concern the whole picture.
_EVERYWHERE = frozenset({"place", "style"})


def of_choices(sent: EditSpec, *, weighted: bool = False) -> Iterator[Notice]:
    """What the sender may not expect of what is chosen, and of weights that choose nothing.

    Args:
        sent: as it was asked for.
        weighted: whether weights were read out of its prompts: they are said to be there.
    """
    source = written(sent.source.prompt)
    for index, target in enumerate(sent.targets):
        at = f"/targets/{index}"
        if target.edits is None:
            yield from _of_change(sent, source, target, f"{at}/prompt")
        else:
            yield from _of_weights(target, at, weighted)


def of_surround(spec: EditSpec, size: tuple[int, int]) -> Iterator[Notice]:
    """What to say where a part of a photo changes its place or style, and the rest of it is not given to the model.

    Args:
        spec: complete.
        size: width and height of the photo.
    """
    image, (width, height) = spec.source.image, size
    if image is None or image.fit != "cover":
        return
    if width * (spec.sampling.height or 0) == height * (spec.sampling.width or 0):
        return
    source = written(spec.source.prompt)
    if any(c.kind in _EVERYWHERE for t in spec.targets for c in read(source, written(t.prompt)).changes):
        detail = (
            f"the photo is {width}x{height}, of another shape than the model's, so only its middle changes its place "
            'or style and what is around stays: say "fit": "contain" to have all of it changed'
        )
        yield Notice(code="surround_stays", pointer="/source/image", detail=detail)


def _of_change(sent: EditSpec, source: WrittenPrompt, target: Target, pointer: str) -> Iterator[Notice]:
    reading = changes_of(source, written(target.prompt), target)
    if not reading.related:
        detail = (
            "the prompts have nothing in common, so this is a new picture from the source's noise: change some "
            "words of the source's prompt to keep the rest"
        )
        yield Notice(code="prompts_unrelated", pointer=pointer, detail=detail)
    elif sent.source.image is not None and any(c.kind == "add" for c in reading.changes):
        detail = (
            "something is added to the picture, and if there is no room for it the layout is made anew: name in "
            "`source.prompt` what it stands in place of, or say in `local_blend.mask` where it goes"
        )
        yield Notice(code="added_to_picture", pointer=pointer, detail=detail)


def _of_weights(target: Target, at: str, weighted: bool) -> Iterator[Notice]:
    """A thing whose own attention is taken away: the other words know it too."""
    for place, edit in enumerate(target.edits or ()):
        if not isinstance(edit, Reweight) or edit.by != "attention":
            continue
        for number, name in enumerate(edit.weights):
            if name.weight == 0 and _is_thing(target, name):
                detail = (
                    f"a weight of 0 takes the attention of {name.word!r}, and the thing usually stays: take its word "
                    'out of the prompt, or say "by": "guidance"'
                )
                pointer = f"{at}/prompt" if weighted else f"{at}/edits/{place}/weights/{number}"
                yield Notice(code="weight_removes_nothing", pointer=pointer, detail=detail)


def _is_thing(target: Target, name: WordName) -> bool:
    prompt = written(target.prompt)
    return any(change.kind == "remove" for change in read(prompt, written(without(prompt, name))).changes)
