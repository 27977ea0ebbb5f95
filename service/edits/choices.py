"""What was chosen for targets that name no edits, as the record and the answer have it."""

from collections.abc import Iterator

from jobs.chosen import ChangeRead, Chosen
from p2p.change.reading import read
from p2p.change.telling import told, words_at
from p2p.spec import EditSpec, Target
from p2p.words import written


def choices_of(sent: EditSpec, complete: EditSpec) -> tuple[Chosen, ...]:
    """Of each target without edits what was chosen.

    Args:
        sent: as it was asked for.
        complete: the same with everything chosen (`p2p.change.choosing.explicit`).
    """
    return tuple(_choices(sent, complete))


def _choices(sent: EditSpec, complete: EditSpec) -> Iterator[Chosen]:
    for picture, (asked, target) in enumerate(zip(sent.targets, complete.targets, strict=True), start=1):
        if asked.edits is None:
            yield _choice(complete.source.prompt, picture, asked, target)


def _choice(source: str, picture: int, asked: Target, target: Target) -> Chosen:
    before, after = written(source), written(target.prompt)
    reading = read(before, after)
    said = asked.model_fields_set
    return Chosen(
        picture=picture,
        change=tuple(
            ChangeRead(
                kind=change.kind,
                source_words=words_at(before, change.gone),
                words=words_at(after, change.new),
                about=words_at(after, (j for _, j in change.about)),
            )
            for change in reading.changes
        ),
        says=told(before, after, reading, is_kept=target.local_blend is not None),
        edits=target.edits or (),
        cross_window=None if "cross_window" in said else target.cross_window,
        self_window=None if "self_window" in said else target.self_window,
        local_blend=None if "local_blend" in said else target.local_blend,
    )
