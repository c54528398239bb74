"""What stands on the account, apart from what runs: made and taken away, looked at, and who may do what with it."""
