"""The built-in model `scenes`: a drawn world with captions, and the small latent diffusion model trained on it.

`world` says what can be asked for, `render` draws it, `dataset` turns drawings into latents, `autoencoder`
and `painter` train the two halves, `train` is the one command that runs it all. `lora` adds a thing by a LoRA.
Nothing here is imported by the service or by the sampler: the results are an ordinary diffusers directory,
`scenes/model`, and an ordinary LoRA, in `scenes/loras`.
"""
