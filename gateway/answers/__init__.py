"""Records of answers: the parts that each was made of."""
