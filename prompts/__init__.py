"""Prompts as users write them: tokens, weights of other programs, notices. No torch."""
