"""Prompt-to-prompt: edit a generated picture by editing its prompt (Hertz et al. 2022, arXiv 2208.01626).

Theory of operation
    The layout of a picture lives in the cross-attention maps between its positions and the words of its prompt. The
    source and its edits are denoised together from one noise, and the source's maps are carried over to the edits
    within a window of steps. From left to right, each arrow a function that knows nothing of what is to its right:

        EditSpec --> TokenizedPrompt --> EditPlan --> AttentionControl --> Cohort --> EditResult
         spec         tokens, words      edits, plan   attention/           cohort/    result

Names
    source: the picture that is edited. target: an edited picture. mapper, alphas, equalizer, schedule: the four arrays
    that every edit kind fills (`p2p.plan`). site: a named attention layer. family: models of one attention layout.

Importing this package, `p2p.spec`, `p2p.words` and `p2p.errors` needs no torch.
"""

from p2p.version import VERSION as __version__

__all__ = ["__version__"]
