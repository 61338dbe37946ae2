"""Words everyone shares: ids, money, calendar, pages, records, errors. Standard library and pydantic only."""
