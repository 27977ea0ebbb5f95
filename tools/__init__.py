"""What writes and checks the documents: tables of settings, codes and metrics, screenshots, cookbook."""
