"""Other people's published scores and intervals on SAMM-LV and CAS(ME)², held against what they report.

    metst evidence list            # `sources`: what can be had, where, under which licence
    metst evidence convert CLONES  # `clones`, `authors`, `audit`, `convert`: repositories → the pack
    metst evidence check           # `pack`, `decoders`, `check`: published against reproduced
    metst score FILE TRUTH         # `scorefile`, `intervals`, `scoring`, `protocols`: any method's file
    metst submit SOURCE            # `megc`: a challenge's file, which `metst score --protocol` reads back

Nothing of theirs lies here but counts of subjects (`counts`). A number is "reproduced from the authors'
files" or "reported by a third party", and each table says which.
"""
