"""The grader: checks, evidence, levels, and the coaching that follows from them."""
