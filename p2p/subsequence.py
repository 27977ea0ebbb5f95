"""What two sequences of tokens share in the same order: Needleman and Wunsch's alignment. No torch needed."""


def align(source: tuple[int, ...], target: tuple[int, ...]) -> list[int | None]:
    """Per target token its source token in a longest common subsequence, or None for a new one.

    Needleman and Wunsch's recursion with match 1, gap 0, mismatch never. Ties are broken as the published code
    breaks them (a new token first, then a dropped one), so that of repeated tokens the earliest is the one aligned.
    """
    best = [[0] * (len(target) + 1) for _ in range(len(source) + 1)]
    for i, before in enumerate(source):
        for j, after in enumerate(target):
            match = best[i][j] + 1 if before == after else -1
            best[i + 1][j + 1] = max(best[i + 1][j], best[i][j + 1], match)
    aligned: list[int | None] = [None] * len(target)
    i, j = len(source), len(target)
    while i and j:
        if best[i][j] == best[i][j - 1]:
            j -= 1
        elif best[i][j] == best[i - 1][j]:
            i -= 1
        else:
            i, j = i - 1, j - 1
            aligned[j] = i
    return aligned
