"""Keras models and the maths of methods; knows neither pipelines nor the command line."""
