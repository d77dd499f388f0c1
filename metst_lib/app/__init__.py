"""What a person or the workflow starts: command line, notebooks and their copies, explorer, pages, doctor.

May import the method and every other drawer; nothing imports this one.
"""
