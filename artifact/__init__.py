"""What a model is: its card, its pixels, its repository, its session and its answers.

Every other package may import this one; it imports none of them.
"""
