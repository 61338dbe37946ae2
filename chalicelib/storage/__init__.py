"""The key schema, writes as values, and the only talker to DynamoDB."""
