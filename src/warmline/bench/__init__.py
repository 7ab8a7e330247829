"""Measuring the grader: against experts, on the project's own labelled set, and under attack.

Everything here is a count or an agreement, never a time, and comes from one run of
``warmline bench grader``. What is measured was always held out from what measures it.
"""
