"""The small real models that come with hubcord: their catalogue, and how their folders are made.

`catalog` says what there is and where it lies, `prepare` makes the folders; both are light to import.
"""
