"""How a picture says that a machine made or edited it: IPTC's `DigitalSourceType` in XMP, and C2PA's credentials.

Shared by the API, which reads what comes in and keeps it, and the workers, who write it into what goes out. Imports no
pydantic: a process is started for each picture that is sent, and would spend most of its start on that.
"""

import re
from typing import Any, Literal

#: IPTC's list: https://cv.iptc.org/newscodes/digitalsourcetype/
SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
SourceType = Literal["trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia"]
#: Of a picture that a model made, and of a photo of which a model made a part.
GENERATED: SourceType = "trainedAlgorithmicMedia"
EDITED: SourceType = "compositeWithTrainedAlgorithmicMedia"
#: What others' pictures say where a model made them, or a part: beside these two, a composite of several elements of
#: which one at least was made so (IPTC's list).
MADE_BY_MODELS = frozenset({GENERATED, EDITED, "compositeSynthetic"})

#: Under which a photo stands in the credentials of its edits.
PARENT = "parent"
#: The chunk of a kept PNG with the credentials that its file came with, as an ingredient's archive. Its letters say:
#: no part of the picture, private, and not to be copied by programs that change the picture (PNG 5.4).
CREDENTIALS_CHUNK = b"crED"
#: What stands in credentials of a job: its id, and the digest of its manifest. Never a prompt.
JOB_ASSERTION = "org.prompt-to-prompt.edit"

#: The name ends at the first character that no name of the list has. The list's address begins with http; there are
#: programs that write https.
_SOURCE_TYPE = re.compile(r"https?://cv\.iptc\.org/newscodes/digitalsourcetype/([A-Za-z]{1,64})")


def source_type_of(xmp: Any) -> str | None:
    """The DigitalSourceType of an XMP packet; None if it says none, or is no packet."""
    text = xmp.decode("utf-8", "replace") if isinstance(xmp, bytes) else xmp
    if not isinstance(text, str) or (found := _SOURCE_TYPE.search(text)) is None:
        return None
    return found[1]


def xmp_packet(source_type: str) -> bytes:
    """An XMP packet (ISO 16684-1) that says where a picture comes from, and nothing else.

    Raises:
        ValueError: this is no name of a source type.
    """
    if source_type_of(SOURCE_TYPES + source_type) != source_type:
        raise ValueError(f"{source_type!r} is no name of a DigitalSourceType: letters only")
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
        f'Iptc4xmpExt:DigitalSourceType="{SOURCE_TYPES}{source_type}"/>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
    ).encode()
