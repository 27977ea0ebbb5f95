"""The built-in model `scenes-flow`: the same drawn world, painted by a small MM-DiT of SD3's classes along a flow.

`captions` has the tokenizers and what text encoders read, `transformer` the networks, `attention_terms` catches what
words look at, `objective` is the loss, `training` trains, `export` writes an ordinary diffusers directory that
`StableDiffusion3Pipeline` loads, `train` is the one command that runs it all, and `evaluate` asks the judge what was
painted.
"""
