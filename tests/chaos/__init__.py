"""`make chaos`: jobs of all kinds while everything around them breaks, and what must be true then.

The faults are drawn from a seed, and so are the jobs; when they meet is up to the machine.
"""
