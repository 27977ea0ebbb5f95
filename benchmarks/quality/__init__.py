"""`python -m benchmarks.quality`: how good edits are, judged by a network that owes nothing to the model.

`changes` says what is asked for, `sources` what is edited, `methods` by what, `metrics` how it turned out, and
`report` counts it. Needs the emoji font (`make font`) for the drawn sources and the judge's examination.
"""
