"""The `leanclip` command: one file per sub-command; the only place that prints or exits."""
