"""The built-in model `scenes-if`: the same drawn world, painted in pixels by the design that the paper used.

`network` is a UNet of DeepFloyd IF's classes, whose layers put words and pixels into one softmax, and its T5 encoder;
`tokenizer` makes T5's tokens, `objective` is what both learn by, `training` learns and `train` is the one command that
runs it. `export` writes an ordinary diffusers directory that `IFPipeline` loads, `evaluate` asks the judge what was
painted, and `ship` puts it into the repository.
"""
