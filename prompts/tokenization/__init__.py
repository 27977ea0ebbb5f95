"""A model's tokenizer, from whatever files it is published with, by the `tokenizers` package alone.

Workers have transformers make it of the same files. What is made here must give the same ids and the same places in
the text: a test compares the two tokenizers as a whole.
"""
