"""The page of the whole centre: views of Kyrios, Exia, Veda and lineage, beside those of Ptolemy's page."""
