"""The making of answers: resolve, retrieve, compose, pick, generate, trace. No client's format is known here."""
