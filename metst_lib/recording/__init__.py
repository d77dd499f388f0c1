"""A video of your own, from its file to a page to read: film, face, model, analysis, report, in this order.

May import the method and every drawer but app: the model's file comes from an experiment, its landmark
predictor from the synthetic set.
"""
