"""Bringing over from OpenAI: files, vector stores, prompts, evals and fine-tuned models.

A folder is read, never the hosted service itself: `download` fills one from it, and everything else works from there.
"""
