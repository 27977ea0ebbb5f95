"""What a client calls its own things by: for whom each was made, and whatever else it wants to find it by.

They stand in the record of an edit, a batch, a picture and an inversion, and decide nothing. Only the client knows who
a subject is: it is a pseudonym. An index names all that is a subject's, so that it can be erased
(`jobs.redis.subjects`).
"""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

#: What a subject looks like. It stands in addresses, so it is none of the ways that lead upwards.
SUBJECT = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"
#: What a name of the metadata looks like, and how many there are of which length; as at OpenAI and Stripe.
METADATA_NAME, MOST_METADATA, MOST_TEXT = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", 16, 512


class Labels(BaseModel):
    """Those of one thing."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    subject: str | None = None
    metadata: Mapping[str, str] = {}

    def have(self, subject: str | None, metadata: Mapping[str, str]) -> bool:
        """Whether they are of this subject, where one is given, and say all of this."""
        return subject in (None, self.subject) and metadata.items() <= self.metadata.items()


def labels_of(subject: str | None, metadata: Mapping[str, str] | None) -> Labels | None:
    """The labels that a client gives; None if it gives none, so that nothing is kept."""
    return Labels(subject=subject, metadata=metadata or {}) if subject or metadata else None


def beside(own: Labels | None, further: Labels | None) -> Labels | None:
    """Labels of something that belongs to something else: its own first, and what that has beside them."""
    if own is None or further is None:
        return own or further
    return Labels(subject=own.subject or further.subject, metadata={**further.metadata, **own.metadata})


def labelled(labels: Labels | None, subject: str | None, metadata: Mapping[str, str]) -> bool:
    """Whether what has these labels is asked for."""
    if subject is None and not metadata:
        return True
    return labels is not None and labels.have(subject, metadata)
