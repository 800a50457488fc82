"""Answers: what each was made of."""
