"""The simulated customer: the director decides, the actor speaks, the guard listens first."""
