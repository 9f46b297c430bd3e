collect_ignore = ["right.py", "wrong.py"]  # code of users, for a type checker only
