"""`POST /v1/responses`: OpenAI's Responses, as a second face of the answers that `gateway.answering` makes."""
