"""Trying a draft before trainees meet it: a persona with scripted agents, a rubric on transcripts.

What is tried is kept in memory, for those who may see it, until the next try or the end of the
server. Nothing of it gets into the tables of what trainees did.
"""
