"""Plan, trials, runner, findings: an audit from what is asked to what was found."""
