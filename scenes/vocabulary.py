"""`python -m scenes.vocabulary`: the words that the built-in model was trained on, one a line; --write renews the file.

models.toml names the file, so that the API can say which words of a prompt the model has never seen.
"""

import argparse
from pathlib import Path

from scenes.world import PLACES, STYLES, THINGS, TINTS

FILE = Path(__file__).parent / "model" / "vocabulary.txt"


def words() -> list[str]:
    """Every word a caption can contain, each once."""
    phrases = [*THINGS, *TINTS, *PLACES.values(), *STYLES, "a", "an", "and"]
    return sorted({word for phrase in phrases for word in phrase.split()})


def text() -> str:
    """The words as the file holds them."""
    return "".join(f"{word}\n" for word in words())


def main() -> None:
    """Print the words, or write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help=f"write {FILE.name}")
    if parser.parse_args().write:
        FILE.write_text(text(), encoding="utf-8")
    else:
        print(text(), end="")


if __name__ == "__main__":
    main()
