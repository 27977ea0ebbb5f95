"""Whether a picture that was sent can be a mask of another one: its shape, and whether it says anything."""

from collections.abc import Iterator

from jobs.images import Image
from p2p.mask_reading import has_both, read_by_default
from p2p.spec import ReadBy
from service.http.complaints import Complaint


def read_as(image: Image) -> ReadBy | None:
    """By what a picture is read as a mask; None of one that was sent before that was looked at."""
    return None if image.as_mask is None else read_by_default(image.as_mask.alpha)


def complaints_about_mask(
    image: Image, asked: ReadBy | None, size: tuple[int, int], location: tuple[str | int, ...]
) -> Iterator[Complaint]:
    """Why a picture is no mask.

    Args:
        asked: by what it is to be read, where the edit says so.
        size: (width, height) of the picture that it is a mask of.
        location: where in the request it is named.
    """
    if not have_one_shape((image.width, image.height), size):
        detail = (
            f"the mask is {image.width}x{image.height} and its picture {size[0]}x{size[1]} (width x height): "
            "send one of the same shape"
        )
        yield Complaint.at(*location, code="mask_of_another_shape", detail=detail)
    for code, detail in _says_nothing(image, asked):
        yield Complaint.at(*location, code=code, detail=detail)


def _says_nothing(image: Image, asked: ReadBy | None) -> Iterator[tuple[str, str]]:
    """Why a mask bounds nothing: a code and what to do."""
    shares, read_by = image.as_mask, asked or read_as(image)
    if shares is None:
        if read_by in ("alpha", "transparency"):
            yield "mask_uniform", "this picture was sent before alpha channels were kept: send it again"
        return  # otherwise the worker looks at its colours
    share = shares.colour if read_by == "colour" else shares.alpha
    if has_both(share):
        return
    match read_by, share:
        case "transparency", None | 1:
            yield (
                "mask_uniform",
                "nothing of the mask is transparent, so nothing may change: make transparent what may change",
            )
        case "transparency", _:
            yield (
                "mask_uniform",
                "the mask is transparent everywhere, so it bounds nothing: paint what must not change",
            )
        case "alpha", None:
            yield "mask_uniform", 'nothing of the mask is transparent, and it is to be read by that: read its "colour"'
        case "alpha", 0:
            yield (
                "mask_uniform",
                "nothing is painted on the mask, it is clear everywhere: paint what may change, with at least a "
                "quarter of full opacity",
            )
        case "alpha", _:
            yield "mask_uniform", "the mask is painted everywhere, so it bounds nothing: clear what must not change"
        case _, 0:
            yield (
                "mask_uniform",
                "the mask is dark everywhere, so nothing may change: paint what may change in white on black, or on a "
                "clear layer",
            )
        case _:
            yield (
                "mask_uniform",
                "the mask is light everywhere, so it bounds nothing: paint what may change in white on black, or on a "
                "clear layer",
            )


def have_one_shape(size: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two sizes are one picture's at two resolutions, the sides of the smaller rounded to whole pixels."""
    (width, height), (other_width, other_height) = size, other
    # Rounding takes half a pixel at most from each side of the smaller one.
    room = max(width + height, other_width + other_height)
    return 2 * abs(width * other_height - height * other_width) <= room
