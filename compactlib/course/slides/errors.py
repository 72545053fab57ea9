"""The one error of this package."""


class SlideError(ValueError):
    """A notebook that cannot become a deck; says which one, why, and what to do."""
