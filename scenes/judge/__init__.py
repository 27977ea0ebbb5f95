"""The judge: a small network that says what a picture of the drawn world shows, and where.

It reads things, their tints, the place and the style, and marks the pixels of every thing. It is trained on renders
alone, so that it owes nothing to the model it judges; `network` is what it is, `pictures` what it learns from,
`verdict` how it is asked, `python -m scenes.judge` measures it on renders it never saw and, with `--train`, trains it.
"""
