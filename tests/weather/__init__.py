"""Weather: whatever can happen to an operator happens, aimed at each transition, and the invariants hold.

`faults.py` is the table of what happens, `errands.py` of what people want meanwhile, `strategies.py` of the
specs they have. A *voyage* is one errand with its faults; its number is its seed and says all about it.
`soak.py` sails one after the other and keeps the matrix: which fault hit which transition how often.
"""
