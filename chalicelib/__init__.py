"""Regulars: a membership CRM on Lambda and DynamoDB."""
