"""Training one candidate, and many: LightningModule, optimizer and schedule, one run, worker processes."""
