"""The model servers of the demo and of the cluster tests, as images.

`demo` is a real MLServer with a scikit-learn pipeline in four versions; `light` is
a small stand-in for tests in which starting a real one would take most of the time.
"""
