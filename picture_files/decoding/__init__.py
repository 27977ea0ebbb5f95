"""Reads a stranger's file, in a process of its own: `python -m picture_files.decoding LIMITS`.

A process of its own, because what it does with a file can be neither bounded nor stopped from within. A few megabytes
can hold a picture of gigabytes, or a JPEG whose thousand passes take minutes; and decoders are written in C. So the
kernel bounds its memory and its CPU time, and who started it kills it when its time is over.

    file --> opening --> pixels --> an RGB PNG
              head        turned, in sRGB, laid on white, in bands
                             '----> what it says as a mask
"""
