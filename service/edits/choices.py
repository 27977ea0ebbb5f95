"""What is chosen for targets that name no edits, as the record and the answers have it."""

from collections.abc import Iterator

from jobs.chosen import ChangeRead, Choice, Chosen
from p2p.change.choosing import changes_of
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


def choice_of(source: str, asked: Target, complete: Target) -> Choice:
    """What was chosen for one target.

    Args:
        source: the source's prompt.
        complete: the target with everything chosen (`p2p.change.choosing.chosen`).
    """
    before, after = written(source), written(complete.prompt)
    said = asked.model_fields_set
    return Choice(
        says=told(before, after, changes_of(before, after, asked), complete),
        edits=complete.edits or (),
        cross_window=None if "cross_window" in said else complete.cross_window,
        self_window=None if "self_window" in said else complete.self_window,
        local_blend=None if "local_blend" in said else complete.local_blend,
        room=None if "room" in said else complete.room,
    )


def _choices(sent: EditSpec, complete: EditSpec) -> Iterator[Chosen]:
    source = complete.source.prompt
    for picture, (asked, target) in enumerate(zip(sent.targets, complete.targets, strict=True), start=1):
        if asked.edits is None:
            choice = choice_of(source, asked, target)
            yield Chosen(picture=picture, change=_change(source, asked), **vars(choice))


def _change(source: str, asked: Target) -> tuple[ChangeRead, ...]:
    before, after = written(source), written(asked.prompt)
    return tuple(
        ChangeRead(
            kind=change.kind,
            source_words=words_at(before, change.gone),
            words=words_at(after, change.new),
            about=words_at(after, (j for _, j in change.about)),
        )
        for change in changes_of(before, after, asked).changes
    )
