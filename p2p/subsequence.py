"""What two sequences of tokens share in the same order: Needleman and Wunsch's alignment. No torch needed."""


def align(source: tuple[int, ...], target: tuple[int, ...]) -> list[int | None]:
    """Per target token its source token in a longest common subsequence, or None for a new one.

    Needleman and Wunsch's recursion with match 1, gap 0, mismatch never. Ties are broken as the published code
    breaks them (a new token first, then a dropped one), so that of repeated tokens the earliest is the one aligned.

    A row of the recursion's table grows by 0 or 1 from one cell to the next, so it is kept as one number whose bits say
    where it does not grow, and a whole row is made by a few operations on such numbers (Crochemore et al. 2001). Cell
    by cell, the alignments of one request took seconds where a model reads hundreds of tokens.
    """
    everywhere = (1 << len(target)) - 1
    places: dict[int, int] = {}
    for j, token in enumerate(target):
        places[token] = places.get(token, 0) | 1 << j
    rows = [everywhere]
    for token in source:
        flat = rows[-1]
        matches = flat & places.get(token, 0)
        rows.append(((flat + matches) | (flat - matches)) & everywhere)

    aligned: list[int | None] = [None] * len(target)
    i, j = len(source), len(target)
    while i and j:
        before = (1 << j) - 1
        if rows[i] >> (j - 1) & 1:
            j -= 1
        # As many steps up to here in the row above: as long a subsequence without this source token.
        elif (rows[i] & before).bit_count() == (rows[i - 1] & before).bit_count():
            i -= 1
        else:
            i, j = i - 1, j - 1
            aligned[j] = i
    return aligned
