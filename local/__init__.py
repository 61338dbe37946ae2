"""The stack on a laptop: everything AWS would provide, on 127.0.0.1, with the data in one folder."""
