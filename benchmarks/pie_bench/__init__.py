"""PIE-Bench (Ju et al. 2023, arXiv 2310.01506): 700 pictures, their edits, and seven metrics, as its authors run them.

What is followed was read in their repository (cure-lab/PnPInversion: `run_editing_p2p.py`, `evaluation/evaluate.py`,
`evaluation/matrics_calculator.py`, commit f480116) and in torchmetrics, which it calls. `docs/quality.md` lists the
quirks.
"""
