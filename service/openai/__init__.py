"""The routes that clients of OpenAI's Images API call: their bodies, answers and errors around ordinary edits."""
