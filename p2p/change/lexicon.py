"""Words whose meaning decides what kind a change is: closed lists of English, and what a word's list is called.

A word of no list says something: it is a content word. The lists are short on purpose. A word that is missing makes a
change read as something else, and `docs/automatic.md` says what that costs.
"""

from functools import lru_cache
from typing import Literal

Role = Literal["determiner", "number", "negation", "preposition", "link", "copula", "verb", "content"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


DETERMINERS = _words(
    "a an the his her its their my your our this that these those some one and very of or as to which who s"
)
NUMBERS = _words("two three four five six seven eight nine ten several many few dozen both 2 3 4 5 6 7 8 9 10")
NEGATIONS = _words("no not without except nothing nobody none")
#: A thing that stands behind one of these may be a place.
PREPOSITIONS = _words(
    "in on at by under over near beside behind inside outside during into onto through against among amid amidst "
    "around across along above below beneath between from underneath atop next front top towards toward"
)
#: A setting stands behind these, unless a list says otherwise; behind the others it may be a thing.
SURROUNDING = _words("in at inside outside during into through among amid amidst across around")
#: What stands behind these belongs to the thing before them.
LINKS = _words("with wearing holding carrying and plus")
COPULAS = _words("is are was were being be looks")

#: Words of a medium, an artist's manner, light, weather, a season or a time of day. They concern the whole picture.
STYLES = _words(
    "night day noon morning evening dawn dusk sunset sunrise twilight midnight nighttime daytime rain rainy fog foggy "
    "mist misty storm stormy snowstorm blizzard sunny cloudy overcast snowy moonlight moonlit sunlight light lit "
    "lighting lighted backlit winter summer autumn fall spring sketch drawing painting painted painterly watercolor "
    "watercolour photo photograph photography picture image portrait cartoon anime comic manga engraving etching "
    "mosaic poster style styled render rendering illustration artwork art masterpiece impressionist impressionism "
    "cubist cubism expressionism surrealism surreal gogh monet picasso ghibli pixar disney ukiyo-e pencil charcoal ink "
    "pastel crayon acrylic oil gouache monochrome sepia vintage retro grayscale greyscale cyberpunk steampunk pixel "
    "pixelated low-poly 3d closeup close-up bokeh cinematic dramatic detailed realistic photorealistic hdr 4k 8k "
    "film polaroid woodcut stencil graffiti claymation origami lego minimalist abstract gloomy gothic"
)
#: Nouns that name where something is.
SETTINGS = _words(
    "background backdrop beach shore coast sea ocean lake river pond forest woods jungle desert mountain mountains "
    "hill hills field fields meadow lawn grass garden park street road city town village room kitchen bedroom "
    "bathroom office library museum church castle studio sky space moon mars snow sand dunes valley canyon island "
    "farm barn stable alley market station airport harbor harbour countryside savanna savannah swamp underwater "
    "floor ground wall table landscape scene skyline paris london tokyo venice york"
)
#: Colours: behind a preposition they name a plain background ("a cat on blue").
COLOURS = _words("red orange yellow green blue purple pink brown black white grey gray cyan teal violet")
#: Things that are put on: behind "in" they are no place.
WORN = _words(
    "dress suit shirt t-shirt jacket coat hat cap helmet uniform kimono armor armour sweater hoodie robe costume "
    "skirt jeans trousers pants boots shoes glasses sunglasses scarf tie tuxedo gown cloak apron vest"
)
#: Words in -ing that are no verbs.
_NOUNS_IN_ING = _words(
    "ring king string building painting ceiling wing drawing wedding clothing evening morning lightning spring thing "
    "swing pudding dumpling duckling earring sling engraving etching lighting rendering wing icing sibling"
)
#: Verbs of prompts that do not end in -ing.
_VERBS = _words("sits stands lies runs rides eats sleeps jumps flies swims walks plays holds wears drives")


# Every prompt is read some times over, once more for each word that is turned down.
@lru_cache(maxsize=1_024)
def role_of(word: str) -> Role:
    """The list that a word is of, as it is compared: folded, without punctuation."""
    if word in NEGATIONS:
        return "negation"
    if word in NUMBERS:
        return "number"
    if word in LINKS:
        return "link"
    if word in DETERMINERS or not any(character.isalnum() for character in word):
        return "determiner"
    if word in PREPOSITIONS:
        return "preposition"
    if word in COPULAS:
        return "copula"
    if word in _VERBS or (len(word) > 4 and word.endswith("ing") and word not in _NOUNS_IN_ING):
        return "verb"
    return "content"
