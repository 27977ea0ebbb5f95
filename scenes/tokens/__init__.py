"""The built-in model `scenes-tokens`: the same drawn world, painted by a transformer over discrete image tokens.

`drawing` draws scenes in many processes, `vq` turns a picture into 16x16 tokens and back, `transformer` is the network
that paints them and its text encoder, `training` trains both, `export` writes an ordinary diffusers directory that
`AmusedPipeline` loads, `train` is the one command that runs it all, and `evaluate` asks the judge what was painted.
"""
