"""How the words of two prompts correspond, over HTTP."""
