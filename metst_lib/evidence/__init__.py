"""Other people's published scores and intervals on SAMM-LV and CAS(ME)², held against what they report."""
