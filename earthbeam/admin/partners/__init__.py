"""Pages about a partner: school years, assessments, descriptor mappings, tenants, webhooks."""
