"""`quernel bench`: every op's speed cases beside the machine's roof and beside every peer found; see bench/README.md.

`run.Run` measures, `results` makes medians and ratios of the samples, `report`, `page` and `picture` show them, `compare`
puts two runs side by side. Nothing here is imported before the command runs.
"""
