flux getattr rank
flux getattr size
flux getattr instance-level
flux getattr no-such-attribute || echo unknown
flux setattr log-stderr-level 4
flux getattr log-stderr-level
