"""Samplers: what a state is, how it starts, and what a step makes of it. One file for each kind."""
