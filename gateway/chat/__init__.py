"""The road of an answer: resolve, retrieve, prompt, pick a replica, relay, settle."""
