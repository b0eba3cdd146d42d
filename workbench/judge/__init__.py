"""A language model as the judge of answers: a role that any engine can take, and never without its agreement."""
