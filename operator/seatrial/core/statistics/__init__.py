"""What can be known from counts, and how surely. Pure functions of numbers: nothing here knows of trials or of metrics."""
