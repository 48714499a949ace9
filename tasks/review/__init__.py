"""Human review: decisions drawn for two reviewers, their signed answers, and what these say."""
