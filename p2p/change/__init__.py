"""What an edited prompt changes, read from the words alone, and the settings that a change is run with.

    changes = read(written("a cat on a beach"), written("a dog on a beach")).changes   # one "thing": cat, dog
    chosen(source, target)                                # the target with every setting that it leaves out

No torch: the service reads changes before anything is queued.
"""
