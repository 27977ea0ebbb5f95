"""The program that puts right what was lost: `python -m reaper`."""
