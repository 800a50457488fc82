"""OpenAI's chat completions: a face of the answers that `gateway.answering` makes."""
